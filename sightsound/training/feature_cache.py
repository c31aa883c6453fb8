"""Caches what need not be computed in every epoch: features without augmentation, embeddings of frozen encoders.

They are computed once and cached on disk; a network that shares the other parts reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from sightsound.config import Config
from sightsound.data.dataset import Rows
from sightsound.data.decode import reading_of
from sightsound.data.prepared.cache import prepared_folder
from sightsound.data.prepared.store import Store, derive
from sightsound.data.table import Table
from sightsound.encoders.base import Embedded, Encoder
from sightsound.modalities.base import modality
from sightsound.network.classifier import ClassifierNetwork

NORM_FILES = 256  # enough to know how large embeddings are
BATCH = 8  # files at a time: on processors two to three times faster than 64, whose maps no cache can hold


def cache_features(
    network: ClassifierNetwork, config: Config, table: Table, rows: Mapping[str, Rows]
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Replaces decoded files by their cached features or embeddings where possible.

    Returns:
        the rows, and modality -> "features" or "embedding" where the rows hold these; decoded files elsewhere.
    """
    stores: dict[str, Store] = dict(next(iter(rows.values())).stores)
    cached = {}
    network.eval()
    for m, store in stores.items():
        frozen = getattr(config, m).frozen
        encode = InBatches(network.features[m], network.standardize[m], network.encoders[m])
        kind = "embedding" if frozen and not network.exchanges else "features"
        if kind == "embedding" or modality(m).caches_features(config):
            part = encode if kind == "embedding" else network.features[m]
            name = f"{reading_of(config, m).name} | {kind} {_digest(part)}"
            shape = tuple(part(store.read(store.entry[:1])).shape[1:])
            stores[m] = derive(store, part, name, prepared_folder(table, name), f"computing {m} {kind}", shape)
            cached[m] = kind
        if frozen:
            done = kind == "embedding"
            some = _embeddings(stores[m] if done else store, nn.Identity() if done else encode, rows["train"])
            network.fit_embedding_norm(m, some)
    network.train()
    return {split: Rows(stores, of_split.target, of_split.rows) for split, of_split in rows.items()}, cached


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
        cast(Any, each).to(memory_format=torch.channels_last)  # torch's stubs lack this form of the call
        try:
            return torch.cat([each(part) for part in rows.split(BATCH)])
        finally:
            cast(Any, each).to(memory_format=torch.contiguous_format)


def on_cached(network: ClassifierNetwork, cached: Mapping[str, str]) -> ClassifierNetwork:
    """Returns the network with cached inputs in place of decoded files; it shares all other parts.

    Args:
        network: a network of decoded files.
        cached: modality -> "features" or "embedding", as `cache_features` returns them.
    """
    embedded = [m for m, kind in cached.items() if kind == "embedding"]
    return network.with_parts(
        features={m: nn.Identity() for m in cached},
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
