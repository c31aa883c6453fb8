"""Augmented views of the files that a frozen encoder's head learns from.

An encoder that is trained meets a changed copy of each file in every epoch. Of a frozen one the embeddings are computed
once; so that its head is augmented too, those of some changed copies are cached beside the file's own.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn

from sightsound.hardware import reseed
from sightsound.modalities.base import Augmentation

VIEWS = 4  # of each file; eight were no better (docs/results.md, "Few rows of photos and voices")
MOST_VIEWS = 1000  # of all files: computing them takes time, and where files are many they vary enough
AT_ONCE = 32  # files, so that their features need little memory


def views_of_each(change: Augmentation, files: int) -> int:
    """Returns how many views of each file are worth their time; 0 where files are many, or nothing is changed."""
    if change.decoded is None and change.features is None:
        return 0
    return min(VIEWS, MOST_VIEWS // max(files, 1))


class WithViews(nn.Module):
    """Embeds files and views of them: (B, ...) decoded -> (B, 1 + views, D), the unchanged file first.

    What is drawn for a file depends on its content alone, so that caching changes nothing.

    Args:
        features: decoded -> features.
        encode: features -> embeddings (B, D).
        change: the augmentation.
        views: of each file.
    """

    def __init__(self, features: nn.Module, encode: nn.Module, change: Augmentation, views: int) -> None:
        super().__init__()
        self.features, self.encode, self.change, self.views = features, encode, change, views

    def extra_repr(self) -> str:
        """Returns the number of views, for the name under which they are cached."""
        return f"views={self.views}"

    def forward(self, decoded: Tensor) -> Tensor:
        """See the class."""
        with torch.random.fork_rng(devices=[]):
            return torch.cat([self._embedded(some) for some in decoded.split(AT_ONCE)])

    def _embedded(self, decoded: Tensor) -> Tensor:
        features = torch.cat([self._featurized(one) for one in decoded])
        embeddings: Tensor = self.encode(features)
        return embeddings.reshape(len(decoded), 1 + self.views, -1)

    def _featurized(self, one: Tensor) -> Tensor:
        """Decoded (...) -> features (1 + views, *shape)."""
        reseed(zlib.crc32(one.contiguous().numpy().tobytes()))
        views = one.repeat(self.views, *[1] * one.dim())  # copies, since an augmentation may change its input
        changed = self.features(self.change.decoded(views) if self.change.decoded else views)
        changed = self.change.features(changed) if self.change.features else changed
        return torch.cat([self.features(one[None]).to(changed), changed])


class Unchanged(nn.Module):
    """The embeddings of the unchanged files: (B, 1 + views, D) or (B, D) -> (B, D)."""

    def forward(self, embeddings: Tensor) -> Tensor:
        """See the class."""
        return embeddings[:, 0] if embeddings.dim() == 3 else embeddings


def one_of_each(embeddings: Tensor) -> Tensor:
    """Draws the unchanged file or one of its views for each row: (B, 1 + views, D) -> (B, D)."""
    rows, count = embeddings.shape[:2]
    return embeddings[torch.arange(rows), torch.randint(count, (rows,), device=embeddings.device)]
