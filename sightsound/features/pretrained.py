"""A checkpoint's own preprocessing of sounds: (B, N) waveforms -> its network's input. Needs `pretrained`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LOUDER_DB = 10.0  # to measure in what units the features are


class CheckpointFeatures(nn.Module):
    """Hugging Face's feature extractor of a checkpoint, as a module without parameters.

    Args:
        description: the extractor's own description.
        sample_rate_hz: sample rate of the waveforms.
        samples: N.
    """

    def __init__(self, description: dict[str, Any], sample_rate_hz: int, samples: int) -> None:
        super().__init__()
        import transformers

        kind = getattr(transformers, str(description["feature_extractor_type"]), None)
        if not isinstance(kind, type) or not issubclass(kind, transformers.FeatureExtractionMixin):
            raise ValueError(f"transformers has no feature extractor {description['feature_extractor_type']!r:.100}")
        extractor: Any = kind
        self.extract = extractor.from_dict(description)
        self.sample_rate_hz = sample_rate_hz
        with torch.no_grad():
            self.shape: tuple[int, ...] = tuple(self(torch.zeros(1, samples)).shape[1:])
            noise = torch.randn(1, samples, generator=torch.Generator().manual_seed(0)) / LOUDER_DB
            louder = self(noise * 10 ** (LOUDER_DB / 20)) - self(noise)
        self.decibel = louder.max().item() / LOUDER_DB  # by which they change where the sound is 1 dB louder

    def forward(self, wave: Tensor) -> Tensor:
        """(B, N) in [-1, 1] -> (B, *shape)."""
        waves = list(wave.detach().float().cpu().numpy())
        found = self.extract(waves, sampling_rate=self.sample_rate_hz, return_tensors="pt")
        name = next(name for name in ("input_values", "input_features") if name in found)
        features: Tensor = found[name]
        return features.to(wave.device)


def image_statistics(description: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Returns the mean and standard deviation of each channel of a checkpoint's images, in grey levels of 255."""
    scale = 1 / description.get("rescale_factor", 1 / 255) if description.get("do_rescale", True) else 1.0
    if not description.get("do_normalize", True):
        return [0.0] * 3, [scale] * 3
    mean, std = description.get("image_mean") or [0.5] * 3, description.get("image_std") or [0.5] * 3
    return [value * scale for value in mean], [value * scale for value in std]


def image_side(description: dict[str, Any]) -> tuple[int, int]:
    """Returns (height, width) of a checkpoint's images, in pixels."""
    size = description.get("crop_size") if description.get("do_center_crop") else None
    size = size or description.get("size") or {"height": 224, "width": 224}
    if isinstance(size, int):
        return size, size
    return int(size.get("height") or size["shortest_edge"]), int(size.get("width") or size["shortest_edge"])
