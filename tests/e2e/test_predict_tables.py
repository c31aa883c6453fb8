"""Answers for tables and folders: beside the user's columns, streamed to a file, gone on with, never over an input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import sightsound as ss
from tests.conftest import write_table
from tests.processes import python


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.json"])
def test_the_users_columns_stay_beside_the_answers(name: str, typed, bundle: Path, own: Path, tmp_path: Path) -> None:
    theirs = pd.read_csv(own, keep_default_na=False)
    done = typed("predict", bundle, own, "--out", tmp_path / name)
    assert done.code == 0 and f"15 rows: {tmp_path / name}" in done.out
    assert "own.csv: 2 row(s) could not be used, or not whole:" in done.err
    assert "row 3: text.png" in done.err.replace(str(tmp_path) + "/", "") and "answered without it" in done.err
    if name.endswith(("json", "jsonl")):
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        assert [line["given"]["species"] for line in lines] == theirs["species"].tolist()
        assert lines[2]["present"] == ["audio"] and "holds text" in lines[2]["errors"]["image"]
        assert "holds text" in lines[3]["error"] and [line["row"] for line in lines] == list(range(1, 16))
        return
    frame = pd.read_csv(tmp_path / name, keep_default_na=False) if name == "a.csv" else pd.read_parquet(tmp_path / name)
    columns = list(theirs)
    assert list(frame)[: len(columns)] == columns
    assert frame["image"].tolist() == theirs["image"].tolist() and set(frame["probability"]) == {"theirs"}
    assert frame["note"].tolist() == ["'=1+1" if name == "a.csv" else "=1+1"] * 15
    assert {"sightsound_probability", "p_low", "p_high", "p_middle", "predicted", "image_error"} <= set(frame)
    right = frame["predicted"] == frame["species"]
    assert right.drop(index=[2, 3]).mean() > 0.9 and frame["predicted"][2] != "" and frame["predicted"][3] == ""
    assert "holds text" in frame["image_error"][2] and "holds text" in frame["error"][3] and frame["error"][2] == ""


def test_a_folder_of_files_without_labels_is_answered(
    typed, bundle: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    for name in ("low-0.png", "low-0.wav", "high-1.wav"):
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        shutil.copy(trained[0].parent / name, folder / ("deep" if name.startswith("high") else "") / name)
    (folder / "notes.txt").write_text("x")
    done = typed("predict", bundle, folder, "--out", tmp_path / "a.csv")
    assert done.code == 0 and "1 .txt" in done.err
    frame = pd.read_csv(tmp_path / "a.csv", keep_default_na=False).set_index("audio")
    assert frame.loc["low-0.wav", "predicted"] == "low" and frame.loc["deep/high-1.wav", "predicted"] == "high"
    assert frame.loc["deep/high-1.wav", "image"] == ""


def test_an_answer_is_never_written_over_what_is_read(typed, bundle: Path, own: Path, tmp_path: Path) -> None:
    inside = Path(pd.read_csv(own)["image"][0])
    (tmp_path / "link.csv").symlink_to(own)
    before = {path: path.read_bytes() for path in (own, inside)}
    for out, reason in {
        own: "read here too",
        tmp_path / "link.csv": "read here too",
        inside: "files of type .png are not written",
        tmp_path / "a.xlsx": "files of type .xlsx are not written. Known: .csv, .parquet",
        tmp_path / "a.html": "not written",
        tmp_path / "a": r"type (no ending)",
        tmp_path: "not written",
        tmp_path / "gone" / "a.csv": "there is no folder",
    }.items():
        done = typed("predict", bundle, own, "--out", out)
        assert done.code == 1 and reason in done.err and "Traceback" not in done.err, (out, done.err)
    (tmp_path / "folder.csv").mkdir()
    assert "which is a folder" in typed("predict", bundle, own, "--out", tmp_path / "folder.csv").err
    assert "device or a pipe" in typed("predict", bundle, own, "--format", "csv", "--out", "/dev/full").err
    done = typed("predict", bundle, own, "--format", "csv", "--out", inside)
    assert done.code == 1 and "read here too" in done.err  # a file that the table names
    image = typed("predict", bundle, "--image", inside, "--format", "json", "--out", inside)
    assert image.code == 1 and "read here too" in image.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_prediction_that_was_killed_goes_on(
    typed, bundle: Path, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.read_csv(trained[0])
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    pd.concat([frame] * 5).to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setattr("sightsound.data.decode.CHUNK_ROWS", 50)
    whole, out = tmp_path / "whole.csv", tmp_path / "a.csv"
    assert typed("predict", bundle, tmp_path / "t.csv", "--out", whole).code == 0
    code = f"""
import os, signal
import sightsound.data.decode, sightsound.classifier
sightsound.data.decode.CHUNK_ROWS = 50
original = sightsound.classifier.Classifier.predict_parts
def dying(*given):
    for number, part in enumerate(original(*given)):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield part
sightsound.classifier.Classifier.predict_parts = dying
import sys
sys.argv = ["sightsound", "predict", {str(bundle)!r}, {str(tmp_path / "t.csv")!r}, "--out", {str(out)!r}]
from sightsound.cli import main
main()
"""
    killed = python("-c", code)
    assert killed.returncode == -signal.SIGKILL and not out.exists()
    other = typed("predict", bundle, tmp_path / "t.csv", "--out", out, "--resume", "--abstain-below", 0.5)
    assert other.code == 1 and "another table or other options" in other.err
    done = typed("predict", bundle, tmp_path / "t.csv", "--out", out, "--resume")
    assert done.code == 0 and "Going on after 3 part(s)" in done.err, done.err
    assert out.read_bytes() == whole.read_bytes() and not (tmp_path / "a.csv.parts").exists()


def test_files_that_lie_in_a_parquet_are_trained_and_answered(typed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "data")
    frame = pd.read_csv(table)
    for column in ("image", "audio"):
        frame[column] = [
            {"bytes": (table.parent / name).read_bytes(), "path": name if i % 2 else None}
            for i, name in enumerate(frame[column])
        ]
    frame.to_parquet(tmp_path / "whole.parquet")
    shutil.rmtree(table.parent)
    done = typed("train", tmp_path / "whole.parquet", "--epochs", 10, "--batch-size", 16, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    done = typed("predict", tmp_path / "run" / "bundle", tmp_path / "whole.parquet", "--out", tmp_path / "a.csv")
    assert done.code == 0, done.err
    answered = pd.read_csv(tmp_path / "a.csv")
    assert (answered["predicted"] == answered["label"]).mean() > 0.8
    assert answered["image"][1].startswith("low-1.png#") and answered["image"][0].startswith("bytes#")
    assert len({path.name for path in tmp_path.iterdir()} - {"whole.parquet", "run", "a.csv", "cache", "runs"}) == 0
    evaluated = typed("evaluate", tmp_path / "run" / "bundle", tmp_path / "whole.parquet")
    assert evaluated.code == 0 and "60" in evaluated.out


def test_evaluate_and_train_agree_on_what_the_test_rows_are(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame["Split"] = [["TRAIN", "Valid", " Testing "][min(i % 20 // 8, 2)] for i in range(60)]
    frame.to_csv(table, index=False)
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "run")
    assert "rows: 24 train, 24 val, 12 test" in done.out
    done = typed("evaluate", tmp_path / "run" / "bundle", table, "--out", tmp_path / "n.json")
    assert "The 12 test rows of 60 count." in done.err and json.loads((tmp_path / "n.json").read_text())["rows"] == 12
    robust = typed("robustness", tmp_path / "run" / "bundle", table, "--out", tmp_path / "robust")
    assert robust.code == 0 and "12 rows that have image and audio." in robust.out
    frame["Split"] = frame["Split"].replace(" Testing ", "val")
    frame.to_csv(table, index=False)
    done = typed("evaluate", tmp_path / "run" / "bundle", table)
    assert "no test rows, so that all 60 rows count" in done.err and "24 training rows among them" in done.err


HOSTILE = ["$x^$", "=cmd|' /C calc'!A0", "\x1b[31mred\x07", "<script>alert(1)</script>", "\u202eevil", "a" * 300, "_b"]


def test_names_are_text_wherever_they_are_shown(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame["label"] = [HOSTILE[i % len(HOSTILE)] for i in range(60)]
    frame.to_csv(table, index=False)
    (table.parent / "\x1b[2Jgone.png").write_bytes(b"")
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    again = typed("train", table, "--epochs", 1, "--out", tmp_path / "run", "--resume")
    assert again.code == 0, again.err
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;" in page and not {"\x07", "\u202e"} & set(page)
    predictions = (tmp_path / "run" / "predictions.csv").read_text()
    assert "'=cmd" in predictions and ",=cmd" not in predictions
    shown = [done.out, again.out, typed("inspect", table).out, typed("inspect", tmp_path / "run" / "bundle").out]
    shown += [typed("predict", tmp_path / "run" / "bundle", table, "--format", form).out for form in ("text", "json")]
    for text in shown:
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    json.loads(shown[-1].splitlines()[0])
    frame.loc[0, "image"] = "\x1b[2Jgone.png"
    frame.to_csv(table, index=False)
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "other")
    assert done.code == 1 and "\\u001b[2Jgone.png: the file is empty" in done.err and "\x1b" not in done.err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_console_that_knows_few_letters(
    encoding: str, bundle: Path, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = trained[0].parent
    name = "грач \udcff 鴉.wav"
    shutil.copy(data / "low-0.wav", tmp_path / name)
    os.mkdir(tmp_path / "пустая")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    asked = ["predict", bundle, "--audio", name, "--format"]  # a process each: text, JSON, and CSV to a file
    if encoding != "ascii":  # which knows no letter that the others lack
        done = python("-m", "sightsound", *asked, *(["csv", "--out", "a.csv"] if encoding == "cp1252" else ["json"]))
        assert done.returncode == 0 and (encoding == "cp1252" or "low" in done.stdout), done.stderr
        return

    def run(*words: object) -> subprocess.CompletedProcess[str]:  # as a shell starts it, in which names are bytes
        command = [sys.executable, "-m", "sightsound", *map(str, words)]
        environment = {**os.environ, "PYTHONUTF8": "0", "LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, errors="replace")

    done = run(*asked, "text")
    assert done.returncode == 0 and "low" in done.stdout, done.stderr
    done = run("predict", bundle, "--audio", "\udcff нет.wav")
    assert done.returncode == 1 and "there is no such file" in done.stderr
    done = run("inspect", "пустая")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert run("train", "--help").returncode == 0


def test_predictions_in_python_are_a_frame(bundle: Path, own: Path) -> None:
    frame = ss.load(bundle).predict_table(own)
    assert isinstance(frame, pd.DataFrame) and len(frame) == 15
    begin = time.perf_counter()
    assert list(ss.load(bundle).predict_table(pd.read_csv(own)[:1].fillna("")))[:3] == ["image", "audio", "species"]
    assert time.perf_counter() - begin < 30
