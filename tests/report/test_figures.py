"""Charts by hand: which numbers stand in them, and which do not."""

import pandas as pd
import pytest

from sightsound.report.figures import (
    agreement,
    by_policy,
    by_severity,
    confusion,
    coverage,
    groups,
    learning_curves,
    reliability,
    sizes,
)
from sightsound.studies.robustness.curves import RobustnessCurve

NUMBERS = {
    "confusion": [[3, 1], [0, 2]],
    "reliability": [[0.3, 0.2, 9], [0.6, 0.5, 10], [0.9, 0.95, 40]],
    "coverage": [[0.5, 1.0, 0.9], [1.0, 0.8, 0.3]],
}


def test_a_confusion_matrix_has_all_counts_but_zero() -> None:
    chart = confusion("audio", NUMBERS, ["a", "b"])
    assert list(chart.cells) == [(0, 0, 3), (0, 1, 1), (1, 1, 2)]


def test_bins_of_few_rows_are_not_drawn() -> None:
    few = {"reliability": [[0.6, 0.5, 10], [0.9, 0.95, 9]]}
    [series] = reliability({"image": NUMBERS, "audio": few}).series
    assert series.name == "image" and list(series.x) == [0.6, 0.9] and list(series.rows or ()) == [10, 40]
    assert not reliability({"audio": few}).series


def test_coverage_and_learning_curves_are_the_logged_numbers() -> None:
    [series] = coverage({"image": NUMBERS}).series
    assert list(series.x) == [0.5, 1.0] and list(series.y) == [1.0, 0.8]
    log = pd.DataFrame({"train_loss": [2.0, 1.0], "val_loss": [3.0, 2.5], "val_f1_audio": [0.1, 0.2]})
    loss, f1 = learning_curves({"joint": log})
    assert [(one.name, one.y) for one in loss.series] == [("train loss", [2.0, 1.0]), ("val loss", [3.0, 2.5])]
    assert [(one.name, one.x, one.y) for one in f1.series] == [("audio", [1, 2], [0.1, 0.2])]


def curve(policy: str, accuracy: list[float], unimodal: list[float] | None = None) -> RobustnessCurve:
    return RobustnessCurve("dead pixels", "image", policy, [0.0, 1.0], accuracy, unimodal, 0.5, 0.0)


def test_policies_that_coincide_are_one_line() -> None:
    curves = [curve("ignore", [0.9, 0.5]), curve("mean", [0.9, 0.504]), curve("predict", [0.9, 0.51], [0.9, 0.31])]
    [chart] = by_policy(curves, "share", 100)
    assert [one.name for one in chart.series] == ["ignore = mean", "predict", ""]
    assert chart.series[2].dotted and chart.series[2].colour == chart.series[1].colour
    assert chart.y_range == (0.3, 1) and chart.title == "image: dead pixels"


def test_damage_shows_all_modalities_and_the_damaged_one() -> None:
    [chart] = by_severity([curve("", [0.9, 0.5], [0.8, 0.4])], "severity")
    assert [(one.name, one.dotted) for one in chart.series] == [("all modalities", False), ("image only", True)]


def test_agreement_has_the_colour_of_the_modality_that_is_right() -> None:
    chart = agreement({"all right": 0.5, "only image right": 0.2, "only audio right": 0.2, "none right": 0.1})
    assert [colour for _, colour, _ in chart.parts] == ["blue", "orange", "green", "grey"]


def test_the_worst_group_comes_first() -> None:
    folds = [("a", 0.9), ("b", 0.6), ("c", 0.8)]
    columns = {"trained": 10, "modalities": "image", "train_accuracy": 1.0}
    table = pd.DataFrame([{"name": n, "accuracy": a, "low": a - 0.1, "high": a + 0.1, **columns} for n, a in folds])
    chart = groups(table)
    assert list(chart.names) == ["b", "c", "a"]
    [series] = chart.series
    assert {chart.names[int(place)]: x for place, x in zip(series.y, series.x, strict=True)} == dict(folds)
    assert list(series.low or ()) == pytest.approx([0.8, 0.5, 0.7])
    on_test, on_training = sizes(table.assign(trained=[1, 2, 3])).series
    assert on_test.x == [1, 2, 3] and on_training.dotted and on_training.y == [1.0] * 3
