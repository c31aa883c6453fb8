"""What need not be computed in every epoch: features without chance changes, embeddings of frozen encoders.

They are computed once, kept on disk, and while training stand in for the parts of the network that made them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from sightsound.config import Config
from sightsound.data.dataset import Rows
from sightsound.data.decode import reading_of
from sightsound.data.prepared.cache import prepared_folder
from sightsound.data.prepared.store import Store, derive
from sightsound.data.table import Table
from sightsound.encoders.base import Embedded, Encoder
from sightsound.network.classifier import ClassifierNetwork


def keep_features(
    network: ClassifierNetwork, config: Config, table: Table, rows: Mapping[str, Rows]
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Replaces decoded files by what can be kept of them.

    Returns:
        the rows, and modality -> "features" or "embedding" where these are in them; decoded files elsewhere.
    """
    stores: dict[str, Store] = dict(next(iter(rows.values())).stores)
    kept = {}
    network.eval()
    for modality, store in stores.items():
        part: nn.Module = network.features[modality]
        kind = "features"
        if getattr(config, modality).frozen and not network.exchanges:
            part = nn.Sequential(part, network.standardize[modality], network.encoders[modality])
            kind = "embedding"
        elif modality == "image" or config.augment.audio:  # pixels are features as they are
            continue
        name = f"{reading_of(config, modality).name} | {kind} {_digest(part)}"
        shape = tuple(part(store.read(store.entry[:1])).shape[1:])
        folder = prepared_folder(table, name)
        stores[modality] = derive(store, part, name, folder, f"computing {modality} {kind}", shape)
        kept[modality] = kind
    network.train()
    return {split: Rows(stores, of_split.target, of_split.rows) for split, of_split in rows.items()}, kept


@contextmanager
def use_cached(network: ClassifierNetwork, kept: Mapping[str, str]) -> Iterator[None]:
    """Within, the network takes what is kept in place of decoded files; the parts that made it are set aside."""
    whole = {
        m: (network.features[m], network.standardize[m], network.encoders[m], network.embedding_scale[m]) for m in kept
    }
    for modality, kind in kept.items():
        network.features[modality] = nn.Identity()
        if kind == "embedding":
            network.standardize[modality] = nn.Identity()
            network.embedding_scale[modality] = nn.Identity()
            network.encoders[modality] = Embedded(cast(Encoder, network.encoders[modality]).embedding_size)
    try:
        yield
    finally:
        for modality, (features, standardize, encoder, scale) in whole.items():
            network.features[modality] = features
            network.standardize[modality] = standardize
            network.encoders[modality] = encoder
            network.embedding_scale[modality] = scale
        network.train(network.training)  # the parts that were aside have not heard of it


def _digest(part: nn.Module) -> str:
    """16 hexadecimal digits that change with a module's structure or any of its numbers."""
    digest = hashlib.sha256(repr(part).encode())
    tensors: dict[str, Tensor] = {**dict(part.named_parameters()), **dict(part.named_buffers())}
    for name, value in sorted(tensors.items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
