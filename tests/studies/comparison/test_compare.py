"""A comparison end to end, as typed: numbers, pictures, bundle; stopped, gone on with, repeated."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sightsound as ss
from sightsound.report.figures import pareto
from sightsound.studies.comparison.run import Comparison
from sightsound.training.balances import BALANCES
from tests.conftest import write_table
from tests.processes import NARROW

EPOCHS = 6
SIZED = {  # in words, since the worker processes of a comparison know nothing of what tests shorten
    "image": {"encoder": "resnet", "encoder_options": NARROW["resnet"]},
    "audio": {"encoder": "convnet", "encoder_options": NARROW["convnet"]},
}
SMALL = ["--epochs", str(EPOCHS), "--batch-size", "16", "--image.encoder", "resnet", "--audio.encoder", "convnet"]
SMALL += ["--image.encoder.width", "4", "--image.encoder.embedding_size", "32", "--audio.encoder.width", "4"]
COMPARED = ["concat", "product", "majority", "mmtm"]  # of each family, one without anything to train


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Comparison]:
    folder = tmp_path_factory.mktemp("compared")
    table = write_table(folder / "data", rows_per_class=30)
    options = ss.CompareOptions(",".join(COMPARED), seeds=2)
    given = {**SIZED, "epochs": EPOCHS, "batch_size": 16, "say": lambda line: None}
    done = ss.compare(table, options=options, out=folder / "run", **given)
    return table, folder / "run", done


@pytest.fixture(scope="module")
def compared(comparison: tuple[Path, Path, Comparison]) -> tuple[Path, Path]:
    return comparison[:2]


def test_every_strategy_and_both_modalities_have_all_numbers(compared: tuple[Path, Path]) -> None:
    frame = pd.read_csv(compared[1] / "compare.csv").set_index("name")
    assert set(frame.index) == {*COMPARED, "image only", "audio only"}
    numbers = frame[["accuracy", "macro_f1", "calibration_error", "image_only_accuracy", "multiply_adds", "memory_mb"]]
    assert numbers.drop(index="audio only").notna().all(axis=None)
    assert ((frame["accuracy_low"] <= frame["accuracy"]) & (frame["accuracy"] <= frame["accuracy_high"])).all()
    assert (frame[["train_seconds", "latency_ms", "latency_256_ms"]] >= 0).all(axis=None)
    assert set(frame.loc[["product", "majority"], "training"]) == {"frozen"}
    assert "finetuned" in set(
        json.loads((compared[1] / "compare.json").read_text())["rows"][0]["training"].split()
    ) or (list((compared[1] / "seed-0").glob("*-finetuned-1")))


def test_the_winner_is_a_bundle_that_answers(compared: tuple[Path, Path]) -> None:
    content = json.loads((compared[1] / "compare.json").read_text())
    classifier = ss.load(compared[1] / "bundle")
    assert classifier.config.fusion == content["recommendation"]["accuracy"]
    metrics = classifier.evaluate(compared[0].parent / "table.csv")
    assert metrics["subsets"]["image+audio"]["accuracy"] > 0.8


def test_the_report_shows_the_words_and_needs_no_network(compared: tuple[Path, Path]) -> None:
    page = (compared[1] / "compare.html").read_text()
    for line in json.loads((compared[1] / "compare.json").read_text())["recommendation"]["lines"]:
        assert line.split(":")[0] in page
    assert page.count('<figure class="chart') == 5
    assert "http://" not in page.replace("http://www.w3.org", "") and "src=" not in page


def test_plots_of_a_comparison(comparison: tuple[Path, Path, Comparison]) -> None:
    done = comparison[2]
    for axes in (ss.plot.comparison(done), ss.plot.comparison(done, "train_seconds"), ss.plot.missing(done)):
        assert "test accuracy" in (axes.get_xlabel(), axes.get_ylabel())
    assert len(ss.plot.gains(done).patches) == 3 and len(ss.plot.agreement(done).patches) == 4


def test_going_on_trains_nothing_twice_and_can_add_strategies(compared: tuple[Path, Path], typed) -> None:
    table, run = compared
    before = {path: path.stat().st_mtime_ns for path in run.glob("seed-*/*/val.npz")}
    names = ",".join([*COMPARED, "vote"])
    ran = typed("compare", table, "--strategies", names, "--seeds", 2, *SMALL, "--out", run, "--resume")
    assert ran.code == 0, ran.err
    assert "For accuracy: " in ran.out and "vote" in ran.out
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    again = ["--strategies", f"weighted,{names}", "--seeds", 2, "--budget", "0.0001", *SMALL, "--out", run, "--resume"]
    ran = typed("compare", table, *again)  # a budget is for what is new
    assert ran.code == 0 and "weighted: the budget is used up" in ran.err + ran.out
    content = json.loads((run / "compare.json").read_text())
    assert content["left_out"] == ["weighted"] and {*names.split(",")} < {row["name"] for row in content["rows"]}


def test_the_same_seed_gives_the_same_table(compared: tuple[Path, Path], tmp_path: Path, typed) -> None:
    table, run = compared
    ran = typed("compare", table, "--strategies", "product,mmtm", "--seeds", 1, *SMALL, "--out", tmp_path / "a")
    assert ran.code == 0, ran.err
    page = (tmp_path / "a" / "compare.html").read_text()
    assert "One seed:" in page and "One seed:" not in (run / "compare.html").read_text()
    for trial in ("product-frozen", "mmtm-frozen"):
        one, other = (np.load(r / "seed-0" / trial / "val.npz") for r in (run, tmp_path / "a"))
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_jobs_give_the_same_answers(compared: tuple[Path, Path], tmp_path: Path, typed) -> None:
    table, run = compared
    out = tmp_path / "b"
    shutil.copytree(run, out)  # with both modalities
    for trained in out.glob("seed-*/concat-*"):
        shutil.rmtree(trained)
    more = ["--seeds", 2, "--jobs", 2, *SMALL, "--out", out, "--resume"]
    ran = typed("compare", table, "--strategies", "concat", *more)
    assert ran.code == 0, ran.err
    one, other = (np.load(r / "seed-1" / "concat-frozen" / "val.npz") for r in (run, out))
    assert np.allclose(one["p image+audio"], other["p image+audio"], atol=0.02)


def test_balances_are_compared_as_strategies_are(
    compared: tuple[Path, Path], tmp_path: Path, typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, run = compared
    shutil.copytree(run, tmp_path / "run")  # with both modalities, which need not be trained again
    few = {name: BALANCES[name] for name in ("fused-only", "detached")}
    monkeypatch.setattr("sightsound.studies.comparison.candidates.BALANCES", few)
    given = ["--balance", "all", "--fusion", "vote", "--seeds", 1, *SMALL, "--out", tmp_path / "run", "--resume"]
    ran = typed("compare", table, *given)
    assert ran.code == 0, ran.err
    assert "\nbalance " in ran.out and "For accuracy: detached (decision fusion, balanced)" in ran.out
    assert set(pd.read_csv(tmp_path / "run" / "compare.csv")["name"]) == {"detached", "image only", "audio only"}
    content = json.loads((tmp_path / "run" / "compare.json").read_text())
    assert set(content["failed"]) == {"fused-only"} and "would not be trained" in content["failed"]["fused-only"]
    assert "balances of vote" in (tmp_path / "run" / "compare.html").read_text()
    winner = ss.load(tmp_path / "run" / "bundle")
    assert (winner.config.fusion, winner.config.schedule, winner.config.balance) == ("vote", "joint", "detached")
    assert winner.metrics["subsets"]["image+audio"]["accuracy"] > 0.8


def test_a_budget_that_is_used_up_is_said(compared: tuple[Path, Path], tmp_path: Path, typed) -> None:
    ran = typed(
        "compare",
        compared[0],
        "--strategies",
        "product,concat",
        "--seeds",
        3,
        "--budget",
        "0.0001",
        *SMALL,
        "--out",
        tmp_path / "c",
    )
    assert ran.code == 1 and "budget" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategies", "concta"], "Did you mean 'concat'?"),
        (["--seeds", "0"], "at least 1"),
        (["--balance", "ogm"], "Did you mean 'ogm-ge'?"),
        (["--balance", "all", "--strategies", "concat"], "--strategies and --balance are both given"),
        (["--fusion", "mmtm"], "Type --balance all beside it, or --strategies mmtm"),
        (["--balance", "auxiliary,fused-only", "--fusion", "vote"], "--fusion vote does not pass on"),
        (["--modalities", "image"], "needs both modalities"),
        (["--columns.image", "foto"], "there is no column 'foto' (--columns.image)"),
    ],
)
def test_wrong_calls_say_what_to_do(table: Path, tmp_path: Path, typed, arguments: list[str], message: str) -> None:
    ran = typed("compare", table, *arguments, "--out", tmp_path / "d")
    assert ran.code == 1 and message in ran.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": ["train", "val"] * 30}, "a comparison is about test rows"),
        ({"audio": ""}, "nothing to fuse: only image is there"),
    ],
)
def test_tables_that_cannot_be_compared_on_leave_the_folder_free(
    table: Path, tmp_path: Path, typed, change: dict[str, object], message: str
) -> None:
    pd.read_csv(table).assign(**change).to_csv(table.parent / "wrong.csv", index=False)
    ran = typed("compare", table.parent / "wrong.csv", "--out", tmp_path / "run")
    assert ran.code == 1 and message in ran.err
    quick = ["--strategies", "vote", "--seeds", 1, "--epochs", 1, "--batch-size", 16, "--out", tmp_path / "run"]
    ran = typed("compare", table, *quick)
    assert ran.code == 0, ran.err


def test_pareto_by_hand() -> None:
    assert pareto([(3, 0.9), (1, 0.5), (2, 0.4), (2, 0.7), (4, 0.9)]) == [1, 3, 0]


def test_labels_without_meaning_are_said_to_teach_nothing(tmp_path: Path, typed) -> None:
    table = write_table(tmp_path / "data", rows_per_class=40)
    frame = pd.read_csv(table)
    frame["label"] = np.random.default_rng(0).permutation(frame["label"])
    frame.to_csv(table, index=False)
    few = ["--strategies", "concat,vote", "--seeds", 1, "--epochs", 3, "--batch-size", 16]
    ran = typed("compare", table, *few, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "Training found nothing" in ran.out and "everything is trained jointly" in ran.out


def test_what_only_both_modalities_tell_is_learnt_by_strategies_that_see_both(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", rows_per_class=40)
    frame = pd.read_csv(table)
    rng = np.random.default_rng(1)
    seen, heard = rng.integers(len(frame), size=(2, 300))
    classes = frame["label"].astype("category").cat.codes.to_numpy()
    pairs = {"image": frame["image"][seen].to_numpy(), "audio": frame["audio"][heard].to_numpy()}
    pd.DataFrame({**pairs, "label": (classes[seen] + classes[heard]) % 3}).to_csv(table, index=False)
    options = ss.CompareOptions("concat,product", seeds=1)
    lines: list[str] = []
    ss.compare(table, options=options, out=tmp_path / "run", epochs=10, batch_size=16, say=lines.append)
    assert any("Neither image nor audio alone says anything" in line for line in lines)
    found = pd.read_csv(tmp_path / "run" / "compare.csv").set_index("name")
    assert found["accuracy"]["concat"] >= 0.9
    assert found["accuracy"]["product"] < 0.55  # chance is a third
    winner = ss.load(tmp_path / "run" / "bundle").config
    assert (winner.fusion, winner.schedule, winner.balance) == ("concat", "fusion+joint", "fused-only")
