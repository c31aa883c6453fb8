"""What the judge of translations is made of, where one is trained: small networks, or pretrained encoders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from sightsound.config import Config
from sightsound.encoders.embedded import EMBEDDED
from sightsound.errors import ConfigError, did_you_mean
from sightsound.modalities.base import modality


def evaluator_config(reading: Config, names: Sequence[str]) -> Config:
    """Returns the configuration of a judge that reads files as the translator does, with pretrained encoders.

    Args:
        reading: the translator's `reading_config()`.
        names: the encoders, at most one of each modality.

    Raises:
        ConfigError: there is no such encoder, it cannot be used here, or two are of one modality.
    """
    for name in names:
        if name not in EMBEDDED:
            raise ConfigError(f"There is no pretrained encoder {name!r}. {did_you_mean(name, EMBEDDED)}")
    kinds = [EMBEDDED[name].modality for name in names]
    if len(set(kinds)) < len(kinds):
        raise ConfigError(f"{' and '.join(names)} are of one modality; give one encoder of each.")
    sections: dict[str, Any] = {}
    for m, name in zip(kinds, names, strict=True):
        known = modality(m)
        fresh = known.with_clips_of(known.options(encoder=name, frozen=True), getattr(reading, m))
        known.with_checkpoint(fresh)  # where it is not installed, it fails before the table is read
        sections[m] = fresh
    return dataclasses.replace(reading, **sections)
