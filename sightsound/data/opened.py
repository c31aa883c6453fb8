"""Resolves what names a file to something readable: the rules for paths, and for what is not a file.

A path or bytes -> the path of an ordinary, non-empty file, or a stream. Nothing is decoded here.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sightsound.errors import FileError

Source = str | Path | bytes
NO_FILES = {  # opening one of these may block for ever, and reading may never end
    stat.S_IFDIR: "this is a folder, not a file",
    stat.S_IFIFO: "this is a named pipe, not a file; write its content to a file first, or give the bytes in Python",
    stat.S_IFSOCK: "this is a socket, not a file",
    stat.S_IFCHR: "this is a device, not a file",
    stat.S_IFBLK: "this is a device, not a file",
}


def name_of(given: object) -> str:
    """Names a file, or a value in its place, for a message."""
    if isinstance(given, str | Path):
        return str(given)
    if isinstance(given, bytes):
        return "bytes"
    return str(getattr(given, "name", "") or getattr(given, "filename", "") or "array")


def as_path(text: str | os.PathLike[str], root: Path = Path()) -> Path:
    """Resolves the path of a named file; only this function decides what counts as a path.

    A path that exists as written is taken as written. Otherwise `file://` addresses of this machine and `~` are
    resolved, and backslashes are read as separators if that names something that exists.

    Args:
        text: the path as written by the user.
        root: the folder of relative paths.
    """
    written = os.fspath(text)
    path = root / written
    if os.path.exists(path):
        return path
    if written[:7].lower() == "file://":
        address = urlsplit(written)
        if address.netloc in ("", "localhost"):
            return Path(url2pathname(address.path))
    if written.startswith("~"):
        return Path(os.path.expanduser(written))
    if "\\" in written:
        slashed = root / written.replace("\\", "/")
        return slashed if os.path.exists(slashed) else path
    return path


def ordinary_file(source: str | Path) -> str:
    """Returns the path of a file that can be opened without blocking. Raises FileError."""
    path = found = str(source)
    try:
        try:
            status = os.stat(path)
        except OSError:
            found = str(as_path(source))
            status = os.stat(found)
    except FileNotFoundError as error:
        raise FileError(path, "there is no such file" + _hint(path)) from error
    except (OSError, ValueError) as error:
        raise FileError(path, f"the file cannot be opened ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        raise FileError(path, NO_FILES.get(stat.S_IFMT(status.st_mode), "this is not an ordinary file"))
    if status.st_size == 0:
        raise FileError(path, "the file is empty (0 bytes)")
    return found


def _hint(path: str) -> str:
    scheme, separator, _ = path.partition(":/")
    remote = separator and scheme.lower() in ("http", "https", "s3", "gs", "ftp")
    return "; addresses are not fetched: download it first, and give the path" if remote else ""


def stream(source: Source) -> str | io.BytesIO:
    """Returns the source after checking that it is not empty. Raises FileError."""
    if not isinstance(source, bytes):
        return ordinary_file(source)
    if not source:
        raise FileError("bytes", "there are no bytes")
    return io.BytesIO(source)


def binary(opened: str | io.BytesIO) -> BinaryIO:
    """Opens what `stream` returns at its first byte; the caller closes it. Raises FileError."""
    if not isinstance(opened, str):
        return io.BytesIO(opened.getvalue())
    try:
        return open(opened, "rb")
    except OSError as error:
        raise FileError(opened, f"the file cannot be opened ({error.strerror})") from error


def size_of(file: BinaryIO) -> int:
    """Returns the size of a file in bytes."""
    return file.getbuffer().nbytes if isinstance(file, io.BytesIO) else os.fstat(file.fileno()).st_size


@contextlib.contextmanager
def decoder_errors(given: object, what: str) -> Iterator[None]:
    """Turns whatever a decoder raises for damaged content, a dozen kinds of errors, into a FileError."""
    try:
        yield
    except FileError:
        raise
    except Exception as error:  # each decoder has its own errors for content of another format
        raise FileError(name_of(given), f"the {what} is damaged or cut off ({error})") from error
