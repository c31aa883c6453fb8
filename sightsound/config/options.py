"""All options of a training, each declared once: Python arguments, YAML, command line and saved copy are made from it.

Fields that are None are set from the data when training starts; the copy saved with the run has them all.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from sightsound.config.checks import out_of_range
from sightsound.errors import ConfigError, did_you_mean
from sightsound.modalities.base import AUTO, MODALITIES
from sightsound.types import POLICIES

BUILT_IN = ("image", "audio")  # modalities whose sections stand in the classes below


@dataclass(frozen=True)
class ColumnsConfig:
    """Names of the table's columns, whatever their case and the blanks around them; and how its text is written."""

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
    time: str = "time"
    """A number that orders the rows of a group, so that a modality missing in one can be interpolated."""
    image_mask: str = "image_mask"
    """Path of an image of the same size, not black where the image is damaged."""
    audio_mask: str = "audio_mask"
    """Path of a CSV file with the columns start_seconds and end_seconds: where the sound is damaged."""
    separator: str | None = None
    """Between the columns of a CSV or TSV file; default: detected."""
    encoding: str | None = None
    """Of a text file, such as cp1252; default: detected."""


@dataclass(frozen=True)
class ImageConfig:
    """How images are read and encoded."""

    encoder: str = AUTO
    """auto (chosen by measurement), resnet, cnn, lite0 (pretrained on photos), hf:NAME (a Hugging Face vision model, or
    a folder with one), or package.module.Class."""
    encoder_options: dict[str, Any] = field(default_factory=dict)
    """Options of the encoder itself, such as --image.encoder.width 32 (docs/encoders.md)."""
    frozen: bool = False
    """Leave the encoder as it is, and compute its embeddings only once; for pretrained ones."""
    layer_decay: float = 0.8
    """A pretrained encoder that is trained on: each layer's learning rate as a multiple of the next one's."""
    height: int | None = None
    """Pixels; default: those of the typical image, at most 64."""
    width: int | None = None
    """Pixels; default: those of the typical image, at most 64."""
    channels: Literal[1, 3] | None = None
    """1 grey, 3 colour; default: 3 if any image has colour."""
    white: float | None = None
    """Value that is white in images of more than 8 bits that do not say it; default: from the range of all of them."""
    pretrained: dict[str, Any] | None = None
    """How a pretrained encoder is built; filled in from its checkpoint."""


@dataclass(frozen=True)
class AudioConfig:
    """How sounds are read and encoded."""

    encoder: str = AUTO
    """auto (chosen by measurement), convnet, bilstm, speech (pretrained on spoken words), yamnet (pretrained on sounds
    of any kind), hf:NAME (a Hugging Face audio model, or a folder with one), or package.module.Class."""
    encoder_options: dict[str, Any] = field(default_factory=dict)
    """Options of the encoder itself, such as --audio.encoder.width 32 (docs/encoders.md)."""
    frozen: bool = False
    """Leave the encoder as it is, and compute its embeddings only once; for pretrained ones."""
    layer_decay: float = 0.8
    """A pretrained encoder that is trained on: each layer's learning rate as a multiple of the next one's."""
    sample_rate_hz: int = 16000
    """Every sound is resampled to this."""
    clip_seconds: float | None = None
    """Every sound is cut or padded to this; default: long enough for 95 % of the sounds, at most 10."""
    crop: Literal["start", "center", "end"] = "start"
    """Which part of a longer sound is kept; a shorter one is padded with silence at the end."""
    step_seconds: float | None = None
    """A longer sound is cut into clips that start so far apart, in place of keeping one; the answers are averaged."""
    window_ms: float = 32.0
    """Length of one spectrogram window."""
    hop_ms: float = 12.5
    """Step from one spectrogram frame to the next; 12.5 gives 80 frames a second."""
    mel_bins: int = 64
    """Mel bands of a frame."""
    pretrained: dict[str, Any] | None = None
    """How a pretrained encoder is built and what it takes; filled in from its checkpoint."""


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation of the training rows, against overfitting; drawn again in each epoch."""

    image_shift: float = 0.07
    """Most that an image is moved, as a share of its sides."""
    image_rotate_degrees: float = 8.0
    """Most that an image is turned."""
    image_erase: float = 0.0
    """Share of the images of which a rectangle is erased (Zhong et al., 2020)."""
    image_flip: bool = False
    """Mirror half of the images; only where left and right do not matter."""
    audio_speed: float = 0.1
    """Most that a sound is played faster or slower, as a share; its pitch changes with it."""
    audio_gain_db: float = 6.0
    """Most that a sound is made louder or softer."""
    audio_filter_db: float = 4.0
    """Most that some mel bins are made louder and others softer, as other microphones would."""
    audio_shift_seconds: float = 0.05
    """Most that a sound is moved in time."""
    audio_noise: float = 0.3
    """Share of the sounds that get white noise, at 10 to 40 dB below the sound."""
    audio_masks: float = 0.1
    """Most of the frames, and of the mel bins, that are blanked out (SpecAugment, Park et al., 2019)."""
    mixup: float = 0.0
    """Parameter of the beta distribution that rows are blended by (Zhang et al., 2018); 0: not at all."""

    @property
    def image(self) -> bool:
        """Whether images are changed before they become features."""
        return bool(self.image_shift or self.image_rotate_degrees or self.image_erase or self.image_flip)

    @property
    def audio(self) -> bool:
        """Whether waveforms are changed before they become features."""
        return bool(self.audio_speed or self.audio_gain_db or self.audio_shift_seconds or self.audio_noise)


OFF: dict[str, Any] = {f.name: 0 for f in dataclasses.fields(AugmentConfig)}
NO_CHANGES = AugmentConfig(**OFF)


@dataclass(frozen=True)
class MissingConfig:
    """What is done about a modality that is missing or damaged.

    drop: leave the row out; ignore: answer from the others; linear, gaussian: interpolate damaged parts, and a whole
    modality along `time`; mean, nearest, predict, generate: fill it in from the other modality; or
    package.module.Class.
    """

    image: str = "ignore"
    """The policy for images."""
    audio: str = "ignore"
    """The policy for sounds."""

    def __post_init__(self) -> None:
        for name, policy in dataclasses.asdict(self).items():
            if policy not in POLICIES and "." not in policy:
                raise ConfigError(f"missing.{name} is {policy!r}. {did_you_mean(policy, POLICIES)}")


@dataclass(frozen=True)
class Config:
    """Options of one training."""

    fusion: str = "auto"
    """The strategy: auto (product with fewer than 100 complete training rows a class, else concat), concat, mmtm, ...
    (all: docs/fusion.md), or package.module.Class."""
    fusion_options: dict[str, Any] = field(default_factory=dict)
    """Options of the strategy itself, such as --fusion.width 128 (docs/fusion.md)."""
    modalities: tuple[str, ...] = BUILT_IN
    """The modalities to use; with one alone there is nothing to fuse."""
    image: ImageConfig = field(default_factory=ImageConfig)
    """How images are read and encoded."""
    audio: AudioConfig = field(default_factory=AudioConfig)
    """How sounds are read and encoded."""
    plugins: tuple[str, ...] = ()
    """Modules of your own to import first, such as one that registers a modality."""
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    """Names of the table's columns."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Augmentation of the training rows."""
    missing: MissingConfig = field(default_factory=MissingConfig)
    """What is done about a modality that is missing or damaged; --missing POLICY stands for both."""
    on_bad_file: Literal["stop", "skip"] = "stop"
    """stop: say which files are bad and end; skip: leave their rows out."""
    group_split: bool = False
    """Draw the split by whole groups, whatever the table's own split says; stops where rows have no group."""
    schedule: Literal["joint", "staged", "staged+finetune", "fusion+joint"] = "joint"
    """joint: all at once; staged: each modality first, then the fusion on the frozen encoders; +finetune: then all;
    fusion+joint: another fusion trains the encoders first, for classes that only both modalities determine."""
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    """How much a row counts in training. balanced: each class as much as every other, however rare it is; or a weight
    for each class that is to count more or less, such as defect=20,crack=5."""
    logit_adjustment: Literal["auto"] | float = 0.0
    """How much rare classes are favoured in choosing the answer: from 0 (the most probable class) to 1 (as if all were
    equally frequent); auto: what has the best macro F1 on validation rows. Probabilities stay as they are."""
    class_recall: dict[str, float] = field(default_factory=dict)
    """The recall that classes are to have at least, such as defect=0.95,crack=0.9: the probability from which each is
    answered is chosen on validation rows."""
    class_precision: dict[str, float] = field(default_factory=dict)
    """The precision that a class is to have at least; as class_recall."""
    balance: Literal[
        "detached", "auxiliary", "fused-only", "ogm-ge", "gradient-blend", "unimodal-teacher", "mmpareto", "agm", "mla"
    ] = "detached"
    """What keeps one modality from starving the other. detached: each encoder learns from its own head alone;
    auxiliary: from the fused answer too; fused-only: from the fused answer alone; the others are methods of the
    literature (docs/fusion.md)."""
    guard: Literal["on", "off"] | bool = "on"
    """on: where a modality alone does better than the fused answer on validation rows, it is mixed in; off: never."""
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
    modality_dropout: float = 0.0
    """Share of the complete training rows in which one modality, drawn by chance, is hidden."""
    seed: int = 0
    """Of the split, the weights, the order of the rows and the dropout."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """auto is bf16-mixed where the processor is quick in bfloat16, else 32-true."""
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    """auto is a graphics processor where there is one."""

    def __post_init__(self) -> None:
        if not self.modalities or set(self.modalities) - set(MODALITIES):
            given = ", ".join(map(repr, self.modalities)) or "empty"
            raise ConfigError(
                f"modalities is {given}; it takes {' or '.join(MODALITIES)}, or several: "
                f"{','.join(MODALITIES)}. One of "
                "your own is registered by a module that --plugins names."
            )
        if isinstance(self.guard, bool):  # what YAML makes of a bare on or off
            object.__setattr__(self, "guard", "on" if self.guard else "off")
        ordered = tuple(m for m in MODALITIES if m in self.modalities)  # YAML and JSON bring a list, in any order
        object.__setattr__(self, "modalities", ordered)
        wrong = out_of_range(self)
        if wrong:
            raise ConfigError(wrong)
        if not 0 <= self.modality_dropout < 1:
            raise ConfigError(f"modality_dropout is {self.modality_dropout}; it must be at least 0 and below 1.")
