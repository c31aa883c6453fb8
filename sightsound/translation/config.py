"""Options of a translator, each declared once; the sections shared with a classifier are the classifier's."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from sightsound.config import AudioConfig, AugmentConfig, ColumnsConfig, Config, ImageConfig, from_sections
from sightsound.errors import ConfigError
from sightsound.modalities.base import with_small_encoder

MODALITIES = ("image", "audio")  # a translator maps one to the other


@dataclass(frozen=True)
class TranslatorConfig:
    """Options of one training of a translator."""

    image: ImageConfig = field(default_factory=ImageConfig)
    """How images are read and encoded."""
    audio: AudioConfig = field(default_factory=AudioConfig)
    """How sounds are read and encoded."""
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    """Names of the table's columns; the label is not read."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation of the training rows while the shared embedding space is trained."""
    on_bad_file: Literal["stop", "skip"] = "stop"
    """stop: say which files are bad and end; skip: leave their rows out."""
    meaning_size: int = 64
    """Numbers that say what an image or a sound is of, in the space that both share."""
    image_latent: int = 64
    """Numbers that an image is put together from."""
    audio_latent: int = 96
    """Numbers that a sound is put together from."""
    meaning_steps: int | None = None
    """Steps to train the shared embedding space; default: 1,000, or 10 passes over the pairs if that is more."""
    decoder_steps: int = 2000
    """Steps of 64 files to train the autoencoder of images, and as many for that of sounds."""
    flow_steps: int = 6000
    """Steps of 256 pairs to train the flow, which generates latents given shared embeddings."""
    batch_size: int = 256
    """Pairs per step while the shared embedding space is trained: each is contrasted with all others of its step."""
    learning_rate: float = 2e-3
    """Peak of every schedule: short warm-up, then a cosine down to zero."""
    vocoder: str = "griffin-lim"
    """What makes sound of log-mel frames: griffin-lim, or package.module.Class, a `Vocoder` of yours."""
    seed: int = 0
    """Of the split, the weights, the order of the pairs and all noise."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """auto is bf16-mixed where the processor is quick in bfloat16, else 32-true."""
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    """auto is a graphics processor where there is one."""

    def __post_init__(self) -> None:
        sizes = ("meaning_size", "image_latent", "audio_latent", "decoder_steps", "flow_steps", "batch_size")
        for name in (*sizes, "meaning_steps", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} is {value}; it must be above 0.")
        if self.batch_size < 2:
            raise ConfigError("batch_size is 1; a pair is told from the others of its step, so there must be some.")
        for name in MODALITIES:
            if (encoder := getattr(self, name).encoder).startswith("hf:"):
                raise ConfigError(f"{name}.encoder is {encoder!r}; a translator learns encoders of its own.")

    def reading_config(self) -> Config:
        """Returns the options of a classifier that reads and encodes files in the same way. Raises ConfigError."""
        from sightsound.encoders.checkpoints import is_pretrained  # brings torch, which --help does without

        shared = ("columns", "augment", "on_bad_file", "seed", "precision", "accelerator")
        if frozen := [name for name in MODALITIES if getattr(self, name).frozen]:
            raise ConfigError(
                f"{frozen[0]}.frozen leaves a pretrained encoder as it is; a translator learns encoders of its own. "
                "Leave it away."
            )
        sections = {name: with_small_encoder(name, getattr(self, name)) for name in MODALITIES}
        for name, section in sections.items():
            if is_pretrained(section.encoder):
                raise ConfigError(f"{name}.encoder is {section.encoder!r}; a translator learns encoders of its own.")
        return Config(**sections, **{name: getattr(self, name) for name in shared})

    def with_sizes(self, config: Config) -> TranslatorConfig:
        """Returns the options with the sizes of a resolved `reading_config()`."""
        return dataclasses.replace(self, image=config.image, audio=config.audio, precision=config.precision)


def translator_from_dict(values: dict[str, Any]) -> TranslatorConfig:
    """Builds options from `dataclasses.asdict`. Raises ConfigError for an unknown option."""
    made: TranslatorConfig = from_sections(TranslatorConfig, values)
    return made
