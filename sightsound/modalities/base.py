"""The base class of modalities: all that the package must know of one; `MODALITIES` has them by name.

A modality of your own is one class derived from `Modality` in a module of yours, which registers it:

    MODALITIES["sensor"] = Sensor()

`sightsound train ... --plugins MODULE --modalities image,sensor` imports the module first. All methods take `options`,
the modality's own section of the configuration, with sizes set unless they say otherwise.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sightsound.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Array = NDArray[Any]
    Rng = np.random.Generator
else:  # the names of all modalities are needed where nothing heavy may be imported
    Array = Rng = Any


Reader = Callable[..., Array]
"""Decodes one file: what `Modality.given` returns, and by name what `Modality.read_options` does -> an array."""


class Interpolation(NamedTuple):
    """Functions that interpolate damaged parts while a file is decoded. All take a `Reader`'s arguments, and `repair`.

    Attributes:
        read: decodes and interpolates.
        mend: also returns the share that was interpolated and its uncertainty (`data.interpolated.Mended`).
        damage: returns only (2,) the share and the uncertainty.
    """

    read: Reader
    mend: Callable[..., Any]
    damage: Reader


class Features(NamedTuple):
    """The part of the network between decoded files and an encoder.

    Attributes:
        module: decoded (B, ...) -> features (B, *shape), without parameters.
        channels: length of axis 1 of the features, over which statistics are taken by channel; 0: one for all values.
        shape: shape of the features of one row.
    """

    module: nn.Module
    channels: int
    shape: tuple[int, ...]


class Augmentation(NamedTuple):
    """Random changes of the training rows; None where nothing is changed.

    Attributes:
        decoded: (B, ...) decoded -> the same shape.
        features: (B, *shape) -> the same shape.
    """

    decoded: Callable[[Tensor], Tensor] | None = None
    features: Callable[[Tensor], Tensor] | None = None


class Modality:
    """Base class. Attributes and methods without a default are required; all others are optional.

    Attributes:
        name: the name in tables, options and results: "image".
        noun, plural: words for one file of it, with its article, and for many: "an image", "images".
        options: the dataclass of its section of the configuration. It has `encoder` (a name in `encoders`, or a dotted
            path), `encoder_options`, `frozen`, `layer_decay` and `pretrained`, as `config.ImageConfig` has them.
        encoders: the registered encoders by name.
        small_encoder: the one of them that is trained from nothing where the configuration leaves the encoder open.
        headers: names of the numbers that `header` reads.
        sizes: those of them that are sizes, which `inspect` shows.
        dtype: type of decoded rows in the preprocessed cache; "int16" takes floats in [-1, 1].
        cuts_clips: whether long files can be cut into clips; `headers` then has "seconds".
        in_cells: whether a table's cells hold the content itself, and not the path of a file.
        endings: endings of its files, such as `.png`.
        synonyms: other common names of its column.
        interpolation: interpolates damaged parts; None: the policies linear and gaussian have no effect within a file.
        augmented: what `augmentation` may change: "decoded" files, "features", or both.
        corruptions: names of the corruptions that `corrupt` applies, for robustness studies.
        lost_part: a robustness study's word for the parts that `lose` removes ("dead pixels"); "": there are none.
        remarks: by the value of a `data.remarks.Remark`, the words for several files and for one that have it.
        checkpoints: the Hugging Face models that can be its encoder (`encoders.pretrained.Checkpoints`); None: none.
    """

    name: str
    noun: str
    plural: str
    options: type[Any]
    small_encoder = ""
    headers: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    dtype = "float32"
    cuts_clips = False
    in_cells = False
    endings: frozenset[str] = frozenset()
    synonyms: frozenset[str] = frozenset()
    interpolation: Interpolation | None = None
    augmented: tuple[str, ...] = ()
    corruptions: tuple[str, ...] = ()
    lost_part = ""
    remarks: Mapping[int, tuple[str, str]] = {}
    checkpoints: Any = None

    @property
    def encoders(self) -> dict[str, type[Any]]:
        """The registered encoders by name."""
        raise NotImplementedError

    # files

    @property
    def read(self) -> Reader:
        """Decodes one file; a function that worker processes can import."""
        raise NotImplementedError

    def read_options(self, options: Any) -> dict[str, Any]:
        """Returns the arguments of `read` besides the file."""
        raise NotImplementedError

    @property
    def header(self) -> Callable[[Any], Array]:
        """Reads (file) -> the numbers that `headers` names, without decoding; worker processes can import it."""
        raise NotImplementedError

    def given(self, value: Any) -> Any:
        """Converts a path, bytes, an array or another accepted value to what `read` takes.

        Raises:
            FileError: the value is not accepted.
        """
        return value

    def open(self, given: Any) -> AbstractContextManager[Any]:
        """Opens `given` to read several clips of it."""
        return contextlib.nullcontext(given)

    def complete(self, options: Any, headers: Array) -> Any:
        """Sets the sizes that the user left open.

        Args:
            options: the options as the user gave them.
            headers: (files, len(self.headers)) of typical files.
        """
        return options

    def with_checkpoint(self, options: Any) -> Any:
        """The options with the sizes and rates that a pretrained encoder dictates, where the encoder is one.

        Raises:
            ConfigError: there is no such checkpoint, or it is of another modality.
        """
        if options.encoder.startswith("hf:"):
            raise ConfigError(f"{self.name}.encoder is {options.encoder!r}; {self.plural} have no pretrained encoders.")
        return options

    def with_clips_of(self, options: Any, sized: Any) -> Any:
        """The options with the length of clips in `sized`, which are of the same table and have all sizes."""
        return options

    def cuts(self, asked: Any, options: Any, headers: Array) -> list[str]:
        """Returns sentences about what automatic sizes cut off the files; `asked` is what the user gave."""
        return []

    def blank(self, options: Any) -> Tensor:
        """Returns a decoded row of zeros, used in place of an absent file."""
        raise NotImplementedError

    # clips

    def step_seconds(self, options: Any) -> float | None:
        """Returns how far apart the clips of long files begin; None: they are not cut."""
        return None

    def clip_seconds(self, options: Any) -> float:
        """Returns the length of a clip."""
        raise NotImplementedError

    def clip_starts(self, opened: Any, options: Any) -> list[float]:
        """Returns where the clips of an opened file begin, in seconds."""
        return [0.0]

    # network and training

    def features(self, options: Any) -> Features:
        """Returns the module that computes features of decoded files."""
        raise NotImplementedError

    def feature_shape(self, options: Any) -> tuple[int, ...]:
        """Returns the shape of one row's features, known before anything of that size is allocated."""
        return self.features(options).shape

    def fixed_statistics(self, pretrained: dict[str, Any]) -> tuple[list[float], list[float]] | None:
        """Returns a checkpoint's mean and standard deviation of each channel; None: its features need no scaling."""
        return None

    def augmentation(self, config: Any) -> Augmentation:
        """Returns the augmentation of the training rows by the whole configuration."""
        return Augmentation()

    def caches_features(self, config: Any) -> bool:
        """Returns whether features are the same in every epoch, and costly enough to be cached."""
        return False

    # robustness studies, on decoded rows (n, ...) in the type of the cache

    def corrupt(self, name: str, rows: Array, severity: int, options: Any, rng: Rng) -> Array:
        """Applies one of the `corruptions` to all rows, at a severity from 1 to 5."""
        raise NotImplementedError

    def lose(self, row: Array, share: float, options: Any, rng: Rng) -> Array:
        """Draws which parts of a row, a share of all, are lost: bool, over the row's first axes."""
        raise NotImplementedError

    def interpolate(self, row: Array, lost: Array, method: str, options: Any) -> Array:
        """Interpolates the lost parts of a row, which are not all of it, by linear or gaussian."""
        raise NotImplementedError

    # people

    def show(self, source: Any, config: Any) -> Any:
        """One file as a report shows it (`modalities.media.Shown`); None: there is nothing to show but its name.

        Args:
            source: a file as `data.files` takes it.
            config: the whole configuration, with sizes set.

        Raises:
            FileError: it cannot be read.
        """
        return None

    def describe(self, options: Any) -> str:
        """Describes how files are read: "64 x 48 pixels, 3 channel(s)"."""
        return f"encoder {options.encoder}"


MODALITIES: dict[str, str | Modality] = {
    "image": "sightsound.modalities.image",
    "audio": "sightsound.modalities.audio",
}
"""Name -> the modality, or for those of the package the module whose `MODALITY` it is, imported when it is needed."""


AUTO = "auto"  # as an encoder: it is chosen by measurement


def is_left_open(options: Any) -> bool:
    """Returns whether a modality's options leave the encoder open; options of an encoder are those of the small one."""
    return options.encoder == AUTO and not options.encoder_options


def with_small_encoder(name: str, options: Any) -> Any:
    """Returns a modality's options with its small network where no encoder is named.

    Raises:
        ConfigError: the encoder is to stay as it is, which is of no use for a network that was never trained.
    """
    if options.encoder != AUTO:
        return options
    if options.frozen:
        raise ConfigError(
            f"{name}.frozen is of a pretrained encoder, which has to be named here: --{name}.encoder NAME. None is "
            "chosen for a comparison of balances, nor for a strategy that exchanges between the layers of the encoders."
        )
    if not modality(name).small_encoder:
        raise ConfigError(f"{name}.encoder is {AUTO!r}, and {name} has no encoder to fall back on. Name one.")
    return dataclasses.replace(options, encoder=modality(name).small_encoder)


def modality(name: str) -> Modality:
    """Returns the registered modality of a name. Raises KeyError."""
    known = MODALITIES[name]
    if isinstance(known, str):
        known = MODALITIES[name] = cast(Modality, importlib.import_module(known).MODALITY)
    return known


def every_modality() -> list[Modality]:
    """Returns all registered modalities, in their order."""
    return [modality(name) for name in MODALITIES]
