"""Files that are downloaded once, on request, checked by their SHA-256 and cached: data and weights."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from sightsound.errors import SourceError


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


YAMNET = Download(
    "https://raw.githubusercontent.com/google-coral/coralmicro/58e243944150dbe333cdc080930df446698fe079/models/"
    "yamnet_spectra_in.tflite",
    "0a266465c46718f3fcc4137366be82882a8c93bfcc4f0278581a11d11dddcdf9",
    4_047_424,
)  # the weights of the encoder of this name


def cache_folder() -> Path:
    """Returns the folder in SIGHTSOUND_CACHE, else the system's cache folder (on Linux ~/.cache/sightsound)."""
    named = os.environ.get("SIGHTSOUND_CACHE")
    return Path(named) if named else user_cache_path("sightsound")


def fetched_path(name: str, download: Download) -> Path:
    """Returns where a file is saved that belongs to what is called `name`."""
    return cache_folder() / "fetched" / name / download.name


def retrieve(download: Download, folder: Path, mirror: str | None) -> Path:
    """Returns the file in a folder, fetched if it is missing; an interrupted download leaves nothing.

    Args:
        download: which file.
        folder: where it is kept.
        mirror: a folder, or the address of one, that has the file under the same name, in place of its own address.

    Raises:
        SourceError: it cannot be reached or written, or is another file.
    """
    import pooch
    import requests

    local = Path(mirror) / download.name if mirror and Path(mirror).is_dir() else None
    url = f"{mirror.rstrip('/')}/{download.name}" if mirror else download.url
    by_hand = f"Or fetch it by hand, put it to {folder / download.name} and repeat the command."
    if local and not os.access(local, os.R_OK):
        raise SourceError(f"{local}: there is no such file, or it cannot be read. {by_hand}")
    pooch.get_logger().setLevel("WARNING")
    try:
        fetch = pooch.HTTPDownloader(progressbar=True, timeout=30)
        if local:
            url, fetch = str(local), _copy
        return Path(pooch.retrieve(url, f"sha256:{download.sha256}", download.name, folder, downloader=fetch))
    except requests.HTTPError as error:
        raise SourceError(f"{url}: the server refuses it: {error}. {by_hand}") from error
    except requests.RequestException as error:
        raise SourceError(f"{url}: cannot be reached, or broke off: {error}. Repeat the command. {by_hand}") from error
    except ValueError as error:  # pooch's error for another checksum
        raise SourceError(
            f"{url}: what came is not the file that was expected (its SHA-256 differs; perhaps a page that asks to log "
            f"in). {by_hand}"
        ) from error
    except OSError as error:
        raise SourceError(f"{folder}: cannot be written: {error}.") from error


def _copy(url: str, output_file: str, pooch: object) -> None:
    """Copies a file, as pooch calls its downloaders."""
    shutil.copyfile(url, output_file)
