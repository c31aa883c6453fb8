"""Draws a chart with matplotlib, which is imported only here: `charts` in, axes out; `charts.js` does so in a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sightsound.report.charts import Bars, Chart, Dots, Lines, Matrix, Points, Shares
from sightsound.report.colours import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^v"
COUNTS_UP_TO = 25  # classes, with whose counts a confusion matrix is still legible


def draw(chart: Chart, axes: Axes | None = None) -> Axes:
    """A chart of `sightsound.report.figures` with matplotlib; text is no formula, though a class be called $x^2$."""
    if axes is None:
        from matplotlib.figure import Figure

        wide = (5.0, 5.0) if isinstance(chart, Matrix) else (6.4, 4.0)
        axes = Figure(figsize=wide, layout="constrained").subplots()
    _DRAW[type(chart)](chart, axes)
    axes.set_title(chart.title, fontsize=11)
    for text in [*axes.texts, axes.title, *axes.get_xticklabels(), *axes.get_yticklabels()]:
        text.set_parse_math(False)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        for text in axes.legend(handles, names, frameon=False, fontsize=8).get_texts():
            text.set_parse_math(False)
    return axes


def _lines(chart: Lines, axes: Axes) -> None:
    if chart.diagonal:
        axes.axline((0, 0), slope=1, color=_shade("grey"), lw=1, ls=":", label=chart.diagonal)
    solid = [one for one in chart.series if not one.dotted]
    for one in chart.series:
        shade, label, marker = _shade(one.colour), one.name or None, ""
        if not one.dotted:
            marker = MARKERS[solid.index(one) % len(MARKERS)]
        axes.plot(one.x, one.y, color=shade, ls=":" if one.dotted else "-", marker=marker, ms=4, label=label)
        if one.rows is not None:
            axes.scatter(one.x, one.y, s=8 + 150 * np.array(one.rows) / sum(one.rows), color=shade, marker=marker)
        if one.low is not None and one.high is not None:
            axes.fill_between(one.x, one.low, one.high, color=shade, alpha=0.14, lw=0)
    axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
    if chart.x_log:
        _logarithmic(axes, [x for one in chart.series for x in one.x])
    if chart.y_range:
        axes.set_ylim(chart.y_range[0], chart.y_range[1] + 0.02)
    axes.grid(alpha=0.3)


def _dots(chart: Dots, axes: Axes) -> None:
    several = sum(one.low is not None for one in chart.series) > 1
    for i, one in enumerate(chart.series):
        places = np.array(one.y) + (0.22 * (i - (len(chart.series) - 1) / 2) if several else 0)
        axes.scatter(one.x, places, s=24, color=_shade(one.colour), marker=MARKERS[i % 5], label=one.name, zorder=3)
        if one.low is not None and one.high is not None:
            axes.hlines(places, one.low, one.high, color=_shade(one.colour))
    axes.set_yticks(range(len(chart.names)), list(chart.names), fontsize=8)
    axes.set(xlabel=chart.x_label)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)


def _bars(chart: Bars, axes: Axes) -> None:
    places = range(len(chart.names))
    axes.barh(places, chart.values, color=[_shade("red" if value < 0 else "green") for value in chart.values])
    axes.set_yticks(places, list(chart.names), fontsize=8)
    axes.axvline(0, color=_shade("grey"), lw=0.8)
    axes.set(xlabel=chart.x_label)
    axes.invert_yaxis()


def _matrix(chart: Matrix, axes: Axes) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.zeros((len(chart.labels),) * 2, int)
    for i, j, count in chart.cells:
        counts[i, j] = count
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = LinearSegmentedColormap.from_list("shares", ["#ffffff", _shade(chart.colour)])
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1)
    ticks, long = range(len(chart.labels)), max(map(len, chart.labels)) > 2
    axes.set_xticks(ticks, list(chart.labels), rotation=90 if long else 0, fontsize=8)
    axes.set_yticks(ticks, list(chart.labels), fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    if len(chart.labels) <= COUNTS_UP_TO:
        for i, j, count in chart.cells:
            colour = "w" if shares[i, j] > 0.5 else "k"
            axes.text(j, i, str(count), ha="center", va="center", fontsize=7, color=colour)


def _points(chart: Points, axes: Axes) -> None:
    for i, group in enumerate(dict.fromkeys(point.group for point in chart.points)):
        of_group = [point for point in chart.points if point.group == group]
        x, y = [point.x for point in of_group], [point.y for point in of_group]
        axes.scatter(x, y, color=_shade(of_group[0].colour), marker=MARKERS[i % 5], label=group, zorder=3)
    front = sorted((point for point in chart.points if point.front), key=lambda point: point.x)
    x, y = [point.x for point in front], [point.y for point in front]
    axes.plot(x, y, color=_shade("red"), ls=":", label="nothing is better in both")
    for point in front:
        axes.annotate(point.name, (point.x, point.y), fontsize=8, textcoords="offset points", xytext=(4, 4))
    axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
    if chart.x_log:
        _logarithmic(axes, [point.x for point in chart.points])
    axes.grid(alpha=0.3)


def _shares(chart: Shares, axes: Axes) -> None:
    start = 0.0
    for name, colour, share in chart.parts:
        axes.barh(0, share, left=start, color=_shade(colour), label=f"{name}: {share:.1%}")
        start += share
    axes.set(xlim=(0, 1), ylim=(-0.6, 2))
    axes.set_yticks([])


_DRAW: dict[type, Any] = {
    Lines: _lines,
    Dots: _dots,
    Bars: _bars,
    Matrix: _matrix,
    Points: _points,
    Shares: _shares,
}


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """An x axis in powers, with ticks at 1, 2 and 5 times each, written as plain numbers."""
    powers = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    axes.set_xscale("log")
    shown = [tick for tick in ticks if min(values) / 2 <= tick <= max(values) * 2]
    axes.set_xticks(shown, [f"{tick:,g}" for tick in shown])
    axes.minorticks_off()


def _shade(colour: str) -> str:
    return PALETTE[colour][0]
