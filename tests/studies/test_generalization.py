"""Trained anew without each group, and on more and more rows: as typed, and what the splits hold."""

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sightsound as ss
from sightsound.data.table import Table, read_table
from sightsound.studies.generalization import (
    SIZES,
    Fold,
    _fold,
    mean_of,
    run_learning_curve,
    run_leave_one_group_out,
)
from tests.conftest import write_table

SHORT = ("--epochs", 2, "--batch-size", 16)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table with three groups, and a short run on it."""
    import sightsound as ss

    folder = tmp_path_factory.mktemp("groups")
    table = write_table(folder / "data", rows_per_class=18)
    frame = pd.read_csv(table)
    frame["group"] = np.arange(len(frame)) % 3
    frame.to_csv(table, index=False)
    ss.train(table, out=folder / "run", epochs=2, batch_size=16, say=lambda line: None)
    return table, folder / "run" / "bundle"


def test_leave_one_group_out(typed, begun: tuple[Path, Path], tmp_path: Path) -> None:
    table, bundle = begun
    done = typed("evaluate", bundle, table, "--leave-one-group-out", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "Group 3 of 3" in done.out and "mean" in done.out
    frame = pd.read_csv(tmp_path / "run" / "generalization.csv", dtype={"name": str})
    assert set(frame["name"]) == {"0", "1", "2"} and set(frame["modalities"]) == {"image+audio", "image", "audio"}
    assert (frame["tested"] == 18).all()
    for number in (1, 2, 3):
        splits = pd.read_csv(tmp_path / "run" / f"group-{number}" / "splits.csv")
        groups = pd.read_csv(table)["group"][splits["row"] - 1].to_numpy()
        assert set(groups[splits["split"] == "test"]) == {number - 1}
        assert number - 1 not in groups[splits["split"] != "test"]
    page = (tmp_path / "run" / "generalization.html").read_text()
    assert '<figure class="chart dots' in page and "Student" in page
    again = typed("evaluate", bundle, table, "--leave-one-group-out", "--out", tmp_path / "run", "--resume")
    assert again.code == 0 and again.out.count("done already") == 3
    in_python = ss.leave_one_group_out(ss.load(bundle), table, out=tmp_path / "run", resume=True)
    assert [fold.name for fold in in_python] == ["0", "1", "2"] and [fold.tested for fold in in_python] == [18] * 3
    assert "--resume" in typed("evaluate", bundle, table, "--leave-one-group-out", "--out", tmp_path / "run").err
    other = typed("evaluate", bundle, table, "--learning-curve", "--out", tmp_path / "run", "--resume")
    assert other.code == 1 and "study" in other.err


def test_a_learning_curve(typed, begun: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, bundle = begun
    monkeypatch.setattr("sightsound.studies.generalization.SIZES", (0.1, 1.0))
    done = typed("evaluate", bundle, table, "--learning-curve", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    frame = pd.read_csv(tmp_path / "run" / "generalization.csv")
    both = frame[frame["modalities"] == "image+audio"]
    assert both["trained"].is_monotonic_increasing and both["tested"].nunique() == 1
    assert ((both["accuracy"] >= both["low"]) & (both["accuracy"] <= both["high"])).all()
    assert "Shaded" in (tmp_path / "run" / "generalization.html").read_text()
    folds = ss.learning_curve(ss.load(bundle), table, out=tmp_path / "run", resume=True)
    assert [fold.name for fold in folds] == ["0.1", "1"] and folds[0].trained < folds[1].trained


def test_groups_are_needed(typed, trained: tuple[Path, Path], tmp_path: Path) -> None:
    done = typed("evaluate", trained[1] / "bundle", trained[0], "--leave-one-group-out", "--out", tmp_path / "run")
    assert done.code == 1 and "there are 0" in done.err and "--columns.group" in done.err
    assert not (tmp_path / "run").exists()
    done = typed("train", trained[0], "--group-split", "--out", tmp_path / "other", *SHORT)
    assert done.code == 1 and "needs a group in every row" in done.err and "row 1" in done.err


def test_bad_files_are_found_first(typed, begun: tuple[Path, Path], tmp_path: Path) -> None:
    frame = pd.read_csv(begun[0])
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(begun[0].parent / name))
    (tmp_path / "bad.png").write_text("no picture")
    frame.loc[7, "image"] = "bad.png"
    frame.to_csv(tmp_path / "t.csv", index=False)
    given = ("evaluate", begun[1], tmp_path / "t.csv", "--leave-one-group-out", "--out", tmp_path / "run")
    done = typed(*given)
    assert done.code == 1 and "bad.png" in done.err and "Group 1" not in done.out
    assert (tmp_path / "run" / "rejected.csv").exists()
    done = typed(*given, "--on-bad-file", "skip")
    assert done.code == 0, done.err
    assert pd.read_csv(tmp_path / "run" / "generalization.csv")["tested"].min() == 17


def test_a_learning_curve_needs_training_rows(typed, trained: tuple[Path, Path], tmp_path: Path) -> None:
    frame = pd.read_csv(trained[0]).assign(split="test")
    frame.to_csv(tmp_path / "t.csv", index=False)
    given = ("evaluate", trained[1] / "bundle", tmp_path / "t.csv", "--learning-curve", "--out", tmp_path / "run")
    done = typed(*given)
    assert done.code == 1 and "none has the split train" in done.err
    assert not (tmp_path / "run").exists()


def test_a_split_by_group(typed, begun: tuple[Path, Path], tmp_path: Path) -> None:
    frame = pd.read_csv(begun[0]).assign(split="train")
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(begun[0].parent / name))
    frame.to_csv(tmp_path / "t.csv", index=False)
    done = typed("train", tmp_path / "t.csv", "--group-split", "true", "--out", tmp_path / "run", *SHORT)
    assert done.code == 0, done.err
    splits = pd.read_csv(tmp_path / "run" / "splits.csv")
    assert frame["group"].groupby(splits["split"]).nunique().to_dict() == {"train": 1, "val": 1, "test": 1}
    bundle = tmp_path / "run" / "bundle"  # which does not draw the splits of a study anew
    done = typed("evaluate", bundle, tmp_path / "t.csv", "--leave-one-group-out", "--out", tmp_path / "groups")
    assert done.code == 0, done.err
    assert (pd.read_csv(tmp_path / "groups" / "generalization.csv")["tested"] == 18).all()


def test_the_mean_over_groups_by_hand() -> None:
    mean = mean_of([0.8, 0.9])
    assert mean.value == pytest.approx(0.85)
    assert (mean.low, mean.high) == (pytest.approx(0.85 - 12.706 * 0.05, abs=1e-3), 1.0)


@pytest.mark.parametrize("study", [run_learning_curve, run_leave_one_group_out])
def test_the_seed_of_the_classifier_draws_the_rows(
    study: Callable[..., list[Fold]], begun: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, drawn = ss.load(begun[1]), {}

    def noted(name: str, table: Table, *_: object) -> Fold:
        splits = table.frame.set_index("row")["split"]
        drawn[number, name] = {split: frozenset(splits.index[splits == split]) for split in ("train", "val", "test")}
        return Fold(name, 0, 0, {}, {})

    monkeypatch.setattr("sightsound.studies.generalization._fold", noted)
    for number, seed in enumerate((0, 0, 1)):
        classifier.config = dataclasses.replace(classifier.config, seed=seed)
        folds = study(classifier, begun[0], tmp_path / f"{number}", False, lambda line: None)
    for name in (fold.name for fold in folds):
        first, again, other = (drawn[number, name] for number in range(3))
        assert first == again and first["val"] != other["val"]
        assert (first["test"] != other["test"]) == (study is run_learning_curve)
    if study is run_learning_curve:
        shares = [drawn[0, f"{share:g}"]["train"] for share in SIZES]
        assert all(small < large for small, large in pairwise(shares))


def test_the_seed_draws_which_training_rows_come_first(
    begun: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the table has splits of its own, too."""
    classifier, drawn = ss.load(begun[1]), []
    frame = pd.read_csv(begun[0]).assign(split=["train", "train", "val"] * 14 + ["test"] * 12)
    for m in ("image", "audio"):
        frame[m] = [str(begun[0].parent / name) for name in frame[m]]

    def noted(name: str, table: Table, *_: object) -> Fold:
        drawn.append(set(table.frame["row"][table.frame["split"] == "train"]))
        return Fold(name, 0, 0, {}, {})

    monkeypatch.setattr("sightsound.studies.generalization._fold", noted)
    monkeypatch.setattr("sightsound.studies.generalization.SIZES", (0.2,))
    for number, seed in enumerate((0, 0, 1)):
        classifier.config = dataclasses.replace(classifier.config, seed=seed)
        run_learning_curve(classifier, frame, tmp_path / f"{number}", False, lambda line: None)
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == len(drawn[2]) == 6  # of 28


def test_a_fold_that_cannot_be_written_whole_is_not_there(
    begun: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, table = ss.load(begun[1]), read_table(begun[0])
    classifier.metrics = {"rows": 3, "subsets": {}}
    monkeypatch.setattr("sightsound.studies.generalization.run_training", lambda *_, **__: classifier)
    monkeypatch.setattr(type(classifier), "evaluate", lambda *_, **__: {"subsets": {}})
    whole = Path.write_text

    def half(path: Path, content: str, encoding: str) -> int:
        whole(path, content[: len(content) // 2])
        raise OSError("the disk is full")

    run = tmp_path / "run"
    run.mkdir()
    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr(Path, "write_text", half)
        _fold("a", table, classifier.config, run, lambda line: None)
    assert not (run / "fold.json").exists()
    fold = _fold("a", table, classifier.config, run, lambda line: None)
    assert _fold("a", table, classifier.config, run, lambda line: None) == fold
