"""Where answers are written to that cannot be written to, and readers that leave before the end."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("gone/numbers.json", "there is no folder"),
        ("folder.json", "which is a folder"),
        ("numbers.txt", "files of type .txt are not written"),
        ("full.json", "which is a device"),
    ],
)
def test_numbers_that_cannot_be_written_are_said(
    trained: tuple[Path, Path], tmp_path: Path, typed, out: str, said: str
) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "full.json").symlink_to("/dev/full")
    done = typed("evaluate", trained[1] / "bundle", trained[0], "--out", tmp_path / out)
    assert done.code == 1 and said in done.err and "--out" in done.err


def test_a_reader_that_leaves_ends_a_training_quietly(table: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "sightsound", "train", table, "--out", tmp_path / "r", "--epochs", "1"]
    command += ["--modalities", "image", "--image.encoder", "resnet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read().decode()
    process.wait()
    assert "Traceback" not in said and "cannot be written" not in said and "BrokenPipe" not in said
