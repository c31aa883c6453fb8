"""Caches what need not be computed in every epoch: features without augmentation, embeddings of frozen encoders.

They are computed once and cached on disk; a network that shares the other parts reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
from sightsound.modalities.base import modality
from sightsound.network.classifier import ClassifierNetwork


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
        part: nn.Module = network.features[m]
        kind = "features"
        if getattr(config, m).frozen and not network.exchanges:
            part = nn.Sequential(part, network.standardize[m], network.encoders[m])
            kind = "embedding"
        elif not modality(m).caches_features(config):
            continue
        name = f"{reading_of(config, m).name} | {kind} {_digest(part)}"
        shape = tuple(part(store.read(store.entry[:1])).shape[1:])
        stores[m] = derive(store, part, name, prepared_folder(table, name), f"computing {m} {kind}", shape)
        cached[m] = kind
    network.train()
    return {split: Rows(stores, of_split.target, of_split.rows) for split, of_split in rows.items()}, cached


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
        embedding_scale={m: nn.Identity() for m in embedded},
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
