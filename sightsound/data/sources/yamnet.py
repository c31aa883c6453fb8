"""Weights of the audio encoder `yamnet`, which are fetched as data are, and are no table."""

from __future__ import annotations

from pathlib import Path

from sightsound.data.sources.base import DataSource, SourceOptions
from sightsound.downloads import YAMNET
from sightsound.errors import SourceError

ENCODER = "--audio.encoder yamnet"


def build(options: SourceOptions, folder: Path) -> None:
    """Raises SourceError: there is nothing to build."""
    raise SourceError(f"yamnet has no rows to train on: it is an encoder. Give it sounds: {ENCODER}")


SOURCE = DataSource(
    about="no data, but the weights of the audio encoder yamnet, for sounds of any kind",
    licence="Apache-2.0; M. Plakal and D. Ellis, YAMNet, as Google Coral publishes it",
    build=build,
    downloads=(YAMNET,),
    encoder=ENCODER,
)
