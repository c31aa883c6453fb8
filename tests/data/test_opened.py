"""What counts as a path, and what is refused at once because it is no file."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsound.data.files import as_path, probe_audio, probe_image, read_audio, read_image
from sightsound.data.interpolated import read_interpolated_audio, read_interpolated_image
from sightsound.errors import FileError
from tests.data.sounds import sound


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def socket_file(path: Path) -> Path:
    socket.socket(socket.AF_UNIX).bind(str(path))
    return path


NO_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "named pipe": (fifo, "named pipe"),
    "socket": (socket_file, "a socket"),
    "/dev/zero": (lambda path: Path("/dev/zero"), "a device"),
    "/dev/full": (lambda path: Path("/dev/full"), "a device"),
    "folder": (lambda path: path.parent, "a folder"),
    "link to a pipe": (lambda path: (path.symlink_to(fifo(path.with_name("p"))), path)[1], "named pipe"),
}
PIXELS = np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)
READERS: dict[str, Callable[[Path], object]] = {
    "image": lambda path: read_image(path, 8, 8, 1),
    "image header": probe_image,
    "sound": lambda path: read_audio(path, 8000, 1.0),
    "sound header": probe_audio,
    "image mask": lambda path: read_interpolated_image(PIXELS, 8, 8, 1, "linear", str(path)),
    "sound mask": lambda path: read_interpolated_audio(
        (np.sin(np.arange(8000.0)), 8000), 8000, 1.0, "linear", audio_mask=str(path)
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused_at_once(kind: str, reader: str, tmp_path: Path) -> None:
    make, words = NO_FILES[kind]
    path = make(tmp_path / "x")
    with pytest.raises(FileError, match=words) as caught:  # one that blocked would never come here
        READERS[reader](path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_an_address_is_not_fetched(reader: str) -> None:
    if "mask" not in reader:
        with pytest.raises(FileError, match="download it first"):
            READERS[reader]("https://example.org/a.png")  # type: ignore[arg-type]


def test_paths_as_people_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my sounds"
    folder.mkdir()
    for name in ("a.wav", "b c.wav", "back\\slash.wav", "~"):
        (folder / name).write_bytes(sound(np.sin(np.arange(800.0)), 8000))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    for written, meant in {
        "my sounds/a.wav": "a.wav",
        "my sounds\\a.wav": "a.wav",
        str(folder / "a.wav"): "a.wav",
        "~/a.wav": "a.wav",
        (folder / "b c.wav").as_uri(): "b c.wav",
        f"file://localhost{folder.as_posix().replace(' ', '%20')}/a.wav": "a.wav",
        "my sounds/back\\slash.wav": "back\\slash.wav",
        "my sounds/~": "~",
    }.items():
        assert as_path(written).resolve() == folder / meant, written
        assert probe_audio(written) == 0.1
    assert as_path("a.wav", folder) == folder / "a.wav" and as_path("gone\\b.wav") == Path("gone\\b.wav")
    with pytest.raises(FileError, match=r"gone\\b.wav: there is no such file"):
        probe_audio("gone\\b.wav")


def test_importing_the_readers_changes_nothing_of_the_process() -> None:
    code = "import warnings; before = list(warnings.filters); import sightsound.data.files, sightsound.data.decode"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import PIL.Image, torch, pandas, scipy.spatial; {code}; assert before == warnings.filters",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_warnings_that_are_errors_do_not_hide_the_reason(recwarn: pytest.WarningsRecorder, tmp_path: Path) -> None:
    import warnings

    Image.new("1", (10_000, 10_000)).save(tmp_path / "large.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FileError, match="limit of 64 megapixels"):
            read_image(tmp_path / "large.png", 8, 8, 1)
