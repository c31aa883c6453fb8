"""The recall or the precision that is asked of a class: chosen on validation rows, kept, shown, obeyed everywhere."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import sightsound as ss
from sightsound.data.dataset import Rows
from sightsound.inference.subsets import Answered
from sightsound.network.decision import Decision, for_recall
from sightsound.training.decision import decision_for
from sightsound.training.encoder_choice import candidates, read_candidates
from tests.conftest import write_table

SMALL = ["--image.encoder", "resnet", "--audio.encoder", "convnet", "--batch-size", 16]


def unsure(folder: Path) -> Path:
    """A table of which a third of the labels are wrong, so that no class is certain."""
    table = write_table(folder, rows_per_class=30)
    frame = pd.read_csv(table)
    rng = np.random.default_rng(0)
    wrong = rng.random(len(frame)) < 0.33
    frame.loc[wrong, "label"] = rng.permutation(frame.loc[wrong, "label"])
    frame["split"] = np.resize(["train", "train", "val", "test"], len(frame))
    frame.loc[::7, "audio"] = ""
    frame.to_csv(table, index=False)
    return table


def test_by_hand() -> None:
    """Seven rows, one of them without a sound; of the first three classes `x` is the true one."""
    frame = pd.DataFrame({"row": range(1, 8), "label": list("xxxyyyy"), "split": "val", "group": ""})
    frame[["image", "audio"]] = [[f"{i}.png", f"{i}.wav" if i < 6 else ""] for i in range(7)]

    class Only:  # all that is read of what `prepare` returns
        table = ss_table(frame)
        labels = ["x", "y"]
        config = ss.Config(class_recall={"x": 0.6})

    p = np.array([0.4, 0.3, 0.1, 0.35, 0.2, 0.05, 0.9])
    said = np.stack([p, 1 - p], 1)
    has = {"image": np.ones(7, bool), "audio": np.arange(7) < 6}
    answered = Answered(np.arange(1, 8), {("image", "audio"): said, ("image",): said, ("audio",): said}, has)
    decision, lines = decision_for(Only, answered)
    for subset in (("image", "audio"), ("image",), ("audio",)):
        np.testing.assert_allclose(decision.thresholds[subset], [0.25, np.nan])
    assert "'x' by image+audio: answered from a probability of 0.25, chosen for a recall of 0.6" in lines[0]
    assert "recall 0.667" in lines[0] and "precision 0.667" in lines[0] and "precision 0.500" in lines[1]


def ss_table(frame: pd.DataFrame):
    from sightsound.data.table import Table

    return Table("t.csv", Path(), frame)


def test_from_the_command_line_to_the_answers(tmp_path: Path, typed) -> None:
    table, run = unsure(tmp_path / "data"), tmp_path / "run"
    asked = ["--class-recall", "low=0.9", "--class-precision", "high=0.7"]
    asked += ["--class-weights", "middle=2", "--class-weights", "low=1.5"]
    done = typed("train", table, *SMALL, "--epochs", 6, *asked, "--out", run)
    assert done.code == 0, done.err
    assert "'low' by image+audio: answered from a probability of" in done.out and "Threshold: by audio, " in done.out
    kept = json.loads((run / "bundle" / "config.json").read_text())
    assert (
        kept["config"]["class_weights"] == {"middle": 2, "low": 1.5}
        and kept["decision"]["thresholds"]["image"]["low"] > 0
    )
    classifier = ss.load(run / "bundle")
    own = classifier.metrics["subsets"]["image+audio"]["per_class"]["low"]
    for text in ((run / "report.html").read_text(), (run / "bundle" / "README.md").read_text()):
        assert f"recall {own['recall']:.3f}" in text and "Threshold: by image, " in text

    answered = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    frame = pd.read_csv(table)
    frame[["image", "audio"]] = [
        [str(table.parent / name) if isinstance(name, str) else "" for name in row]
        for row in frame[["image", "audio"]].to_numpy()
    ]
    test = frame[frame["split"] == "test"].reset_index(drop=True)
    again = classifier.predict_table(test)
    assert again["predicted"].tolist() == answered["predicted"].tolist()
    assert again["image_only"].tolist() == answered["image_only"].tolist()
    most = again[["p_high", "p_low", "p_middle"]].to_numpy().argmax(1)
    thresholds, low = kept["decision"]["thresholds"], 0
    assert (again["predicted"] != np.array(["high", "low", "middle"])[most]).any()
    for place, row in again.iterrows():
        subset = "+".join(m for m in ("image", "audio") if test.loc[place, m])
        by_threshold = row["p_low"] >= thresholds[subset]["low"]
        assert (row["predicted"] == "low") <= by_threshold and row["probability"] == row[f"p_{row['predicted']}"]
        low += by_threshold
    assert low
    measured = classifier.evaluate(test)["subsets"]
    shares = answered["predicted"] == answered["label"]
    assert measured["as given"]["accuracy"] == pytest.approx(shares.mean())
    kept_numbers = classifier.metrics["subsets"]["image+audio"]["per_class"]
    assert json.loads(json.dumps(measured["image+audio"]["per_class"])) == kept_numbers
    val = frame[(frame["split"] == "val") & (frame["image"] != "")]
    seen = classifier.predict_table(val.assign(audio=""))["p_low"].to_numpy()
    chosen = for_recall(seen, (val["label"] == "low").to_numpy(), 0.9)
    assert thresholds["image"]["low"] == pytest.approx(chosen, abs=1e-4)
    one = classifier.predict(image=test.loc[0, "image"])
    assert one.label == one.unimodal_labels["image"] == again.loc[0, "image_only"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--class-recall", "lwo=0.9"], "class_recall has 'lwo', which is no class. Did you mean 'low'?"),
        (["--class-recall", "low=1.5"], "class_recall of 'low' is 1.5; it must be above 0 and at most 1."),
        (["--class-recall", "low=0.9", "--class-precision", "low=0.9"], "both have 'low'"),
        (["--class-recall", "low"], "--class-recall is 'low'; it takes NAME=NUMBER for each class"),
        (["--class-weights", "low=-1"], "a weight is from 0.001 to 1,000"),
        (
            ["--class-weights", "ballanced"],
            "--class-weights is 'ballanced'; it takes 'none', 'balanced', or NAME=NUMBER",
        ),
        (["--class-recall", "rare=0.9"], "no validation row is of this class"),
        (["--class-recall", "low=["], "it takes NAME=NUMBER for each class"),
        (["--logit-adjustment", "much"], "--logit-adjustment is 'much'; it takes 'auto', or a number"),
        (["--logit-adjustment", "2"], "logit_adjustment is 2.0; it must be auto, or from 0 to 1."),
    ],
)
def test_what_cannot_be_asked_is_said_before_the_training(
    asked: list[str], message: str, tmp_path: Path, typed
) -> None:
    table = write_table(tmp_path / "data", rows_per_class=8)
    frame = pd.read_csv(table).assign(split=["val" if i % 4 == 1 else "train" for i in range(24)])
    frame.loc[frame.index[-4:], ["label", "split"]] = ["rare", "train"]
    frame.to_csv(table, index=False)
    done = typed("train", table, *SMALL, "--epochs", 1, *asked, "--out", tmp_path / "run")
    assert done.code in (1, 2) and message in done.err, done.err
    assert "training" not in done.err


def test_a_precision_that_no_threshold_reaches_is_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"row": range(1, 5), "label": list("xxyy"), "split": "val", "group": ""})
    frame[["image", "audio"]] = [[f"{i}.png", f"{i}.wav"] for i in range(4)]

    class Only:  # all that is read of what `prepare` returns
        table = ss_table(frame)
        labels = ["x", "y"]
        config = ss.Config(class_precision={"x": 0.9})

    said = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    has = {m: np.ones(4, bool) for m in ("image", "audio")}
    decision, lines = decision_for(Only, Answered(np.arange(1, 5), {("image", "audio"): said}, has))
    assert not decision and "no threshold reaches a precision of 0.9" in lines[0]


def test_the_estimator_and_a_comparison_obey_them(tmp_path: Path, typed) -> None:
    table = unsure(tmp_path / "data")
    frame = pd.read_csv(table).drop(columns="split").dropna()
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(table.parent / name))
    own = {"image": {"encoder": "resnet"}, "audio": {"encoder": "convnet"}, "epochs": 2}
    estimator = ss.SightsoundEstimator(class_recall={"low": 1.0}, class_weights="balanced", **own)
    estimator.fit(frame[["image", "audio"]], frame["label"])
    said = estimator.predict(frame[["image", "audio"]])
    assert said.tolist() == estimator.classifier_.predict_table(frame)["predicted"].tolist()
    assert (said != estimator.classes_[estimator.predict_proba(frame[["image", "audio"]]).argmax(1)]).any()

    asked = ["--strategies", "vote,product", "--seeds", 1, "--epochs", 2, "--class-recall", "low=1"]
    done = typed("compare", table, *SMALL, *asked, "--out", tmp_path / "compare")
    assert done.code == 0, done.err
    kept = json.loads((tmp_path / "compare" / "bundle" / "config.json").read_text())
    assert kept["decision"]["thresholds"]["image+audio"]["low"] > 0 and "chosen for a recall of 1" in done.out


@pytest.mark.parametrize(("strength", "factors"), [(0.5, [20**0.5, (20 / 19) ** 0.5]), (1.0, [20, 20 / 19])])
def test_a_given_strength_by_hand(strength: float, factors: list[float]) -> None:
    decision, said = decision_for(prepared_of(5, 95, logit_adjustment=strength), answered_by([0.3] * 10))
    np.testing.assert_allclose(decision.factors, factors)
    assert said == [] and decision.named(["x", "y"])["factors"] == pytest.approx(dict(zip("xy", factors, strict=True)))


def test_auto_takes_the_best_strength_and_little_where_it_can_judge_little() -> None:
    """With a probability of 0.27 rows of the rare class lose at 0.3, which is 2.4 times the odds, and win at 0.4."""
    few = answered_by([0.27] * 4 + [0.02] * 36)
    decision, [said] = decision_for(prepared_of(5, 95, few.row, 4, logit_adjustment="auto"), few)
    assert "Logit adjustment 0.3, the best of macro F1 on 40 validation rows" in said  # all the same, so the largest
    many = answered_by([0.27] * 12 + [0.02] * 88)
    decision, [said] = decision_for(prepared_of(5, 95, many.row, 12, logit_adjustment="auto"), many)
    assert "Logit adjustment 1" in said and "0.3: 0.468" in said and "0.4: 1.000" in said, said
    np.testing.assert_allclose(decision.factors, [20, 20 / 19])
    harmful = answered_by([0.02] * 12 + [0.45] * 88)
    assert decision_for(prepared_of(5, 95, harmful.row, 12, logit_adjustment="auto"), harmful)[0].factors is None


def answered_by(rare: list[float]) -> Answered:
    p = np.array(rare)
    said = np.stack([p, 1 - p], 1)
    return Answered(np.arange(1, len(p) + 1), {("image",): said}, {"image": np.ones(len(p), bool)})


def prepared_of(rare: int, others: int, rows: np.ndarray | None = None, true: int = 4, **options: object) -> type:
    """All that `decision_for` reads of a table: training rows of each class, and labels of validation rows."""
    numbers = np.arange(1, 11) if rows is None else rows
    frame = pd.DataFrame({"row": numbers, "label": ["x"] * true + ["y"] * (len(numbers) - true), "split": "val"})

    class Only:
        table = ss_table(frame)
        labels = ["x", "y"]
        config = ss.Config(**options)
        rows = {"train": Rows({}, torch.tensor([0] * rare + [1] * others), torch.arange(rare + others))}

    return Only


def test_thresholds_that_the_same_rows_reach_are_said_to_be_missed() -> None:
    """Half of the rows of either class look like the other one, so that both recalls cannot be had."""
    frame = pd.DataFrame({"row": range(1, 9), "label": list("xxxxyyyy"), "split": "val", "group": ""})
    frame["image"] = [f"{i}.png" for i in range(8)]

    class Only:
        table = ss_table(frame)
        labels = ["x", "y"]
        config = ss.Config(class_recall={"x": 1.0, "y": 1.0})

    p = np.array([0.9, 0.8, 0.4, 0.2, 0.7, 0.6, 0.25, 0.1])
    answered = Answered(np.arange(1, 9), {("image",): np.stack([p, 1 - p], 1)}, {"image": np.ones(8, bool)})
    decision, said = decision_for(Only, answered)
    predicted = answered._replace(decision=decision).predicted(("image",))
    for k, (label, line) in enumerate(zip("xy", said, strict=True)):
        recall = (predicted == k)[frame["label"] == label].mean()
        assert f"recall {recall:.3f}" in line and recall < 1 and "MISSED" in line


def test_an_imputed_row_is_decided_as_a_complete_one() -> None:
    decision = Decision(None, {("image", "audio"): np.array([0.2, np.nan]), ("audio",): np.array([0.9, np.nan])})
    said, has = np.array([[0.3, 0.7], [0.3, 0.7]]), {"image": np.array([False, False]), "audio": np.ones(2, bool)}
    answered = Answered(np.arange(2), {("image", "audio"): said}, has, decision)
    assert answered.predicted().tolist() == [1, 1]
    assert answered._replace(imputed={"image": np.array([True, False])}).predicted().tolist() == [0, 1]


def test_weights_of_classes_that_a_fold_lacks_leave_the_choice_of_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    table = write_table(tmp_path / "data", rows_per_class=8)
    frame = pd.read_csv(table).assign(split="train", group="")
    frame.loc[::5, "split"] = "val"
    frame.loc[frame.index[-3:], ["label", "split", "group"]] = ["rare", "train", "one"]
    frame.to_csv(table, index=False)
    monkeypatch.setattr("sightsound.training.encoder_choice.candidates", candidates)
    options = {"epochs": 2, "image": {"height": 32, "width": 32}, "class_weights": {"rare": 5.0}}
    ss.train(table, out=tmp_path / "run", modalities=("image",), say=lambda line: None, **options)
    assert all(one.training_rows for one in read_candidates(tmp_path / "run"))


def test_what_is_answered_from_little_is_withheld_with_a_warning(tmp_path: Path, typed) -> None:
    table = unsure(tmp_path / "data")
    asked = ["--epochs", 2, "--class-recall", "low=1", "--out", tmp_path / "run"]
    assert typed("train", table, *SMALL, *asked).code == 0
    for verb in ("predict", "evaluate"):
        done = typed(verb, tmp_path / "run" / "bundle", table, "--abstain-below", 0.9)
        assert done.code == 0 and "'low': answered from a probability below 0.9" in done.err, done.err
    for verb in (["evaluate", tmp_path / "run" / "bundle", table], ["inspect", tmp_path / "run" / "bundle"]):
        assert "Threshold: by image+audio, 'low' is answered from" in typed(*verb).out
