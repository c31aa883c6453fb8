"""Caches what need not be computed in every epoch: features without augmentation, embeddings of frozen encoders.

They are computed once and cached on disk; a network that shares the other parts reads them. Training and validation
rows of a frozen encoder come with augmented views of each, as rows to learn from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from sightsound.config import Config
from sightsound.data.dataset import Rows
from sightsound.data.decode import code_of, reading_of
from sightsound.data.prepared.cache import prepared_folder
from sightsound.data.prepared.store import Store, derive
from sightsound.data.table import Table
from sightsound.encoders.base import Embedded, Encoder
from sightsound.hardware import set_layout
from sightsound.modalities.base import modality
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.views import Unchanged, WithViews, views_of_each

FEATURES = 2  # raised when features, encoders or augmentation change, so that older caches are not used
NORM_FILES = 256  # enough to know how large embeddings are
BATCH = 8  # files at a time: on processors two to three times faster than 64, whose maps no cache can hold


def cache_features(
    network: ClassifierNetwork, config: Config, table: Table, rows: Mapping[str, Rows]
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Replaces decoded files by their cached features or embeddings where possible.

    Returns:
        the rows, and modality -> "features" or "embedding" where the rows hold these; decoded files elsewhere. The
        stores of the training rows hold the validation rows too, and with embeddings some views of each file.
    """
    stores: dict[str, Store] = dict(next(iter(rows.values())).stores)
    viewed: dict[str, Store] = {}
    cached = {}
    learned_from = torch.cat([rows[split].rows for split in ("train", "val") if split in rows])
    network.eval()
    for m, store in stores.items():
        frozen = getattr(config, m).frozen
        encode = InBatches(network.features[m], network.standardize[m], network.encoders[m])
        kind = "embedding" if frozen and not network.exchanges else "features"
        if kind == "embedding" or modality(m).caches_features(config):
            part = encode if kind == "embedding" else network.features[m]
            shape = tuple(part(store.read(store.entry[:1])).shape[1:])
            stores[m] = _derived(store, part, f"{kind} {_digest(part)}", shape, m, config, table)
            cached[m] = kind
        if kind == "embedding":
            viewed |= _viewed(store, learned_from, shape, network, m, config, table)
        if frozen:
            done = kind == "embedding"
            some = _embeddings(stores[m] if done else store, nn.Identity() if done else encode, rows["train"])
            network.fit_embedding_norm(m, some)
    network.train()
    by_split = {split: stores | viewed if split == "train" else stores for split in rows}
    return {split: Rows(by_split[split], of.target, of.rows) for split, of in rows.items()}, cached


def _viewed(
    store: Store,
    rows: Tensor,
    shape: tuple[int, ...],
    network: ClassifierNetwork,
    m: str,
    config: Config,
    table: Table,
) -> dict[str, Store]:
    """Returns the store of the embeddings of some rows' files and of views of each, by modality; nothing without views.

    Args:
        store: decoded files.
        rows: positions in the table of those that are learned from.
        shape: shape of an embedding.
        network: the network with the encoder.
        m: the modality.
        config: the resolved configuration.
        table: the table.
    """
    entry = torch.zeros_like(store.entry).index_copy(0, rows, store.entry[rows])
    change = modality(m).augmentation(config)
    views = views_of_each(change, len(torch.unique(entry[entry > 0])))
    if not views:
        return {}
    part = WithViews(network.features[m], InBatches(network.standardize[m], network.encoders[m]), change, views)
    what = f"views {_digest(part)} by {config.augment}"
    return {m: _derived(store._replace(entry=entry), part, what, (1 + views, *shape), m, config, table)}


def _derived(
    store: Store, part: nn.Module, what: str, shape: tuple[int, ...], m: str, config: Config, table: Table
) -> Store:
    """Returns the store of what a part of the network makes of decoded files; `what` begins with a word for it."""
    codes = sorted({code_of(kind) for kind in {type(module) for module in [modality(m), *part.modules()]}})
    how = f"{what} {shape} {getattr(config, m)}{''.join(codes)}"
    name, [word, *_] = f"{reading_of(config, m).name} | features {FEATURES} | {how}", what.split()
    return derive(store, part, name, prepared_folder(table, name), f"computing {m} {word}", shape)


@torch.inference_mode()
def _embeddings(store: Store, encode: nn.Module, train: Rows) -> Tensor:
    """Computes embeddings (n, D) of some training rows, spread evenly."""
    files = store.entry[train.rows]
    files = files[files > 0]
    some = files[torch.linspace(0, len(files) - 1, min(len(files), NORM_FILES)).long()]
    embeddings: Tensor = encode(store.read(some))
    return embeddings


class InBatches(nn.Sequential):
    """Modules over a few rows at a time, in the memory layout that is faster for convolutions: (B, ...) -> (B, ...)."""

    def forward(self, rows: Tensor) -> Tensor:
        """See the class."""
        each = nn.Sequential(*self)
        set_layout(each, torch.channels_last)
        try:
            return torch.cat([each(part) for part in rows.split(BATCH)])
        finally:
            set_layout(each, torch.contiguous_format)


def on_cached(network: ClassifierNetwork, cached: Mapping[str, str]) -> ClassifierNetwork:
    """Returns the network with cached inputs in place of decoded files; it shares all other parts.

    Args:
        network: a network of decoded files.
        cached: modality -> "features" or "embedding", as `cache_features` returns them.
    """
    embedded = [m for m, kind in cached.items() if kind == "embedding"]
    return network.with_parts(
        features={m: Unchanged() if m in embedded else nn.Identity() for m in cached},
        standardize={m: nn.Identity() for m in embedded},
        encoders={m: Embedded(cast(Encoder, network.encoders[m]).embedding_size) for m in embedded},
    )


def _digest(part: nn.Module) -> str:
    """Returns 16 hexadecimal digits that change with a module's structure or any of its numbers."""
    digest = hashlib.sha256(repr(part).encode())
    tensors: dict[str, Tensor] = {**dict(part.named_parameters()), **dict(part.named_buffers())}
    for name, value in sorted(tensors.items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
