"""Whatever is wrong with a user's files is said before training, with file and row, and never ends in a traceback."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from sightsound import run_folder


def spoil(table: Path, row: int, column: str, name: str, content: bytes | None = None) -> Path:
    """Puts `name` into a row (from 1), and writes its content if there is any."""
    frame = pd.read_csv(table, keep_default_na=False)
    frame.loc[row - 1, column] = name
    frame.to_csv(table, index=False)
    path = table.parent / name
    if content is not None:
        path.write_bytes(content)
    return path


def nan_sound(path: Path) -> None:
    soundfile.write(path, np.full(4000, np.nan), 8000, format="WAV", subtype="FLOAT")


def cut(path: Path, source: Path) -> None:
    path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])


FAULTS = {
    "gone.png": (lambda p, _: None, "there is no such file"),
    "folder.png": (lambda p, _: p.mkdir(), "a folder, not a file"),
    "empty.png": (lambda p, _: p.touch(), "the file is empty (0 bytes)"),
    "text.png": (lambda p, _: p.write_text("dear diary\n"), "it holds text"),
    "cut.png": (lambda p, data: cut(p, data / "low-0.png"), "damaged or cut off"),
    "sound.png": (lambda p, data: p.write_bytes((data / "low-0.wav").read_bytes()), "starts like a WAV sound"),
    "bomb.png": (lambda p, _: Image.new("1", (10_000, 10_000)).save(p), "the limit is 64 megapixels"),
    "gone.wav": (lambda p, _: None, "there is no such file"),
    "empty.wav": (lambda p, _: p.touch(), "the file is empty (0 bytes)"),
    "image.wav": (lambda p, data: p.write_bytes((data / "low-0.png").read_bytes()), "starts like a PNG image"),
    "cut.wav": (lambda p, data: cut(p, data / "low-0.wav"), "cut off"),
    "nan.wav": (lambda p, _: nan_sound(p), "NaN or infinite samples, the first at 0"),
    "nothing.wav": (lambda p, _: soundfile.write(p, np.zeros(0), 8000), "no samples"),
    "one.wav": (lambda p, _: soundfile.write(p, np.zeros(1), 8000), "too short"),
}


def test_all_bad_files_are_said_at_once_and_can_be_skipped(typed, table: Path, tmp_path: Path) -> None:
    for row, (name, (make, _)) in enumerate(FAULTS.items(), start=3):
        path = spoil(table, row, "image" if name.endswith(".png") else "audio", name)
        make(path, table.parent)
    spoil(table, 30, "label", "")
    frame = pd.read_csv(table, keep_default_na=False)
    frame.loc[30, ["image", "audio"]] = ""
    frame.to_csv(table, index=False)

    done = typed("train", table, "--out", tmp_path / "run", "--epochs", 1)
    assert done.code == 1
    assert f"{table}: {len(FAULTS) + 2} row(s) cannot be used" in done.err
    assert "--on-bad-file skip" in done.err and "rejected.csv" in done.err
    assert not (tmp_path / "run" / "checkpoints").exists()
    rejected = pd.read_csv(tmp_path / "run" / "rejected.csv", keep_default_na=False).set_index("row")
    for row, (name, (_, reason)) in enumerate(FAULTS.items(), start=3):
        assert rejected.loc[row, "file"] == str(table.parent / name)
        assert reason in rejected.loc[row, "reason"], name
    assert rejected.loc[30, "reason"] == "the label is empty"
    assert "nothing is left" in rejected.loc[31, "reason"]

    done = typed("train", table, "--out", tmp_path / "run", "--epochs", 1, "--on-bad-file", "skip")
    assert done.code == 0, done.err
    rows = pd.read_csv(tmp_path / "run" / "splits.csv")["row"]
    assert len(rows) == 60 - len(FAULTS) - 2 and not set(rows) & set(rejected.index)

    done = typed("inspect", table)
    assert done.code == 0 and "gone.png: there is no such file" in done.out


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.rename(columns={"label": "lable"}), r"no 'label' column. Did you mean 'lable'?"),
        (lambda f: f.rename(columns={"image": "a", "audio": "b"}), "no image and no audio column"),
        (lambda f: f[:0], "the table has no rows"),
        (lambda f: f[f.label == "low"], "every row has the label 'low'"),
        (lambda f: f[:41], "the class 'high' has only 1 row(s) (row 41)"),
        (lambda f: f.assign(split="trian"), "row 1: the split 'trian' is not known"),
        (lambda f: f.assign(image="", audio=""), "no row has image or audio"),
        (
            lambda f: f.assign(split=["train", "val"] * 30, audio=f.audio.where(f.index % 2 == 0, "")),
            "no val row has audio",
        ),
    ],
)
def test_bad_tables(damage, message: str, typed, table: Path, tmp_path: Path) -> None:
    damage(pd.read_csv(table)).to_csv(table, index=False)
    done = typed("train", table, "--out", tmp_path / "run")
    assert done.code == 1 and message in done.err and str(table) in done.err


def test_odd_but_good_files(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    (table.parent / "ein Ordner ü").mkdir()
    names = {0: "ein Ordner ü/Bild 1 – グラフ.png", 1: "really a jpeg.png"}
    Image.open(table.parent / frame.image[0]).save(table.parent / names[0])
    Image.open(table.parent / frame.image[1]).save(table.parent / names[1], "JPEG")
    for row, name in names.items():
        frame.loc[row, "image"] = name
    samples, rate = soundfile.read(table.parent / frame.audio[2])
    soundfile.write(table.parent / "many.wav", np.stack([np.repeat(samples, 24)] * 8, 1), rate * 24, subtype="PCM_24")
    soundfile.write(table.parent / "long.flac", np.tile(samples, 200), rate)
    frame.loc[2, "audio"], frame.loc[3, "audio"] = "many.wav", "long.flac"
    frame.to_csv(table, index=False)
    done = typed("train", table, "--out", tmp_path / "run", "--epochs", 1)
    assert done.code == 0, done.err


@pytest.mark.parametrize(("row", "numbers"), [(18, "test"), (13, "validation")])
def test_the_same_file_on_both_sides_is_warned_about(
    typed, table: Path, tmp_path: Path, row: int, numbers: str
) -> None:
    frame = pd.read_csv(table)
    frame["split"] = (["train"] * 12 + ["val"] * 4 + ["test"] * 4) * 3
    frame.loc[row, "image"] = frame.image[0]
    frame.to_csv(table, index=False)
    done = typed("train", table, "--out", tmp_path / "run", "--epochs", 1)
    assert done.code == 0
    assert f"1 file(s) stand in more than one split, for instance low-0.png in rows 1 and {row + 1}" in done.out
    assert f"the {numbers} numbers will be too good" in done.out


def test_a_damaged_or_foreign_bundle(typed, trained: tuple[Path, Path], tmp_path: Path) -> None:
    done = typed("predict", tmp_path, "--image", "x.png")
    assert done.code == 1 and "this is no bundle" in done.err
    done = typed("evaluate", trained[1], trained[0])
    assert done.code == 1 and f"this is a run folder; its bundle is {trained[1] / 'bundle'}" in done.err
    done = typed("predict", trained[1] / "bundle", "--image", trained[0])
    assert done.code == 1 and "it holds text" in done.err


def test_a_run_folder_in_use(typed, table: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    done = typed("train", table, "--out", tmp_path / "run")
    assert done.code == 1 and "is there already" in done.err
    done = typed("train", table, "--out", tmp_path / "run" / "thesis.txt")
    assert done.code == 1 and "thesis.txt" in done.err
    assert (tmp_path / "run" / "thesis.txt").read_text() == "years of work"


def test_no_permission_to_write(table: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    command = [sys.executable, "-m", "sightsound", "train", str(table), "--out", str(locked / "run"), "--epochs", "1"]
    if os.geteuid() == 0:  # root may write anywhere; a process without that capability may not
        tmp_path.parent.chmod(0o755)
        for folder in [tmp_path, *tmp_path.parents][:4]:
            folder.chmod(folder.stat().st_mode | 0o055)
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert f"{locked / 'run'}: the run folder cannot be written" in done.stderr
    assert os.strerror(errno.EACCES) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
@pytest.mark.parametrize(("kilobytes", "last"), [(300, None), (750, "joint/last.ckpt"), (1_200, "joint.safetensors")])
def test_a_full_disk(
    kilobytes: int, last: str | None, table: Path, tmp_path: Path, typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too small for the first checkpoint, for the weights after training, and for the bundle."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", small], capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        command = ("train", table, "--out", small / "run", "--epochs", 1)
        done = typed(*command)
        assert done.code == 1 and "MB are free there" in done.err
        monkeypatch.setattr(run_folder, "ENOUGH_BYTES", 0)
        done = typed(*command)
        assert done.code == 1 and os.strerror(errno.ENOSPC) in done.err and str(small) in done.err
        assert not (small / "run" / "bundle").exists()
        written = {str(path.relative_to(small / "run" / "checkpoints")) for path in small.glob("run/checkpoints/**/*")}
        stages = ["joint/last.ckpt", "joint.safetensors"]
        assert written & set(stages) == set(stages[: stages.index(last) + 1] if last else [])
    finally:
        subprocess.run(["umount", small], check=True)
