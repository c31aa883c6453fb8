"""What every data set known by name is: a line about it, files to fetch, and a function that makes a table of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sightsound.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray


SHOWN = 5  # of what is in a folder where something else was looked for


@dataclass(frozen=True)
class SourceOptions:
    """How a data set known by name is made into a table."""

    root: str | None = None
    """Folder that has the files already; default: what `sightsound data fetch` brought."""
    pairs: int | None = None
    """Of sources that pair images with sounds by label: number of training pairs; default: 20,000 (avmnist: 55,000)."""
    split_by: Literal["recording", "speaker"] = "recording"
    """Of spoken digits: test on other recordings of the same speakers, or on speakers never heard."""
    words: Literal["all", "digits"] = "all"
    """Of speech-commands: all 35 words, or zero to nine."""
    every: float | None = None
    """Of videos: cut each into rows of so many seconds, all of one group; default: one row a video."""
    seed: int = 0
    """Of everything that is drawn."""
    on_bad_file: Literal["stop", "skip"] = "stop"
    """Of videos: stop and name those that cannot be read, or leave them out."""


@dataclass(frozen=True)
class Download:
    """One file on the network: its address, its SHA-256, and its size in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class DataSource:
    """A data set known by name.

    Attributes:
        about: one line for the list.
        licence: whose it is and what is allowed.
        build: writes `table.csv` and whatever files it needs into a new folder; raises SourceError.
        downloads: the files it is made of; empty where there is nothing to fetch.
        parts: names of the sources it is made of.
    """

    about: str
    licence: str
    build: Callable[[SourceOptions, Path], None]
    downloads: tuple[Download, ...] = ()
    parts: tuple[str, ...] = ()


def find(root: str | None, fetched: Path, name: str, places: tuple[str, ...], file: str) -> Path:
    """The folder that holds a source's files: the root, one of some places below it, or where they were fetched to.

    Args:
        root: what the user gave, or None.
        fetched: where `fetch` puts this source.
        name: of the source, for the message.
        places: below the root, in order.
        file: a name or pattern that tells that it is the right folder.

    Raises:
        SourceError: it is nowhere.
    """
    for folder in [Path(root) / place for place in places] if root else [fetched / place for place in places]:
        if any(folder.glob(file)):
            return folder
    if root or any((fetched / place).is_dir() for place in places):
        raise not_found(name, file, [Path(root or fetched) / place for place in places])
    raise SourceError(
        f"{name} is not on this computer. Fetch it: `sightsound data fetch {name}`; "
        f"or give the folder that has its files: --root FOLDER (looked for {file})"
    )


def not_found(name: str, wanted: str, folders: Sequence[Path]) -> SourceError:
    """Says what of a source was looked for, where, and what is there instead.

    Args:
        name: of the source.
        wanted: a name or pattern.
        folders: where it could have been.
    """
    there = [f"{folder} has {_listed(folder)}" for folder in folders if folder.is_dir()]
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    there += [f"there is no folder {' or '.join(absent)}"] if absent else []
    return SourceError(
        f"{name}: looked for {wanted}, and did not find it; {'; '.join(there)}. Give the folder that has it: --root "
        f"FOLDER, or fetch it: `sightsound data fetch {name}`."
    )


def _listed(folder: Path) -> str:
    """The first things in a folder, in words."""
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    if not names:
        return "nothing in it"
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def write_wav(path: Path, samples: NDArray[Any], rate_hz: int) -> None:
    """Samples (N,) or (N, channels) as 16 bits. libsndfile would wait for the disk after every file it opens itself."""
    import soundfile

    content = io.BytesIO()
    soundfile.write(content, samples, rate_hz, format="WAV", subtype="PCM_16")
    path.write_bytes(content.getvalue())


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """Pixels (H, W) or (H, W, 3), uint8."""
    from PIL import Image

    Image.fromarray(pixels).save(path)
