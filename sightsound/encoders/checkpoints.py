"""Pretrained encoders by name, wherever their weights come from: `hf:NAME` (Hugging Face), a package, a file.

A description, which the configuration keeps as `pretrained`, rebuilds the encoder without its weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from sightsound.encoders import embedded, pretrained
from sightsound.encoders.base import Encoder
from sightsound.encoders.embedded import EMBEDDED
from sightsound.encoders.pretrained import PREFIX, Checkpoints
from sightsound.errors import ConfigError

T = TypeVar("T")
MORE = 1_000_000  # parameters that a description may have beyond twice the saved ones: heads and poolers are dropped


def is_pretrained(encoder: str) -> bool:
    """Returns whether this is the name of a pretrained encoder."""
    return encoder.startswith(PREFIX) or encoder in EMBEDDED


def embedded_encoders(modality: str) -> dict[str, type[Encoder]]:
    """Returns the encoders of a modality of the package itself that are pretrained, by name."""
    return {name: source.encoder for name, source in EMBEDDED.items() if source.modality == modality}


def describe(encoder: str, kind: Checkpoints) -> dict[str, Any] | None:
    """Returns the description of a pretrained encoder; None for the name of any other. Raises ConfigError."""
    if encoder in EMBEDDED:
        return embedded.describe(encoder, kind.modality)
    return pretrained.describe(encoder.removeprefix(PREFIX), kind) if encoder.startswith(PREFIX) else None


def with_taken(options: T, section: str, takes: Mapping[str, Any], ignored: tuple[str, ...] = ()) -> T:
    """Returns a modality's options with what its pretrained encoder takes.

    Args:
        options: the section as the user gave it.
        section: its name, for messages.
        takes: options by name, which the encoder dictates.
        ignored: names of options that have no effect with this encoder.

    Raises:
        ConfigError: the user asked for something else, which would be overruled.
    """
    defaults, encoder = type(options)(), cast(Any, options).encoder
    for name in (*takes, *ignored):
        given = getattr(options, name)
        if name in takes and given not in (getattr(defaults, name), takes[name]):
            raise ConfigError(f"{section}.{name} is {given}; {encoder} takes {takes[name]}. Leave it away.")
        if name in ignored and given != getattr(defaults, name):
            raise ConfigError(f"{section}.{name} is {given}; it has no effect, since {encoder} has frames of its own.")
    made: T = dataclasses.replace(cast(Any, options), **takes)
    return made


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
