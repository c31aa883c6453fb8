"""`sightsound.plot` draws what the pages draw, on given axes, and brings matplotlib only when it is used."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import sightsound as ss
from sightsound.report import charts, draw
from sightsound.report.figures import coverage
from sightsound.studies.robustness.curves import RobustnessCurve
from sightsound.studies.robustness.study import RobustnessStudy

CHARTS = [
    charts.Lines("l", "x", "y", [charts.Series("a", "blue", [1, 2], [0.1, 0.2], [0, 0], [1, 1])], True, (0, 1), "same"),
    charts.Dots("d", "x", ["$a$", "b"], [charts.Series("a", "blue", [0.1, 0.2], [0, 1], [0, 0], [1, 1])]),
    charts.Bars("b", "x", ["a", "b"], [-0.1, 0.2]),
    charts.Matrix("m", "green", ["$a", "$b"], [(0, 0, 3), (1, 0, 1)]),
    charts.Points("p", "x", "y", [charts.Point("$c", "feature", "sky", 1, 0.9, True)], True),
    charts.Shares("s", [("a", "blue", 0.25), ("b", "red", 0.75)]),
]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.kind)
def test_every_chart_can_be_drawn(chart: charts.Chart, tmp_path: Path) -> None:
    axes = Figure().subplots()
    assert draw.draw(chart, axes) is axes and axes.get_title() == chart.title
    axes.figure.savefig(tmp_path / "a.png")
    assert draw.draw(chart).figure is not axes.figure


def test_plots_of_a_classifier_have_its_numbers(trained: tuple[Path, Path]) -> None:
    classifier = ss.load(trained[1] / "bundle")
    axes = ss.plot.coverage(classifier.metrics)
    for line, series in zip(axes.get_lines(), coverage(classifier.metrics["subsets"]).series, strict=True):
        assert line.get_label() == series.name
        np.testing.assert_allclose(np.array(line.get_data()), [series.x, series.y])
    assert ss.plot.reliability(classifier).get_xlabel() == "probability of the answer"
    matrix = ss.plot.confusion(classifier, "audio")
    counts = np.array(classifier.metrics["subsets"]["audio"]["confusion"])
    np.testing.assert_allclose(matrix.images[0].get_array(), counts / counts.sum(axis=1, keepdims=True))
    assert sorted(int(text.get_text()) for text in matrix.texts) == sorted(counts[counts > 0].tolist())
    assert ss.plot.learning_curves(trained[1]).get_ylabel() == "macro F1"
    assert len(ss.plot.learning_curves(trained[1], "joint", "loss").get_lines()) == 2


def test_plots_of_a_robustness_study() -> None:
    curves = [
        RobustnessCurve("dead pixels", "image", p, [0, 1], [0.9, y], None, y, 0.0)
        for p, y in (("ignore", 0.1), ("mean", 0.5))
    ]
    study = RobustnessStudy(
        [], [*curves, RobustnessCurve("blur", "image", "", [0, 5], [0.9, 0.2], [0.8, 0.1], 0.5, 0.0)], 10
    )
    assert [line.get_label() for line in ss.plot.robustness(study, "dead pixels").get_lines()] == ["ignore", "mean"]
    assert len(ss.plot.robustness(study, "blur", "image").get_lines()) == 2
    with pytest.raises(ss.SightsoundError, match="There is no kind 'blurr'.*Did you mean 'blur'"):
        ss.plot.robustness(study, "blurr")


def test_plots_of_generalization() -> None:
    def measured(accuracy: float) -> dict[str, dict[str, object]]:
        numbers = {"accuracy": accuracy, "accuracy_ci": (accuracy - 0.1, accuracy + 0.1), "macro_f1": 0.5, "rows": 9}
        return {"image": numbers}

    folds = [ss.Fold("anna", 10, 9, measured(0.7), measured(0.9)), ss.Fold("ben", 20, 9, measured(0.6), measured(0.8))]
    axes = ss.plot.left_out_groups(folds)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ben", "anna"]  # the worst first
    tested, trained = ss.plot.training_sizes(folds).get_lines()
    np.testing.assert_allclose(np.array(tested.get_data()), [[10, 20], [0.7, 0.6]])
    np.testing.assert_allclose(np.array(trained.get_data()), [[10, 20], [0.9, 0.8]])


def test_what_cannot_be_drawn_is_said(trained: tuple[Path, Path]) -> None:
    with pytest.raises(ss.SightsoundError, match="no learning curve 'accuracy'.*Known: loss, macro F1"):
        ss.plot.learning_curves(trained[1], what="accuracy")
    with pytest.raises(ss.SightsoundError, match="no cost 'price'"):
        ss.plot.comparison(None, "price")
    with pytest.raises(ss.SightsoundError, match="no metrics to draw.*Give a classifier"):
        ss.plot.confusion(str(trained[1] / "bundle"))
    classifier = ss.load(trained[1] / "bundle")
    with pytest.raises(ss.SightsoundError, match="There is no subset of the modalities 'video'.*Known: audio, image"):
        ss.plot.confusion(classifier, "video")
    classifier.metrics = {}
    with pytest.raises(ss.SightsoundError, match="no metrics to draw"):
        ss.plot.confusion(classifier)


def test_matplotlib_and_torch_are_not_imported_before_they_are_needed() -> None:
    heavy = ("torch", "matplotlib")
    code = f"import sys, sightsound as ss\nss.plot.confusion\nprint([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
