"""Charts of results: what a training, a comparison, a robustness study and a generalization study look like.

Numbers in (metrics, rows, curves, folds), `charts` out; pages and `sightsound.plot` draw the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.report.charts import Bars, Dots, Lines, Matrix, Point, Points, Series, Shares
from sightsound.report.colours import colour_of

if TYPE_CHECKING:
    from sightsound.studies.comparison.summary import ComparisonRow
    from sightsound.studies.robustness.curves import RobustnessCurve

FEWEST_IN_BIN = 10  # rows, below which the share that is right is too uncertain
CLASS_COLOURS = ("red", "blue", "green", "orange", "purple", "grey")  # of a few classes
CURVE_POINTS = 200  # of a curve at most
WIDE = 20  # times from the least to the most, from where a logarithmic axis shows costs better


def confusion(name: str, numbers: Mapping[str, Any], labels: Sequence[str]) -> Matrix:
    """Of one subset of the modalities, from its part of `metrics.json`."""
    cells = [(i, j, count) for i, row in enumerate(numbers["confusion"]) for j, count in enumerate(row) if count]
    return Matrix(name, colour_of(name), labels, cells)


def reliability(subsets: Mapping[str, Any]) -> Lines:
    """How often answers of a probability are right; without bins of fewer than ten rows and lines of one bin."""
    series = []
    for name, numbers in subsets.items():
        bins = [one for one in numbers["reliability"] if one[2] >= FEWEST_IN_BIN]
        if len(bins) > 1:
            sure, right, rows = zip(*bins, strict=True)
            series.append(Series(name, colour_of(name), sure, right, rows=rows))
    return Lines(
        "Is it as sure as it is right?",
        "probability of the answer",
        "share that is right",
        series,
        y_range=(0, 1),
        diagonal="as sure as right",
    )


def coverage(subsets: Mapping[str, Any]) -> Lines:
    """Accuracy when only the most probable answers are given, over the share of the rows answered."""
    series = []
    for name, numbers in subsets.items():
        shares, accuracy, _ = zip(*numbers["coverage"], strict=True)
        series.append(Series(name, colour_of(name), shares, accuracy))
    return Lines("If it abstains when it is less sure", "share of the rows answered", "accuracy", series)


def curves_of_classes(target: NDArray[Any], probabilities: NDArray[Any], labels: Sequence[str]) -> Lines:
    """Precision over recall of the six classes with the smallest area under this curve, the smallest first.

    Args:
        target: (n,) true classes.
        probabilities: (n, C).
        labels: (C,) class names.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    areas = {k: float(average_precision_score(target == k, probabilities[:, k])) for k in np.unique(target).tolist()}
    series = []
    for k, colour in zip(sorted(areas, key=lambda k: areas[k]), CLASS_COLOURS, strict=False):
        precision, recall, _ = precision_recall_curve(target == k, probabilities[:, k])
        some = np.unique(np.linspace(0, len(recall) - 1, CURVE_POINTS).astype(int))
        name = f"{labels[k]}: {areas[k]:.3f}"
        series.append(Series(name, colour, recall[some][::-1].tolist(), precision[some][::-1].tolist()))
    title = "Precision and recall of a class, by what each row has, as its threshold falls"
    return Lines(title, "recall", "precision", series, y_range=(0, 1))


def learning_curves(history: Mapping[str, pd.DataFrame]) -> list[Lines]:
    """Of each phase of a training: the losses, and macro F1 of each subset on validation rows, over the epochs."""
    charts = []
    for phase, epochs in history.items():
        x = [int(epoch) + 1 for epoch in epochs.index]
        losses = [
            Series(name, colour_of(name), x, epochs[name.replace(" ", "_")].tolist())
            for name in ("train loss", "val loss")
        ]
        f1 = [
            Series(name.removeprefix("val_f1_"), colour_of(name.removeprefix("val_f1_")), x, epochs[name].tolist())
            for name in epochs.columns[epochs.columns.str.startswith("val_f1_")]
        ]
        charts.append(Lines(f"{phase}: loss", "epoch", "loss", losses))
        charts.append(Lines(f"{phase}: validation rows", "epoch", "macro F1", f1))
    return charts


def costs(rows: Sequence[ComparisonRow], cost: str) -> Points:
    """Test accuracy over `latency_256_ms` or `train_seconds`; unimodal models have no training time of their own."""
    labels = {"latency_256_ms": "milliseconds for 256 rows", "train_seconds": "seconds of its own training"}
    shown = [row for row in rows if row.family != "unimodal" or cost != "train_seconds"]
    values = [(float(getattr(row, cost)), row.accuracy) for row in shown]
    front = set(pareto(values))
    points = [
        Point(row.name, row.family, colour_of(row.family), x, y, i in front)
        for i, (row, (x, y)) in enumerate(zip(shown, values, strict=True))
    ]
    each = [x for x, _ in values]
    title = f"Accuracy against {'latency' if cost == 'latency_256_ms' else 'training time'}"
    return Points(title, labels[cost], "test accuracy", points, max(each) > WIDE * min(each) > 0)


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points (cost, worth) than which none is cheaper and worth as much; cheapest first."""
    front: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[i][1] > points[front[-1]][1]:
            front.append(i)
    return front


def missing(rows: Sequence[ComparisonRow]) -> Dots:
    """Accuracy of each strategy with what each row has, and with each modality only."""
    shown = [row for row in rows if row.family != "unimodal"]
    places = list(range(len(shown)))
    low, high = [row.accuracy_low for row in shown], [row.accuracy_high for row in shown]
    series = [Series("as given", colour_of("as given"), [row.accuracy for row in shown], places, low, high)]
    for m in shown[0].unimodal:
        series.append(Series(f"{m} only", colour_of(m), [row.unimodal[m] for row in shown], places))
    return Dots("When a modality is absent", "test accuracy", [row.name for row in shown], series)


def gains(values: Mapping[str, float], strategy: str) -> Bars:
    """By class, the recall of a strategy less that of the modality that is better at this class."""
    names = list(values)
    title = f"What {strategy} wins over the better modality, class by class"
    return Bars(title, "difference of recall", names, [values[name] for name in names])


def agreement(shares: Mapping[str, float]) -> Shares:
    """Of the complete test rows, the share where all modalities are right, only one, or none."""
    colours = {"all right": "blue", "none right": "grey"}
    named = ((name, name.removeprefix("only ").removesuffix(" right"), share) for name, share in shares.items())
    parts = [(name, colours.get(name) or colour_of(modality), share) for name, modality, share in named]
    return Shares("Which modality is right on its own?", parts)


def by_policy(curves: Sequence[RobustnessCurve], x_label: str, rows: int) -> list[Lines]:
    """A chart for each kind of loss: accuracy under each policy, and dotted that of the damaged modality only.

    Policies whose answers are equally often right at every level are one line.

    Args:
        curves: of kinds with several policies.
        x_label: what the levels are.
        rows: of the study; a difference of half a row is none.
    """
    charts = []
    for kind, modality in dict.fromkeys((curve.kind, curve.modality) for curve in curves):
        of_kind = [curve for curve in curves if (curve.kind, curve.modality) == (kind, modality)]
        series = []
        for policies, curve in _merged(of_kind, 0.5 / max(rows, 1)):
            series += _lines(policies, colour_of(curve.policy), curve)
        charts.append(_robustness(kind, modality, x_label, series, curves))
    return charts


def by_severity(curves: Sequence[RobustnessCurve], x_label: str) -> list[Lines]:
    """A chart for each kind of damage: accuracy with all modalities, and dotted that of the damaged one only."""
    return [
        _robustness(
            curve.kind, curve.modality, x_label, _lines("all modalities", colour_of("image+audio"), curve), curves
        )
        for curve in curves
    ]


def _merged(curves: Sequence[RobustnessCurve], within: float) -> list[tuple[str, RobustnessCurve]]:
    groups: list[list[RobustnessCurve]] = []
    for curve in curves:
        pairs = (zip(group[0].accuracy, curve.accuracy, strict=True) for group in groups)
        same = [all(abs(a - b) < within for a, b in of_group) for of_group in pairs]
        group = groups[same.index(True)] if any(same) else None
        if group is None:
            groups.append([curve])
        else:
            group.append(curve)
    return [(" = ".join(curve.policy for curve in group), group[0]) for group in groups]


def _lines(name: str, colour: str, curve: RobustnessCurve) -> list[Series]:
    found = [Series(name, colour, curve.levels, curve.accuracy)]
    if curve.unimodal:
        only = f"{curve.modality} only" if name == "all modalities" else ""
        colour = colour_of(curve.modality) if only else colour
        found.append(Series(only, colour, curve.levels, curve.unimodal, dotted=True))
    return found


def _robustness(
    kind: str, modality: str, x_label: str, series: list[Series], curves: Sequence[RobustnessCurve]
) -> Lines:
    lowest = min(min([*curve.accuracy, *(curve.unimodal or [])]) for curve in curves)  # one axis for all charts
    return Lines(what_of(kind, modality), x_label, "accuracy", series, y_range=(math.floor(10 * lowest) / 10, 1))


def what_of(kind: str, modality: str) -> str:
    """Names a condition and its modality, such as "audio: telephone"."""
    return f"{'one or the other' if modality == 'either' else modality}: {kind}"


def groups(table: pd.DataFrame) -> Dots:
    """Accuracy on each group that was left out, the worst group first; `studies.generalization.table_of`."""
    order = list(table.groupby("name")["accuracy"].mean().sort_values().index)
    place = {name: i for i, name in enumerate(order)}
    series = [
        Series(
            str(subset),
            colour_of(str(subset)),
            part["accuracy"].tolist(),
            [place[name] for name in part["name"]],
            part["low"].tolist(),
            part["high"].tolist(),
        )
        for subset, part in table.groupby("modalities", sort=False)
    ]
    return Dots("Accuracy on each group that was left out", "accuracy", [str(name) for name in order], series)


def sizes(table: pd.DataFrame) -> Lines:
    """Accuracy over the number of training rows, and dotted that on these; `studies.generalization.table_of`."""
    series = []
    for subset, part in table.groupby("modalities", sort=False):
        x, colour = [int(n) for n in part["trained"]], colour_of(str(subset))
        low, high = part["low"].tolist(), part["high"].tolist()
        series.append(Series(str(subset), colour, x, part["accuracy"].tolist(), low, high))
        series.append(Series("", colour, x, part["train_accuracy"].tolist(), dotted=True))
    return Lines("Accuracy and training rows", "training rows", "accuracy", series, x_log=True)
