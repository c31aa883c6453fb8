"""Data sets known by name; each becomes a folder with a `table.csv`. One small file each."""

from __future__ import annotations

import functools

from sightsound.data.sources import avmnist, digits, folder, fsdd, hub, mnist, pairs, speech_commands, video, yamnet
from sightsound.data.sources.base import DataSource, SourceOptions
from sightsound.errors import SourceError, did_you_mean

SOURCES: dict[str, DataSource] = {
    "digits": digits.SOURCE,
    "mnist": mnist.SOURCE,
    "fsdd": fsdd.SOURCE,
    "speech-commands": speech_commands.SOURCE,
    "mnist+fsdd": pairs.FSDD,
    "mnist+speech-commands": pairs.SPEECH_COMMANDS,
    "digit-sum": pairs.DIGIT_SUM,
    "avmnist": avmnist.SOURCE,
    "folder": folder.SOURCE,
    "video": video.SOURCE,
    "yamnet": yamnet.SOURCE,
}


def source(name: str) -> DataSource:
    """Returns the data set of a name, which may be `hub:OWNER/NAME`. Raises SourceError."""
    if name.startswith(hub.PREFIX):
        build = functools.partial(hub.build, name.removeprefix(hub.PREFIX))
        return DataSource(f"the Hugging Face data set {name.removeprefix(hub.PREFIX)}", "as it says", build)
    if name not in SOURCES:
        raise SourceError(f"There is no data set {name!r}. {did_you_mean(name, SOURCES)} Or hub:OWNER/NAME.")
    return SOURCES[name]


__all__ = ["SOURCES", "DataSource", "SourceOptions", "source"]
