"""The base of data sets known by name: a description, files to fetch, and a function that builds a table."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sightsound.downloads import Download
from sightsound.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray


SHOWN = 5  # entries listed of a folder in which the files were not found


@dataclass(frozen=True)
class SourceOptions:
    """How a data set known by name is made into a table."""

    root: str | None = None
    """Folder that has the files already, for `fetch` to take them from it; default: what `data fetch` brought."""
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
class DataSource:
    """A data set known by name.

    Attributes:
        about: one line for the list.
        licence: the author and what is allowed.
        build: writes `table.csv` and whatever files it needs into a new folder; raises SourceError.
        downloads: the files it is built from; empty where there is nothing to fetch.
        parts: names of the sources it is built from.
        encoder: the option that takes it, where it is the weights of an encoder and no table; else "".
    """

    about: str
    licence: str
    build: Callable[[SourceOptions, Path], None]
    downloads: tuple[Download, ...] = ()
    parts: tuple[str, ...] = ()
    encoder: str = ""


def find(root: str | None, fetched: Path, name: str, places: tuple[str, ...], file: str) -> Path:
    """Finds the folder that holds a source's files: the root, one of some places below it, or the fetched one.

    Args:
        root: the folder that the user gave, or None.
        fetched: where `fetch` saves this source.
        name: the name of the source, for the message.
        places: places below the root, in order.
        file: a name or pattern that identifies the right folder.

    Raises:
        SourceError: it is not found.
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
    """Builds an error that says what was looked for, where, and what is there instead.

    Args:
        name: the name of the source.
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
    """Lists the first entries of a folder, in words."""
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    if not names:
        return "nothing in it"
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def write_wav(path: Path, samples: NDArray[Any], rate_hz: int) -> None:
    """Writes samples (N,) or (N, channels) as 16 bits. libsndfile waits for the disk after files it opens itself."""
    import soundfile

    content = io.BytesIO()
    soundfile.write(content, samples, rate_hz, format="WAV", subtype="PCM_16")
    path.write_bytes(content.getvalue())


def write_png(path: Path, pixels: NDArray[Any]) -> None:
    """Writes pixels (H, W) or (H, W, 3), uint8."""
    from PIL import Image

    Image.fromarray(pixels).save(path)
