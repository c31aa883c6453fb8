"""Writes what a comparison came to: `compare.html`, one file, with `compare.csv` and `compare.json` beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from sightsound.data.clusters import resampled_over
from sightsound.data.text import without_formulas
from sightsound.report.figures import short, svg
from sightsound.report.page import write_page
from sightsound.studies.comparison.candidates import CompareOptions
from sightsound.studies.comparison.compare import ComparisonStudy
from sightsound.studies.comparison.recommend import Recommendation
from sightsound.studies.comparison.summary import ComparisonRow, agreement, class_gains, differences

COLOURS = {"feature": "#1f77b4", "decision": "#e07b00", "hierarchical": "#2c8a4b", "unimodal": "#8a97a5"}
WIDE = 20  # times from the least to the most, from where a logarithmic axis shows costs better


def write_comparison(
    study: ComparisonStudy,
    rows: list[ComparisonRow],
    found: Recommendation,
    labels: list[str],
    options: CompareOptions,
    run: Path,
) -> Path:
    """Writes the three files.

    Args:
        study: whose numbers they are.
        rows: of `studies.table.rows`.
        found: the recommendation.
        labels: class names.
        options: of the comparison.
        run: its folder.

    Returns:
        the path of `compare.html`.
    """
    against = differences(study, found.accuracy)
    gains = class_gains(study, found.accuracy, labels)
    shares = agreement(study)
    flat = [_flat(row) for row in rows]
    for row in flat:
        if row["name"] in against:
            row |= {f"difference_{key}": value for key, value in against[row["name"]]._asdict().items()}
            row["difference_significant"] = against[row["name"]].significant
    without_formulas(pd.DataFrame(flat)).to_csv(run / "compare.csv", index=False)
    content = {
        "recommendation": found._asdict(),
        "dependence": study.dependence and study.dependence._asdict(),
        "joint": study.joint,
        "left_out": study.left_out,
        "failed": study.failed,
        "unimodal_train_seconds": study.unimodal_seconds,
        "agreement": shares,
        "class_gains": gains,
        "rows": flat,
    }
    (run / "compare.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return write_page(
        run / "compare.html",
        name=run.name,
        rows=rows,
        against=against,
        found=found,
        study=study,
        options=options,
        test_rows=len(study.target["test"]),
        resampled_over=resampled_over(study.clusters["test"].as_metrics()),
        seeds=len(study.unimodal.test),
        costs=_costs(rows),
        missing=_missing(rows),
        gains=_bars(gains, "recall less that of the better modality"),
        agreement=shares,
    )


def _flat(row: ComparisonRow) -> dict[str, Any]:
    values = row._asdict()
    alone = values.pop("unimodal")
    return {**values, **{f"{m}_only_accuracy": value for m, value in alone.items()}}


def _costs(rows: Sequence[ComparisonRow]) -> Markup:
    """Accuracy against latency and against training time; those that nothing beats in both are joined by a line."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    for plot, (name, title) in zip(
        figure.subplots(1, 2),
        (("latency_256_ms", "milliseconds for 256 rows"), ("train_seconds", "seconds of its own training")),
        strict=True,
    ):
        shown = [row for row in rows if row.family != "unimodal" or name == "latency_256_ms"]

        def place(row: ComparisonRow, name: str = name) -> tuple[float, float]:
            return getattr(row, name), row.accuracy

        for family, colour in COLOURS.items():
            of_family = [place(row) for row in shown if row.family == family]
            if of_family:
                plot.scatter(*zip(*of_family, strict=True), color=colour, label=family, zorder=3)
        front = [shown[i] for i in pareto([place(row) for row in shown])]
        line = {"color": "#c0392b", "lw": 1, "ls": "--", "label": "nothing is better in both"}
        plot.plot(*zip(*map(place, front), strict=True), **line)
        costs = [place(row)[0] for row in shown]
        plot.set(xlabel=title, ylabel="test accuracy")
        if max(costs) > WIDE * min(costs):
            plot.set_xscale("log")
            plot.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            plot.xaxis.set_major_formatter("{x:g}")
            plot.xaxis.set_minor_formatter(NullFormatter())
        _name(plot, [(row.name, place(row)) for row in front[::-1]])
        plot.grid(alpha=0.3)
        plot.legend(frameon=False, fontsize=8)
    return svg(figure)


def _name(plot: Axes, points: Sequence[tuple[str, tuple[float, float]]]) -> None:
    """Writes names beside points, the first first; where two would lie over each other the table has to do."""
    written: list[Any] = []
    plot.autoscale_view()
    for name, place in points:
        across, up = plot.transAxes.inverted().transform(plot.transData.transform(place))
        if all(abs(across - x) > 0.2 or abs(up - y) > 0.05 for x, y in written):
            side: dict[str, Any] = {"xytext": (-4, 4), "ha": "right"} if across > 0.8 else {"xytext": (4, 4)}
            plot.annotate(name, place, fontsize=8, textcoords="offset points", **side)
            written.append((across, up))


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the points (cost, worth) than which none is cheaper and worth as much; cheapest first."""
    front: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not front or points[i][1] > points[front[-1]][1]:
            front.append(i)
    return front


def _missing(rows: Sequence[ComparisonRow]) -> Markup:
    """Accuracy of each strategy with everything there, and with each modality alone."""
    shown = [row for row in rows if row.family != "unimodal"][::-1]
    figure = Figure(figsize=(9, 0.28 * len(shown) + 1.2), layout="constrained")
    plot = figure.subplots()
    places = np.arange(len(shown))
    plot.scatter([row.accuracy for row in shown], places, color="#1c2733", label="as given", zorder=3)
    for m, mark in zip(shown[0].unimodal, "sd^v", strict=False):
        plot.scatter([row.unimodal[m] for row in shown], places, marker=mark, label=f"{m} only", zorder=3)
    plot.set_yticks(places, [row.name for row in shown], fontsize=8)
    plot.set(xlabel="test accuracy")
    plot.grid(alpha=0.3)
    plot.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return svg(figure)


def _bars(values: dict[str, float], title: str) -> Markup:
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    plot = figure.subplots()
    places = range(len(values))
    plot.bar(places, list(values.values()), color=["#2c8a4b" if v >= 0 else "#c0392b" for v in values.values()])
    plot.set_xticks(places, [short(name) for name in values])
    plot.axhline(0, color="#1c2733", lw=0.8)
    plot.set(ylabel=title)
    plot.tick_params(axis="x", rotation=90 if max(map(len, values)) > 3 else 0)
    plot.grid(alpha=0.3, axis="y")
    return svg(figure)
