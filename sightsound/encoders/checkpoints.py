"""Pretrained encoders by name, wherever their weights come from: `hf:NAME` (Hugging Face), or in a package.

A description, which the configuration keeps as `pretrained`, rebuilds the encoder without its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sightsound.encoders import embedded, pretrained
from sightsound.encoders.base import Encoder
from sightsound.encoders.embedded import EMBEDDED
from sightsound.encoders.pretrained import PREFIX, Checkpoints
from sightsound.errors import ConfigError

MORE = 1_000_000  # parameters that a description may have beyond twice the saved ones: heads and poolers are dropped


def is_pretrained(encoder: str) -> bool:
    """Returns whether this is the name of a pretrained encoder."""
    return encoder.startswith(PREFIX) or encoder in EMBEDDED


def describe(encoder: str, kind: Checkpoints) -> dict[str, Any] | None:
    """Returns the description of a pretrained encoder; None for the name of any other. Raises ConfigError."""
    if encoder in EMBEDDED:
        return embedded.describe(encoder, kind.modality)
    return pretrained.describe(encoder.removeprefix(PREFIX), kind) if encoder.startswith(PREFIX) else None


def load(encoder: str, description: dict[str, Any], kind: Checkpoints, shape: tuple[int, ...]) -> Encoder:
    """Builds the encoder with its pretrained weights. Raises ConfigError."""
    if embedded.KEY in description:
        return embedded.load(description, shape)
    return pretrained.load(encoder.removeprefix(PREFIX), description, kind, shape)


def build(description: dict[str, Any], kind: Checkpoints, shape: tuple[int, ...]) -> Encoder:
    """Builds the encoder with random weights. Raises ConfigError."""
    if embedded.KEY in description:
        return embedded.build(description, shape)
    return pretrained.build(description, kind, shape)


def check_weights(
    description: dict[str, Any], kind: Checkpoints, shape: tuple[int, ...], saved: Mapping[str, Tensor]
) -> None:
    """Raises ConfigError for the description of another encoder than the saved one, without allocating it."""
    if embedded.KEY not in description:
        most = 2 * sum(tensor.numel() for tensor in saved.values()) + MORE
        return pretrained.check_size(description, kind, most)
    with torch.device("meta"):  # shapes without numbers
        expected = embedded.build(description, shape).state_dict()
    if {name: tensor.shape for name, tensor in expected.items()} != {n: tensor.shape for n, tensor in saved.items()}:
        raise ConfigError(f"the weights are not those of the {kind.modality} encoder {description[embedded.KEY]}")
    return None
