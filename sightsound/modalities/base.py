"""What the package must know of a modality, in one object; `MODALITIES` has them by name.

A modality of your own is one class derived from `Modality` in a module of yours, which registers it:

    MODALITIES["sensor"] = Sensor()

`sightsound train ... --plugins MODULE --modalities image,sensor` imports the module first. All methods take `options`,
the modality's own section of the configuration, with sizes filled in unless they say otherwise.
"""

from __future__ import annotations

import contextlib
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
else:  # the names of all modalities are needed where nothing heavy is to be imported
    Array = Rng = Any


Reader = Callable[..., Array]
"""Decodes one file: what `Modality.given` returns, and by name what `Modality.read_options` does -> an array."""


class Interpolation(NamedTuple):
    """What interpolates damaged parts while a file is decoded. All three take what a `Reader` does, and `repair`.

    Attributes:
        read: decodes and interpolates.
        mend: the same, with the share that was interpolated and its uncertainty (`data.interpolated.Mended`).
        damage: (2,) the share and the uncertainty alone.
    """

    read: Reader
    mend: Callable[..., Any]
    damage: Reader


class Features(NamedTuple):
    """The part of the network between decoded files and an encoder.

    Attributes:
        module: decoded (B, ...) -> features (B, *shape), without parameters.
        channels: length of the feature axis 1 whose statistics are taken channel by channel; 0: one for everything.
        shape: of the features of one row.
    """

    module: nn.Module
    channels: int
    shape: tuple[int, ...]


class Augmentation(NamedTuple):
    """Random changes of the training rows; None where nothing is changed.

    Attributes:
        decoded: (B, ...) decoded -> the same.
        features: (B, *shape) -> the same.
    """

    decoded: Callable[[Tensor], Tensor] | None = None
    features: Callable[[Tensor], Tensor] | None = None


class Modality:
    """Base class. What has no default must be there; the rest is what a modality may have besides.

    Attributes:
        name: as it stands in tables, options and results: "image".
        noun, plural: what one file of it is called, with its article, and many: "an image", "images".
        options: the dataclass of its section of the configuration. It has `encoder` (a name in `encoders`, or a dotted
            path), `frozen`, `layer_decay` and `pretrained`, as `config.ImageConfig` has them.
        encoders: the registered encoders by name.
        headers: names of the numbers that `header` reads.
        sizes: those of them that are sizes, which `inspect` shows.
        dtype: of decoded rows in the preprocessed cache; "int16" takes floats in [-1, 1].
        cuts_clips: whether long files can be cut into clips; `headers` then has "seconds".
        in_cells: whether a table's cells hold the content itself, and not the path of a file.
        endings: of the files that are found by their names, as `.png`.
        synonyms: what people call its column besides its name.
        interpolation: of damaged parts; None: the policies linear and gaussian have no effect within a file.
        augmented: what `augmentation` may change: "decoded" files, "features", or both.
        corruptions: names of what `corrupt` can do, for robustness studies.
        lost_part: what a robustness study calls the parts that `lose` takes away ("dead pixels"); "": there are none.
        remarks: by the value of a `data.remarks.Remark`, what is said of several files and of one that have it.
        checkpoints: the Hugging Face models that can be its encoder (`encoders.pretrained.Checkpoints`); None: none.
    """

    name: str
    noun: str
    plural: str
    options: type[Any]
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
        """What `read` takes besides the file."""
        raise NotImplementedError

    @property
    def header(self) -> Callable[[Any], Array]:
        """(file) -> the numbers that `headers` names, without decoding; a function that worker processes can import."""
        raise NotImplementedError

    def given(self, value: Any) -> Any:
        """What someone may give in place of a file (a path, bytes, an array, ...) -> what `read` takes.

        Raises:
            FileError: it is nothing of the kind.
        """
        return value

    def open(self, given: Any) -> AbstractContextManager[Any]:
        """`given` for as long as several clips are read of it."""
        return contextlib.nullcontext(given)

    def complete(self, options: Any, headers: Array) -> Any:
        """Fills in the sizes that nobody asked for.

        Args:
            options: as the user gave them.
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

    def cuts(self, asked: Any, options: Any, headers: Array) -> list[str]:
        """What the sizes that nobody asked for leave out of the files, in sentences; `asked` is what the user gave."""
        return []

    def blank(self, options: Any) -> Tensor:
        """A decoded row of zeros, which stands in for an absent file."""
        raise NotImplementedError

    # clips

    def step_seconds(self, options: Any) -> float | None:
        """How far apart the clips begin that long files are cut into; None: they are not cut."""
        return None

    def clip_seconds(self, options: Any) -> float:
        """How long a clip is."""
        raise NotImplementedError

    def clip_starts(self, opened: Any, options: Any) -> list[float]:
        """Where the clips of an opened file begin, in seconds."""
        return [0.0]

    # network and training

    def features(self, options: Any) -> Features:
        """What makes features of decoded files."""
        raise NotImplementedError

    def feature_shape(self, options: Any) -> tuple[int, ...]:
        """The shape of one row's features, known before anything of that size is allocated."""
        return self.features(options).shape

    def fixed_statistics(self, pretrained: dict[str, Any]) -> tuple[list[float], list[float]] | None:
        """Mean and deviation of each channel that a checkpoint wants; None: its features are as it wants them."""
        return None

    def augmentation(self, config: Any) -> Augmentation:
        """What changes the training rows, as the whole configuration says."""
        return Augmentation()

    def caches_features(self, config: Any) -> bool:
        """Whether features are the same in every epoch, and dear enough to be cached."""
        return False

    # robustness studies, on decoded rows (n, ...) in the type of the cache

    def corrupt(self, name: str, rows: Array, severity: int, options: Any, rng: Rng) -> Array:
        """All rows with one of the `corruptions`, in a severity from 1 to 5."""
        raise NotImplementedError

    def lose(self, row: Array, share: float, options: Any, rng: Rng) -> Array:
        """Which parts of a row a share is lost of: bool, over the row's first axes."""
        raise NotImplementedError

    def interpolate(self, row: Array, lost: Array, method: str, options: Any) -> Array:
        """A row whose lost parts, and not all, are interpolated by linear or gaussian."""
        raise NotImplementedError

    # people

    def show(self, source: Any, config: Any) -> Any:
        """One file as a report shows it (`modalities.media.Shown`); None: there is nothing to show but its name.

        Args:
            source: as `data.files` takes it.
            config: the whole configuration, with sizes filled in.

        Raises:
            FileError: it cannot be read.
        """
        return None

    def describe(self, options: Any) -> str:
        """A line about how files are read: "64 x 48 pixels, 3 channel(s)"."""
        return f"encoder {options.encoder}"


MODALITIES: dict[str, str | Modality] = {
    "image": "sightsound.modalities.image",
    "audio": "sightsound.modalities.audio",
}
"""Name -> the modality, or for those of the package the module whose `MODALITY` it is, imported when it is needed."""


def modality(name: str) -> Modality:
    """The registered modality of a name. Raises KeyError."""
    known = MODALITIES[name]
    if isinstance(known, str):
        known = MODALITIES[name] = cast(Modality, importlib.import_module(known).MODALITY)
    return known


def every_modality() -> list[Modality]:
    """All registered modalities, in their order."""
    return [modality(name) for name in MODALITIES]
