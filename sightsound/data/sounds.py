"""Sounds: a path, bytes, samples or an open sound -> a float32 waveform. The content decides the format.

libsndfile reads WAV, FLAC, OGG and MP3, PyAV the others; the length that a header declares is checked first.
"""

from __future__ import annotations

import contextlib
import io
import os
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sightsound.data.claims import Claim, Spliced, check_claim
from sightsound.data.containers import Track
from sightsound.data.opened import Source, binary, decoder_errors, name_of, stream
from sightsound.data.remarks import Remark, remark
from sightsound.data.signatures import HEAD, container, looks_like
from sightsound.data.waveforms import Waveform, check_length, mix_to_mono, skipped_samples, waveform
from sightsound.errors import FileError

NOTHING = np.zeros((0, 1), np.float32)
BLOCK = 65536  # samples decoded at once where one clip follows the other
MOST_FRAMES = 2**40  # largest length that a header may declare; libsndfile gives 2**63 where it is unknown
MOST_HZ = 10_000_000
MOST_VALUES = 2**29  # samples times channels in memory at once, 2 GiB
LONG_SECONDS = 60.0  # from which on the last sample is read before a length is trusted
LOST_SECONDS = 0.1  # of an MP3 that its decoder may drop, for its delay or an incomplete first frame
LEAST_CUT_SECONDS = 0.05  # by which a sound must exceed a clip to be remarked


class Sound:
    """An open sound, whose samples are read by their place; one clip after the other is one pass.

    Args:
        name: the name of the sound, for messages.
        rate_hz: sample rate.
        frames: number of samples of each channel.
    """

    channels = 1

    def __init__(self, name: str, rate_hz: float, frames: int) -> None:
        self.name, self.rate_hz, self.frames = name, rate_hz, frames
        self._start = 0  # of what is kept
        self._kept = NOTHING
        if frames and 0 < rate_hz <= MOST_HZ:
            return
        self.close()
        rate = f"the sound has {rate_hz:g} samples a second; the limit is {MOST_HZ}"
        raise FileError(name, rate if frames else "the sound has no samples")

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its file, if there is one."""

    @property
    def seconds(self) -> float:
        """Returns the length in seconds."""
        return float(self.frames / self.rate_hz)

    def read(self, start: int, count: int) -> NDArray[np.float32]:
        """Reads (n, channels) samples from a place on; fewer at the end. Raises FileError."""
        count = max(min(count, self.frames - start), 0)
        if count * self.channels > MOST_VALUES:
            raise FileError(
                self.name,
                f"{count / self.rate_hz:.0f} s of {self.channels} channel(s) at {self.rate_hz:g} Hz do not fit into "
                "memory; take shorter clips: --audio.clip-seconds",
            )
        end = self._start + len(self._kept)
        with decoder_errors(self.name, "sound"):
            if len(self._kept) and self._start <= start <= end:
                kept = self._kept[start - self._start :]
                if start + count > end:
                    more = self._forward(max(start + count - end, BLOCK))
                    kept = np.concatenate([kept, more])
            else:
                self._go(start)
                kept = self._forward(count)
        self._start, self._kept = start, kept
        return kept[:count]

    def look_at_end(self) -> None:
        """Raises FileError where a long sound lacks its last sample, since its length is only declared."""
        if self.seconds > LONG_SECONDS and not len(self.read(self.frames - 1, 1)):
            raise FileError(self.name, f"the sound is cut off: it ends before its {self.frames} samples")

    def lost(self, there: int, wanted: int) -> str:
        """Returns why a lack of samples is a fault; "" where it is not."""
        return f"the sound is cut off: {there} of {wanted} samples are there" if there < wanted else ""

    def _go(self, start: int) -> None:
        raise NotImplementedError

    def _forward(self, count: int) -> NDArray[np.float32]:
        raise NotImplementedError


class FileSound(Sound):
    """A sound that libsndfile reads."""

    def __init__(self, name: str, file: soundfile.SoundFile, content: str | io.IOBase, exact: bool) -> None:
        self.file, self.content, self.exact, self.channels = file, content, exact, file.channels
        super().__init__(name, file.samplerate, file.frames)

    def close(self) -> None:
        """See `Sound`."""
        self.file.close()
        if not isinstance(self.content, str):
            self.content.close()

    def lost(self, there: int, wanted: int) -> str:
        """See `Sound`; of an MP3 the decoder may drop a little."""
        little = not self.exact and wanted - there <= LOST_SECONDS * self.rate_hz
        return "" if little else super().lost(there, wanted)

    def _go(self, start: int) -> None:
        if start != self.file.tell():
            self.file.seek(start)

    def _forward(self, count: int) -> NDArray[np.float32]:
        return np.asarray(self.file.read(count, dtype="float32", always_2d=True))


class TrackSound(Sound):
    """A sound that PyAV reads, forwards only, so that seeking back restarts from the beginning."""

    def __init__(self, name: str, file: BinaryIO, kind: str) -> None:
        self.file = file
        try:
            self.track = Track(file, kind, name)
            super().__init__(name, self.track.rate_hz, self.track.frames)
            self.blocks, self.place = self.track.blocks(), 0
            self.left = next(self.blocks, NOTHING)
        except FileError:
            self.close()
            raise
        self.channels = self.left.shape[1]

    def close(self) -> None:
        """See `Sound`."""
        self.file.close()

    def lost(self, there: int, wanted: int) -> str:
        """Returns "": encoders add silence at both ends, which counts in the length; `Track` detects truncation."""
        return ""

    def _go(self, start: int) -> None:
        if start < self.place:
            self.blocks, self.place, self.left = self.track.blocks(), 0, self.left[:0]
        while self.place < start and len(self._forward(min(start - self.place, BLOCK))):
            pass

    def _forward(self, count: int) -> NDArray[np.float32]:
        parts, there = [self.left], len(self.left)
        while there < count and len(block := next(self.blocks, self.left[:0])):
            parts.append(block)
            there += len(block)
        whole = np.concatenate(parts)
        self.left, found = whole[count:], whole[:count]
        self.place += len(found)
        return found


class ArraySound(Sound):
    """Samples (N,) or (N, channels) float in memory."""

    def __init__(self, samples: NDArray[Any], rate_hz: float) -> None:
        super().__init__("array", rate_hz, len(samples))
        self.samples = samples

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Returns (n,) or (n, channels) samples from a place on."""
        return self.samples[start : start + count]


GivenSound = Source | Sound | tuple[NDArray[Any], float]


def open_sound(given: GivenSound) -> AbstractContextManager[Sound]:
    """Opens a sound without decoding its samples; one that is open already stays open. Raises FileError."""
    if isinstance(given, Sound):
        return contextlib.nullcontext(given)
    return ArraySound(*given) if isinstance(given, tuple) else _opened(given)


def _opened(source: Source) -> Sound:
    name, opened = name_of(source), stream(source)
    with binary(opened) as file:
        head = file.read(HEAD)
        kind, claim = container(head), Claim()
        if not kind:
            claim = check_claim(file, head[:4])
    if claim.fault:
        raise FileError(name, claim.fault)
    if kind:
        return TrackSound(name, binary(opened), kind)
    file_like = Spliced(claim.head, binary(opened), claim.skip) if claim.head else opened
    try:
        # as bytes, since soundfile rejects names outside the system's encoding
        named = os.fsencode(file_like) if isinstance(file_like, str) and os.name == "posix" else file_like
        sound = soundfile.SoundFile(named)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        kinds = "WAV, FLAC, OGG or MP3; MP4, M4A, AAC, WebM or AMR with the extra `video`"
        raise FileError(name, f"this is no sound ({kinds}); it {looks_like(head)}") from error
    if sound.frames > MOST_FRAMES:
        sound.close()
        return TrackSound(name, binary(opened), "ogg")
    return FileSound(name, sound, file_like, claim.exact)


def probe_audio(given: GivenSound) -> float:
    """Returns the length in seconds. Where the header lacks it or cannot be trusted, the whole file is read.

    Raises FileError.
    """
    with open_sound(given) as sound:
        sound.look_at_end()
        return sound.seconds


class Excerpt(NamedTuple):
    """Decoded samples (N,) or (N, channels) float at `rate_hz`, and their offset in the sound `name`."""

    samples: NDArray[Any]
    rate_hz: float
    start_seconds: float
    name: str


def excerpt(given: GivenSound, clip_seconds: float, crop: str, start_seconds: float) -> Excerpt:
    """Reads the samples of a clip; arguments and errors are those of `read_audio`."""
    with open_sound(given) as sound:
        rate = sound.rate_hz
        wanted = int(np.ceil(clip_seconds * rate))
        before = round(start_seconds * rate)
        check_length(sound.frames, rate, sound.name)
        spare = sound.frames - before - wanted
        if spare > LEAST_CUT_SECONDS * rate:
            remark(Remark.CUT)
        start = before + skipped_samples(spare, crop)
        samples = sound.read(start, wanted)
        whole = max(min(wanted, sound.frames - start), 0)
        if fault := sound.lost(len(samples), whole):
            raise FileError(sound.name, fault)
        if not len(samples):  # the last clip begins in samples that the decoder dropped
            samples = np.zeros((max(whole, 1), sound.channels), np.float32)
    return Excerpt(samples, rate, start / rate, sound.name)


def read_audio(
    given: GivenSound, sample_rate_hz: int, clip_seconds: float, crop: str = "start", start_seconds: float = 0.0
) -> Waveform:
    """Decodes, mixes to mono, resamples, and cuts or pads a sound.

    Args:
        given: path or bytes of a sound of any rate and number of channels; samples (N,) or (N, channels) float and
            their rate in Hz; or an open sound.
        sample_rate_hz: sample rate of the result.
        clip_seconds: length of the result. A shorter sound is padded with silence at its end.
        crop: which part of a longer sound is used: start, center or end.
        start_seconds: where in the sound to start.

    Returns:
        (N,) float32 in [-1, 1], N = clip_seconds * sample_rate_hz, in steps of 16 bits. A sound louder than full scale
        is scaled down.

    Raises:
        FileError: whatever is wrong with the file.
    """
    part = excerpt(given, clip_seconds, crop, start_seconds)
    mono = mix_to_mono(part.samples, part.name)
    return waveform(mono, part.rate_hz, sample_rate_hz, clip_seconds, crop, part.name)
