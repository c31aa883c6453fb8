"""The files of a bundle: written beside their place and renamed, so that a reader finds the old or the new, never half.

Several processes may save to one name, and read it meanwhile; the remains of a killed one do no harm. Files are checked
by SHA-256: the bytes that were checked are those that are used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sightsound.errors import BundleError, ConfigError, TrustError

CLASSIFIER, TRANSLATOR = "classifier", "translator"  # the kinds of bundles
VERBS = {CLASSIFIER: "sightsound train", TRANSLATOR: "sightsound translate fit"}
CONFIG, CARD, SUMS = "config.json", "README.md", "SHA256SUMS"
PATIENCE_SECONDS = 2.0  # how long a reader waits for a bundle that is being replaced


def save_tensors(values: Mapping[str, Tensor], path: Path) -> None:
    """Writes a safetensors file beside its place and renames it; the umask decides who may read it."""
    partial = path.with_name(f"{path.name}.partial")
    # bytes and not `save_file`, whose files no other user may read
    partial.write_bytes(save({key: tensor.contiguous().cpu() for key, tensor in values.items()}))
    partial.replace(path)


def write_files(folder: Path, tensors: dict[str, dict[str, Tensor]], texts: dict[str, Any], card: str) -> None:
    """Writes a bundle; an older bundle at the same place is replaced atomically. Of several savers the last one wins.

    Args:
        folder: a new folder, or a bundle.
        tensors: name of a file -> its tensors.
        texts: name of a file -> its content, as JSON.
        card: the text of README.md.

    Raises:
        BundleError: the place holds something else, or cannot be written.
    """
    _refuse_others(folder)
    mine = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    partial = _aside(folder, "partial", mine)
    try:
        partial.mkdir(parents=True)
        for name, values in tensors.items():
            save_tensors(values, partial / name)
        for name, value in texts.items():
            (partial / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        sums = {name: (partial / name).read_bytes() for name in (*tensors, *texts)}
        (partial / SUMS).write_text(_sums(sums), encoding="utf-8")
        (partial / CARD).write_text(card, encoding="utf-8")
        _put_in_place(partial, folder, mine)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{folder}: the bundle cannot be written: {error}") from error
    finally:
        for left in (partial, *_beside(folder, "old", mine), *_left_by_the_dead(folder)):
            shutil.rmtree(left, ignore_errors=True)


def _refuse_others(folder: Path) -> None:
    """Raises BundleError where something other than a bundle is there, while other savers may be replacing it."""
    while (there := _identity(folder)) and not (folder / CONFIG).exists():
        if _identity(folder) == there:  # the same folder all the time, so no saver took one away between two looks
            raise BundleError(f"{folder}: something other than a bundle is there already. Give another name.")


def _put_in_place(partial: Path, folder: Path, mine: str) -> None:
    """Renames into place, even if other savers write there meanwhile."""
    number = 0
    while True:
        try:
            partial.rename(folder)  # the system refuses where a non-empty folder exists
            return
        except OSError:
            if not folder.exists() and not _beside(folder, "old"):
                raise
        _refuse_others(folder)
        with contextlib.suppress(FileNotFoundError):  # another saver was faster
            folder.rename(_aside(folder, "old", f"{mine}-{number}"))
        number += 1


def _aside(folder: Path, word: str, whose: str) -> Path:
    """Names a hidden folder beside a bundle after its owner: process, a random name, machine."""
    return folder.with_name(f".{folder.name}.{word}-{whose}@{socket.gethostname()}")


def _beside(folder: Path, word: str, whose: str = "") -> list[Path]:
    """Lists savers' folders beside a bundle: `partial` ones not yet in place, `old` ones not yet deleted."""
    try:
        return [p for p in folder.parent.iterdir() if p.name.startswith(f".{folder.name}.{word}-{whose}")]
    except OSError:
        return []


def _left_by_the_dead(folder: Path) -> Iterator[Path]:
    """Yields folders of killed processes of this machine, not those of live ones or of other machines."""
    for path in [*_beside(folder, "partial"), *_beside(folder, "old")]:
        owner = re.fullmatch(r"(?:partial|old)-(\d+)(?:-[\w-]+@(.+))?", path.name[len(folder.name) + 2 :])
        if owner and owner[2] in (None, socket.gethostname()) and not alive(int(owner[1])):
            yield path


def alive(process: int) -> bool:
    """Returns whether a process of this machine is running."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; or not a process number
        return True
    return True


@contextmanager
def bundle_errors(folder: Path) -> Iterator[None]:
    """A context that turns any error in the content of a bundle into a BundleError."""
    try:
        yield
    except BundleError:
        raise
    except TrustError as error:
        raise BundleError(f"{folder}: {error}") from error
    except Exception as error:  # the files are untrusted: any error is reported as theirs
        raise BundleError(
            f"{folder}: damaged ({str(error) or type(error).__name__}). Copy the bundle again."
        ) from error


class Saved:
    """A bundle's files as they were at one moment, checked.

    Args:
        folder: the folder of the bundle.
        kind: the expected kind, CLASSIFIER or TRANSLATOR.
        newest: the format that this version writes and reads.
        names: the files of the bundle.

    Raises:
        BundleError: it is not a bundle, is of the other kind, damaged, or of a newer format.
    """

    def __init__(self, folder: Path, kind: str, newest: int, names: list[str]) -> None:
        self.folder = folder
        with bundle_errors(folder):
            if _place(folder) is None:
                raise BundleError(_no_bundle(folder, kind))
            self.contents = _contents(folder, [CONFIG])
            _check_kind(folder, self.json(CONFIG), kind, newest)
            self.contents = _contents(folder, [*names, SUMS])
            saved_sums = self.contents.pop(SUMS).decode()
            if saved_sums != _sums(self.contents):
                lines = _sums(self.contents).splitlines(keepends=True)
                changed = [line.split()[1] for line in lines if line not in saved_sums]
                raise BundleError(
                    f"{folder}: damaged; {changed[0] if changed else SUMS} is not what was saved. "
                    "Copy the bundle again."
                )

    def json(self, name: str) -> Any:
        """Returns the content of a JSON file."""
        return json.loads(self.contents[name].decode("utf-8"))

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Returns the tensors of a file; only once, since the bytes are then released."""
        return load(self.contents.pop(name))


def _no_bundle(folder: Path, kind: str) -> str:
    if (folder / "bundle" / CONFIG).is_file():
        return f"{folder}: this is a run folder; its bundle is {folder / 'bundle'}."
    there = "there is no such folder" if not folder.exists() else f"it has no {CONFIG}"
    return f"{folder}: this is no bundle; {there}. `{VERBS[kind]}` writes one: RUN_FOLDER/bundle."


def _check_kind(folder: Path, saved: Any, kind: str, newest: int) -> None:
    """Raises BundleError for a bundle of another kind or format."""
    if not isinstance(saved, dict) or not isinstance(saved.get("config"), dict) or type(saved.get("format")) is not int:
        raise ConfigError(f"{CONFIG} is no bundle's")
    found = saved.get("kind", CLASSIFIER)
    if found != kind:
        raise BundleError(
            f"{folder}: this is the bundle of a {found!s:.20}; that of a {kind} is needed, which `{VERBS[kind]}` "
            "writes."
        )
    if saved["format"] > newest:
        raise BundleError(
            f"{folder}: written by a newer sightsound (bundle format {saved['format']}; this version reads up to "
            f"{newest}). Upgrade: pip install -U sightsound"
        )
    if saved["format"] < newest:
        raise BundleError(
            f"{folder}: written before the first release, by a sightsound whose networks are not those of today. "
            "Train it again, or take the version that wrote it."
        )


def _contents(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Reads files that were in one folder at one moment. Raises OSError if any is missing."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = _place(folder)
        place = found or folder
        before = _identity(place)
        try:
            if devices := [name for name in names if not stat.S_ISREG((place / name).stat().st_mode)]:
                raise BundleError(f"{folder}: {devices[0]} is no regular file, and a bundle has no others.")
            with ExitStack() as stack:
                files = {name: stack.enter_context((place / name).open("rb")) for name in names}
                if _identity(place) == before:  # otherwise it was replaced while the files were opened
                    return {name: file.read() for name, file in files.items()}
        except FileNotFoundError:
            replaced = before is None or _identity(place) != before
            if not found or not replaced or time.monotonic() > until:
                raise


def _place(folder: Path) -> Path | None:
    """Finds the bundle: in its folder; or set aside, if its saver was killed; None: nowhere."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (folder / CONFIG).is_file():
        if not _beside(folder, "partial") and not _beside(folder, "old"):
            return folder if (folder / CONFIG).is_file() else None  # it may have been restored meanwhile
        if time.monotonic() > until:
            kept = [path for path in _beside(folder, "old") if (path / CONFIG).is_file()]
            return max(kept, key=lambda path: path.stat().st_mtime, default=None)
        time.sleep(0.01)
    return folder


def _identity(folder: Path) -> tuple[int, int, int] | None:
    """Returns what tells a folder from others of its name, one whose number the system uses again too; None: absent."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_ctime_ns


def _sums(contents: Mapping[str, bytes]) -> str:
    """Writes lines as `sha256sum` does, of all files but the card, which people may edit."""
    return "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
