"""Sounds: decoded waveforms (N,) in [-1, 1] -> log-mel features (T, F), or a checkpoint's own features."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightsound.config import AudioConfig, Config
from sightsound.config.parts import part_in_words
from sightsound.data.clips import clip_starts
from sightsound.data.decode import reader
from sightsound.data.files import FULL_SCALE, Sound, given_audio, open_sound, read_audio
from sightsound.data.interpolated import audio_damage, mended_audio, read_interpolated_audio
from sightsound.data.prepared.reading import audio_header
from sightsound.data.remarks import Remark
from sightsound.encoders import ENCODERS, checkpoints, embedded, speech, yamnet
from sightsound.encoders.base import Encoder
from sightsound.encoders.pretrained import Checkpoints
from sightsound.errors import ConfigError
from sightsound.features.audio import LogMel, frames
from sightsound.features.augment import AugmentWaveform, FilterFrames, MaskFrames
from sightsound.features.pretrained import CheckpointFeatures
from sightsound.features.speech import SpeechFrames
from sightsound.features.yamnet import YamnetFrames
from sightsound.missing.signals import interpolate_audio
from sightsound.modalities.base import Array, Augmentation, Features, Interpolation, Modality, Reader, Rng
from sightsound.modalities.corruptions import AUDIO, Setting, corrupt_audio
from sightsound.modalities.media import Shown, frames_uri, wav_uri

LONGEST_CLIP = 10.0  # seconds, unless the user asks for more
WINDOW_SECONDS = {"speech": speech.WINDOW / 100, "yamnet": yamnet.WINDOW / 100}  # seen at once, in frames of 10 ms
FRAME_SECONDS, BURST = 0.01, 5  # frames that are lost together in a robustness study: 50 ms


class AudioModality(Modality):
    """Sounds of any rate, length and number of channels, brought to one rate and to clips of one length."""

    name, noun, plural = "audio", "a sound", "sounds"
    options = AudioConfig
    small_encoder = "convnet"
    headers = sizes = ("seconds",)
    dtype = "int16"
    cuts_clips = True
    endings = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".amr", ".weba"})
    synonyms = frozenset({"sound", "wav", "audio_path", "audio_file"})
    interpolation = Interpolation(read_interpolated_audio, mended_audio, audio_damage)
    augmented = ("decoded", "features")
    corruptions = tuple(AUDIO)
    lost_part = "lost frames"
    checkpoints = Checkpoints(
        "audio", frozenset({"input_values", "input_features"}), "AutoFeatureExtractor", "audio_model"
    )
    remarks = {
        Remark.CONSTANT: ("are silent", "silent"),
        Remark.CANCELLED: (
            "have channels that cancel each other, so the louder one was taken",
            "channels that cancel each other; the louder one was taken",
        ),
        Remark.CUT: ("", "longer than a clip; the rest was not used"),
    }

    @property
    def encoders(self) -> dict[str, type[Encoder]]:
        """The registered encoders by name."""
        return ENCODERS["audio"]

    @property
    def read(self) -> Reader:
        """(N,) float32 in [-1, 1]; see `data.files.read_audio`."""
        return read_audio

    def read_options(self, options: AudioConfig) -> dict[str, Any]:
        """Returns the rate, the length, and which part of a longer sound is used."""
        crop = "start" if options.step_seconds else options.crop
        return {"sample_rate_hz": options.sample_rate_hz, "clip_seconds": seconds_of(options), "crop": crop}

    @property
    def header(self) -> Callable[[Any], Array]:
        """See `data.prepared.reading.audio_header`."""
        return audio_header

    def given(self, value: Any) -> Any:
        """Accepts pairs of samples and rate too; see `data.values.given_audio`."""
        return given_audio(value)

    def open(self, given: Any) -> AbstractContextManager[Sound]:
        """Opens the sound for several clips. Raises FileError."""
        return open_sound(given)

    def complete(self, options: AudioConfig, headers: Array) -> AudioConfig:
        """Sets clips that are long enough for 95 % of the sounds, at most 10 s."""
        if options.clip_seconds is not None:
            return options
        usual = math.ceil(10 * float(np.percentile(headers, 95))) / 10
        return dataclasses.replace(options, clip_seconds=min(usual, LONGEST_CLIP))

    def with_checkpoint(self, options: AudioConfig) -> AudioConfig:
        """The rate that the checkpoint takes. Raises ConfigError where another one is given."""
        if (known := checkpoints.describe(options.encoder, self.checkpoints)) is None:
            return options
        takes = {"sample_rate_hz": known["processor"]["sampling_rate"]}
        made = checkpoints.with_taken(options, self.name, takes, ignored=("window_ms", "hop_ms", "mel_bins"))
        return dataclasses.replace(made, pretrained=known)

    def with_clips_of(self, options: AudioConfig, sized: AudioConfig) -> AudioConfig:
        """See the base class."""
        return dataclasses.replace(options, clip_seconds=sized.clip_seconds)

    def cuts(self, asked: AudioConfig, options: AudioConfig, headers: Array) -> list[str]:
        """Reports sounds that are longer than a clip, and clips that are short for a pretrained encoder."""
        found, name = [], str((options.pretrained or {}).get(embedded.KEY))
        window = WINDOW_SECONDS.get(name, 0.0)
        if options.clip_seconds and options.clip_seconds < window / 2:
            found.append(
                f"clips of {options.clip_seconds:g} s are mostly silence to the encoder {name}, which sees {window:g} "
                "s at once"
            )
        longer = headers[:, 0] > (options.clip_seconds or math.inf) + 0.05
        if not longer.any() or asked.clip_seconds or asked.step_seconds:
            return found
        kept = {"start": "first", "center": "middle", "end": "last"}[options.crop]
        return [
            *found,
            f"{longer.sum()} of the {len(headers)} sounds that were looked at are longer than "
            f"{options.clip_seconds:g} s, the longest "
            f"{headers.max():.4g} s; of these the {kept} {options.clip_seconds:g} s are kept. "
            "--audio.clip-seconds keeps more, --audio.step-seconds cuts them into clips that all count",
        ]

    def blank(self, options: AudioConfig) -> Tensor:
        """(N,) of silence."""
        return torch.zeros(round(seconds_of(options) * options.sample_rate_hz))

    def step_seconds(self, options: AudioConfig) -> float | None:
        """Returns how far apart the clips of a long sound begin."""
        return options.step_seconds

    def clip_seconds(self, options: AudioConfig) -> float:
        """Returns the length of a clip."""
        return seconds_of(options)

    def clip_starts(self, opened: Sound, options: AudioConfig) -> list[float]:
        """Returns the starts of an open sound's clips, after checking the sound's end."""
        if not options.step_seconds:
            return [0.0]
        opened.look_at_end()
        return clip_starts(opened.seconds, seconds_of(options), options.step_seconds)

    def features(self, options: AudioConfig) -> Features:
        """Log-mel frames; or a checkpoint's own features, where the encoder is one."""
        if options.pretrained:
            made = checkpoint_features(options)
            return Features(made, 0, made.shape)
        frames = log_mel(options)
        return Features(frames, 0, frames.shape)

    def feature_shape(self, options: AudioConfig) -> tuple[int, ...]:
        """(T, F), where the features are our own."""
        return frames(options.sample_rate_hz, seconds_of(options), options.hop_ms), options.mel_bins

    def augmentation(self, config: Config) -> Augmentation:
        """Waveforms played faster, louder, later and in noise; frames filtered and masked."""
        given = config.augment
        shift = round(given.audio_shift_seconds * config.audio.sample_rate_hz)
        wave = AugmentWaveform(given.audio_speed, given.audio_gain_db, shift, given.audio_noise)
        masks = nn.Sequential(
            FilterFrames(given.audio_filter_db, decibel_of(config.audio)), MaskFrames(given.audio_masks)
        )

        def frames(features: Tensor) -> Tensor:
            return masks(features) if features.dim() == 3 else features  # some encoders take waveforms

        masked = given.audio_filter_db or given.audio_masks
        return Augmentation(wave if given.audio else None, frames if masked else None)

    def caches_features(self, config: Config) -> bool:
        """Returns whether features are cached, which they are where waveforms are not augmented."""
        return not config.augment.audio

    def corrupt(self, name: str, rows: Array, severity: int, options: AudioConfig, rng: Rng) -> Array:
        """Corrupts rows in 16 bits; see `modalities.corruptions`."""
        waves = rows.astype(np.float32) / FULL_SCALE
        setting = Setting(options.sample_rate_hz, rng, waves)
        made = np.stack([corrupt_audio(name, wave, severity, setting) for wave in waves])
        return np.clip(np.rint(made * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(rows.dtype)

    def lose(self, row: Array, share: float, options: AudioConfig, rng: Rng) -> Array:
        """Draws the lost samples (N,), in bursts of 50 ms."""
        return bursts(len(row), round(FRAME_SECONDS * options.sample_rate_hz), share, rng)

    def interpolate(self, row: Array, lost: Array, method: str, options: AudioConfig) -> Array:
        """Interpolates a row in 16 bits; see `missing.signals.interpolate_audio`."""
        wave = interpolate_audio(row.astype(np.float32) / FULL_SCALE, options.sample_rate_hz, lost, method)
        whole: Array = np.clip(np.rint(wave.values * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
        return whole

    def show(self, source: Any, config: Config) -> Shown:
        """Shows the network's input as a playable sound, and its log-mel frames over time. Raises FileError."""
        wave = reader(config, self.name)(source)
        work = len(source) if isinstance(source, bytes) else Path(source).stat().st_size
        sound = wav_uri(wave, config.audio.sample_rate_hz)
        return Shown(frames_uri(wave, log_mel(config.audio)), sound, "spectrogram", work)

    def describe(self, options: AudioConfig) -> str:
        """Length, rate, mel bins and encoder."""
        encoder = part_in_words(options.encoder, options.encoder_options)
        frames = "frames of its own" if options.pretrained else f"{options.mel_bins} mel bins"
        return f"{options.clip_seconds} s at {options.sample_rate_hz} Hz, {frames}, encoder {encoder}"


def checkpoint_features(options: AudioConfig) -> CheckpointFeatures | SpeechFrames | YamnetFrames:
    """Builds the features that a pretrained encoder takes."""
    samples, known = round(options.sample_rate_hz * seconds_of(options)), options.pretrained or {}
    if known.get(embedded.KEY) == "yamnet":
        return YamnetFrames(samples, yamnet.BINS, yamnet.WINDOW, yamnet.STEP)
    if embedded.KEY in known:
        return SpeechFrames(samples, speech.BINS, speech.WINDOW - speech.STEP)
    return CheckpointFeatures(known["processor"], options.sample_rate_hz, samples)


def decibel_of(options: AudioConfig) -> float:
    """Returns by how much the frames that an encoder takes change where the sound is 1 dB louder."""
    known = options.pretrained is not None and options.clip_seconds is not None
    return checkpoint_features(options).decibel if known else LogMel.decibel


def seconds_of(options: AudioConfig) -> float:
    """Returns the length of every clip. Raises ConfigError if it is not set."""
    if options.clip_seconds is None:
        raise ConfigError("audio.clip_seconds is not filled in yet.")
    return options.clip_seconds


def log_mel(options: AudioConfig) -> LogMel:
    """Builds the spectrogram of options with all sizes set."""
    return LogMel(options.sample_rate_hz, seconds_of(options), options.window_ms, options.hop_ms, options.mel_bins)


def bursts(samples: int, frame: int, share: float, rng: Rng) -> Array:
    """Draws (samples,) which are lost: a share of the frames, in bursts of `BURST` frames, which may join."""
    count = -(-samples // frame)
    lost: Array = np.zeros(count, bool)
    while lost.sum() < round(share * count):
        start = rng.integers(count)
        left = round(share * count) - int(lost.sum())
        lost[start : start + min(BURST, left)] = True
    return lost.repeat(frame)[:samples]


MODALITY = AudioModality()
