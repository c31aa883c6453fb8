"""Reads sounds that libsndfile cannot read by PyAV (the extra `video`): MP4, M4A, AAC, WebM, AMR.

Samples are decoded in order only, in blocks, so that a long sound is never in memory as a whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sightsound.errors import FileError, needs_extra

WITH_LENGTHS = "mov"  # the format whose tracks declare their length, so that truncation can be detected
SHORTER = 0.02  # share of the length that may be missing, for what encoders add at both ends


class Track:
    """The first sound in a file.

    Args:
        file: the file, at its first byte.
        kind: FFmpeg's name of the format.
        name: the name of the file, for messages.

    Raises:
        FileError: the extra is missing, there is no sound, or it is damaged or truncated.
    """

    def __init__(self, file: BinaryIO, kind: str, name: str) -> None:
        self.file, self.kind, self.name = file, kind, name
        self.av = _av(name)
        with self._opened() as (_, stream):
            self.rate_hz = int(getattr(stream, "rate", 0) or 0)  # a stream of an unknown codec has none
        self.frames = self._counted() if self.rate_hz else 0

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        self.file.seek(0)
        try:
            with self.av.open(self.file, format=self.kind) as container:
                if not container.streams.audio:
                    raise FileError(self.name, "there is no sound in it")
                yield container, container.streams.audio[0]
        except (self.av.error.FFmpegError, OSError, ValueError) as error:
            raise FileError(self.name, f"the sound is damaged or cut off ({error})") from error

    def _counted(self) -> int:
        """Counts the samples from the durations of the packets, and not from the header."""
        with self._opened() as (container, stream):
            packets = sum(packet.duration or 0 for packet in container.demux(stream))
            declared = stream.duration if WITH_LENGTHS in container.format.name else None
            if declared and packets < declared * (1 - SHORTER):
                raise FileError(
                    self.name,
                    f"the sound is cut off: {float(packets * stream.time_base):.2f} of "
                    f"{float(declared * stream.time_base):.2f} s are there",
                )
            if packets:
                return round(float(packets * stream.time_base) * self.rate_hz)
        return sum(len(block) for block in self.blocks())

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yields blocks (n, channels) float32 in order, from the start."""
        with self._opened() as (container, stream):
            resampler = self.av.AudioResampler(format="fltp", rate=self.rate_hz)
            for frame in container.decode(stream):
                for block in resampler.resample(frame):
                    yield block.to_ndarray().T
            for block in resampler.resample(None):
                yield block.to_ndarray().T


def _av(name: str) -> ModuleType:
    try:
        import av
    except Exception as error:  # a damaged library raises anything
        why = needs_extra("video", error)
        raise FileError(name, f"this is an MP4, M4A, AAC, WebM or AMR file. Reading it {why}") from error
    module: ModuleType = av
    return module
