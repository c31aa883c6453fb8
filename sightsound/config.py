"""All options of a training, each declared once: Python arguments, YAML, command line and saved copy are made from it.

Fields that are None are filled in from the data when training starts; the copy saved with the run has them all.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from sightsound.errors import ConfigError, did_you_mean
from sightsound.types import MODALITIES


@dataclass(frozen=True)
class ColumnsConfig:
    """Names of the table's columns."""

    image: str = "image"
    """Path of the image; an empty path means that it is missing."""
    audio: str = "audio"
    """Path of the sound; an empty path means that it is missing."""
    label: str = "label"
    """The class."""
    split: str = "split"
    """train, val or test; without this column the rows are split by chance, 70/15/15."""
    group: str = "group"
    """Rows of one group (a speaker, a site) never end up on both sides of a split."""


@dataclass(frozen=True)
class ImageConfig:
    """How images are read and encoded."""

    encoder: str = "resnet"
    """resnet, cnn, or package.module.Class."""
    height: int | None = None
    """Pixels; default: those of the typical image, at most 64."""
    width: int | None = None
    """Pixels; default: those of the typical image, at most 64."""
    channels: Literal[1, 3] | None = None
    """1 grey, 3 colour; default: 3 if any image has colour."""


@dataclass(frozen=True)
class AudioConfig:
    """How sounds are read and encoded."""

    encoder: str = "convnet"
    """convnet, bilstm, or package.module.Class."""
    sample_rate_hz: int = 16000
    """Every sound is resampled to this."""
    clip_seconds: float | None = None
    """Every sound is cut or padded to this; default: long enough for 95 % of the sounds, at most 10."""
    crop: Literal["start", "center", "end"] = "start"
    """Which part of a longer sound is kept; a shorter one is padded with silence at the end."""
    window_ms: float = 32.0
    """Length of one spectrogram window."""
    hop_ms: float = 12.5
    """Step from one spectrogram frame to the next; 12.5 gives 80 frames a second."""
    mel_bins: int = 64
    """Mel bands of a frame."""


@dataclass(frozen=True)
class Config:
    """Options of one training."""

    fusion: str = "concat"
    """concat, average, vote, mmtm, or package.module.Class."""
    modalities: tuple[str, ...] = MODALITIES
    """The senses to use; with one alone there is nothing to fuse."""
    image: ImageConfig = field(default_factory=ImageConfig)
    """How images are read and encoded."""
    audio: AudioConfig = field(default_factory=AudioConfig)
    """How sounds are read and encoded."""
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    """Names of the table's columns."""
    on_bad_file: Literal["stop", "skip"] = "stop"
    """stop: say which files are bad and end; skip: leave their rows out."""
    schedule: Literal["joint", "staged"] = "joint"
    """joint: all at once; staged: each sense first, then the fusion on the frozen encoders."""
    epochs: int | None = None
    """Most epochs (of each stage); default: 1,000 steps' worth, at least 10 and at most 100."""
    patience: int = 10
    """Stop after so many epochs without a better macro F1 on the validation rows."""
    batch_size: int = 64
    """Rows per step."""
    learning_rate: float = 3e-3
    """Peak of the schedule: short warm-up, then a cosine down to zero."""
    weight_decay: float = 0.01
    """Of AdamW."""
    modality_dropout: float | None = None
    """Share of the complete training rows in which one sense is hidden; default: 0.2, hierarchical strategies 0.5."""
    seed: int = 0
    """Of the split, the weights, the order of the rows and the dropout."""
    precision: str = "auto"
    """auto, or any precision of Lightning; auto is bf16-mixed where the processor has bfloat16, else 32-true."""
    accelerator: str = "auto"
    """auto, cpu, gpu, mps, ..."""

    def __post_init__(self) -> None:
        if not self.modalities or set(self.modalities) - set(MODALITIES):
            raise ConfigError(f"modalities is {list(self.modalities)}; it takes one or both of {list(MODALITIES)}.")
        ordered = tuple(m for m in MODALITIES if m in self.modalities)  # YAML and JSON bring a list, in any order
        object.__setattr__(self, "modalities", ordered)
        positive = {
            "epochs": self.epochs,
            "patience": self.patience,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "image.height": self.image.height,
            "image.width": self.image.width,
            "audio.sample_rate_hz": self.audio.sample_rate_hz,
            "audio.clip_seconds": self.audio.clip_seconds,
            "audio.window_ms": self.audio.window_ms,
            "audio.hop_ms": self.audio.hop_ms,
            "audio.mel_bins": self.audio.mel_bins,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise ConfigError(f"{name} is {value}; it must be above 0.")
        if self.modality_dropout is not None and not 0 <= self.modality_dropout < 1:
            raise ConfigError(f"modality_dropout is {self.modality_dropout}; it must be at least 0 and below 1.")


def image_shape(config: Config) -> tuple[int, int, int]:
    """(height, width, channels) of a configuration that has them filled in. Raises ConfigError if not."""
    image = config.image
    if image.height is None or image.width is None or image.channels is None:
        raise ConfigError("image.height, image.width and image.channels are not filled in yet.")
    return image.height, image.width, image.channels


def clip_seconds(config: Config) -> float:
    """Length of every clip, of a configuration that has it filled in. Raises ConfigError if not."""
    if config.audio.clip_seconds is None:
        raise ConfigError("audio.clip_seconds is not filled in yet.")
    return config.audio.clip_seconds


SECTIONS = {"image": ImageConfig, "audio": AudioConfig, "columns": ColumnsConfig}


def from_dict(values: dict[str, Any]) -> Config:
    """The inverse of `dataclasses.asdict`; sections may be dicts or dataclasses, and may be partial.

    Raises:
        ConfigError: an unknown option.
    """
    filled = dict(values)
    check_names(Config, filled, "")
    for name, section in SECTIONS.items():
        if isinstance(filled.get(name), dict):
            check_names(section, filled[name], f"{name}.")
            filled[name] = section(**filled[name])
    return Config(**filled)


def check_names(kind: type[Any], values: dict[str, Any], prefix: str) -> None:
    """Raises ConfigError for a key of `values` that is no field of the dataclass `kind`."""
    known = [f.name for f in dataclasses.fields(kind)]
    for name in values:
        if name not in known:
            raise ConfigError(f"There is no option {prefix}{name}. {did_you_mean(name, known)}")
