"""The report of a training: the numbers of `metrics.json`, every wrong row with its files, no name obeyed."""

import json
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sightsound as ss
from sightsound.data.table import read_table
from sightsound.report import errors
from sightsound.report.training import write_report
from tests.report.pages import Page

HOSTILE = {"low": "</script><img src=x onerror=alert(1)>", "middle": 'a & b\'s "c" {{ d }}', "high": "'=1+1\u202e"}


@pytest.fixture
def run(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the run, with three answers changed to wrong ones."""
    folder = tmp_path / "run"
    shutil.copytree(trained[1], folder, ignore=shutil.ignore_patterns("checkpoints"))
    rows = pd.read_csv(folder / "predictions.csv", dtype=str, keep_default_na=False)
    rows.loc[:2, "predicted"] = ["low" if label != "low" else "high" for label in rows["label"][:3]]
    rows.loc[:2, "probability"] = ["0.5", "0.9", "0.7"]
    rows.loc[0, "image_only"] = rows.loc[0, "label"]
    rows.to_csv(folder / "predictions.csv", index=False)
    return folder


def test_the_page_holds_the_numbers_of_the_metrics(trained: tuple[Path, Path]) -> None:
    page = Page(trained[1] / "report.html")
    metrics = json.loads((trained[1] / "bundle" / "metrics.json").read_text())
    labels = json.loads((trained[1] / "bundle" / "labels.json").read_text())
    assert page.needs_no_network()
    for name, numbers in metrics["subsets"].items():
        assert (
            f"{numbers['accuracy']:.3f} {numbers['accuracy_ci'][0]:.3f} to {numbers['accuracy_ci'][1]:.3f}" in page.text
        )
        chart = page.chart(name)
        counts = np.zeros((len(labels),) * 2, int)
        for i, j, count in chart["cells"]:
            counts[i, j] = count
        assert counts.tolist() == numbers["confusion"] and chart["labels"] == labels
        [series] = [s for s in page.chart("If it abstains when it is less sure")["series"] if s["name"] == name]
        np.testing.assert_allclose([series["x"], series["y"]], np.array(numbers["coverage"]).T[:2], rtol=1e-6)
        for of_class in numbers["per_class"].values():
            assert f"{of_class['f1']:.3f} {of_class['precision']:.3f} {of_class['recall']:.3f}" in page.text


def test_the_first_lines_say_what_was_trained_on_what(trained: tuple[Path, Path]) -> None:
    page = Page(trained[1] / "report.html")
    assert page.text.startswith("image + audio, concat, on data/table.csv - sightsound")
    splits = pd.read_csv(trained[1] / "splits.csv")["split"].value_counts()
    assert f"Trained on {splits['train']} rows of 3 classes in {trained[0]}" in page.text
    assert f"sightsound {ss.__version__}" in page.text and "Right answers on" in page.text


def test_the_notes_of_the_training_are_in_the_report(
    table: Path, tmp_path: Path, typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightsound.training.fusion_choice.FEW_ROWS_A_CLASS", 100)
    frame = pd.read_csv(table)
    frame.loc[0, "image"] = frame.loc[1, "image"]
    frame["split"] = ["test" if i % 4 == 0 else "train" for i in range(60)]
    frame.to_csv(table, index=False)
    run = tmp_path / "run"
    done = typed("train", table, "--epochs", 1, "--batch-size", 16, "--out", run)
    page = Page(run / "report.html")
    for note in ("complete training rows a class, --fusion is product", "1 file(s) stand in more than one split"):
        assert note in done.out and note in page.text
    assert ("a", {"href": "#notes"}) in page.tags
    assert typed("train", table, "--epochs", 1, "--batch-size", 16, "--out", run, "--resume").code == 0
    assert "--fusion is product" in Page(run / "report.html").text  # of the run that was finished
    (run / "notes.json").write_text("7")
    again = typed("train", table, "--epochs", 1, "--batch-size", 16, "--out", run, "--resume")
    assert again.code == 1 and "notes.json: damaged" in again.err


def test_every_wrong_row_is_there_with_its_files(run: Path, trained: tuple[Path, Path]) -> None:
    rows = pd.read_csv(run / "predictions.csv").head(3)
    page = Page(write_report(ss.load(run / "bundle"), read_table(trained[0]), run))
    articles = [a for tag, a in page.tags if tag == "article"]
    wrong = [a for a in articles if "wrong" in str(a["class"])]
    assert len(wrong) == 3 and "3 wrong rows of" in page.text and len(articles) == 3 + errors.RIGHT_ROWS
    order = [page.text.index(f"row {row}:") for row in rows["row"].iloc[[1, 2, 0]]]
    assert order == sorted(order)  # the most confident first
    assert "image-right" in str(wrong[2]["data-fault"])
    links = [unquote(str(a["href"])) for tag, a in page.tags if tag == "a" and not str(a["href"]).startswith("#")]
    assert all((run / link).exists() for link in links) and len(links) == 2 * len(articles)
    sources = [str(a["src"]).split(";")[0] for _, a in page.tags if "src" in a]
    assert sources.count("data:audio/wav") == len(articles) and sources.count("data:image/png") == 2 * len(articles)


def test_what_is_too_much_to_show_is_listed(
    run: Path, trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errors, "MEDIA_ROWS", 2)
    labels = ["high", "low", "middle"]
    found = errors.browse(run, read_table(trained[0]), ss.load(run / "bundle").config, labels)
    assert (found.wrong, len(found.shown), len(found.listed)) == (3, 2, 1)
    assert all(file.shown is None and file.link for file in found.listed[0].files)
    page = Page(write_report(ss.load(run / "bundle"), read_table(trained[0]), run))
    assert "2 of them are shown with their files, 1 more are listed below" in page.text
    monkeypatch.setattr(errors, "TEXT_ROWS", 0)
    for bound in ("MEDIA_BYTES", "MEDIA_WORK"):
        with monkeypatch.context() as bounded:
            bounded.setattr(errors, bound, 1)
            found = errors.browse(run, read_table(trained[0]), ss.load(run / "bundle").config, labels)
        assert (found.wrong, len(found.shown), len(found.listed)) == (3, 1, 1)


def test_a_file_that_has_gone_is_said_to_be(run: Path, trained: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(trained[0].parent, tmp_path / "data")
    row = int(pd.read_csv(run / "predictions.csv")["row"][1])
    gone = tmp_path / "data" / read_table(trained[0]).frame.loc[row, "image"]
    gone.unlink()
    page = Page(write_report(ss.load(run / "bundle"), read_table(tmp_path / "data" / "table.csv"), run))
    assert f"{gone.name}: " in page.text and "3 wrong rows" in page.text


def test_names_are_text(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame["label"] = frame["label"].map(HOSTILE)
    image = table.parent / "<b>&\"'#?%20.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(image)
    frame["split"] = ["test" if i % 4 == 0 else "train" for i in range(60)]
    frame.loc[frame["split"] == "test", "image"] = image.name
    frame.to_csv(table, index=False)
    run = tmp_path / "run"
    ss.train(table, out=run, epochs=1, batch_size=16, say=lambda line: None)
    page = Page(run / "report.html")
    assert not [a for tag, a in page.tags if "onerror" in a or (tag == "img" and a.get("src") == "x")]
    assert page.needs_no_network() and HOSTILE["low"] in page.text and HOSTILE["middle"] in page.text
    assert "\u202e" not in page.source and "'=1+1\\u202e" in page.text and "''=1" not in page.text
    assert len([1 for tag, a in page.tags if tag == "script" and "type" not in a]) == 1
    links = {unquote(str(a["href"])) for tag, a in page.tags if tag == "a" and str(a["href"]).endswith(".png")}
    assert {(run / link).resolve() for link in links} == {image.resolve()}
