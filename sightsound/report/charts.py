"""The content of charts, independent of drawing: numbers with names and colours.

`figures` makes charts of results; `charts.js` draws them in a page, `plot` with matplotlib. Both get the same numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from sightsound.data.text import visible


class Series(NamedTuple):
    """The points of one series.

    Attributes:
        name: the name in the legend; "" leaves it out.
        colour: a name of `colours.PALETTE`.
        x, y: coordinates of the points; in `Dots` y is the place of the row. NaN where there is none.
        low, high: the 95 % interval of the value of each point.
        rows: the number of table rows of each point; larger dots have more.
        dotted: whether the line is dotted.
    """

    name: str
    colour: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    rows: Sequence[int] | None = None
    dotted: bool = False


class Lines(NamedTuple):
    """Series as lines over x.

    Attributes:
        title: above the chart.
        x_label, y_label: of the axes.
        series: in the order of the legend.
        x_log: whether the x axis is logarithmic.
        y_range: range of the y axis; None: that of the values.
        diagonal: the name of the line y = x; "": there is none.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    x_log: bool = False
    y_range: tuple[float, float] | None = None
    diagonal: str = ""
    kind: str = "lines"


class Dots(NamedTuple):
    """A row for each name, with a dot of each series in it, and its interval where there is one."""

    title: str
    x_label: str
    names: Sequence[str]
    series: Sequence[Series]
    kind: str = "dots"


class Bars(NamedTuple):
    """A bar for each name, from zero to its value to the right or left."""

    title: str
    x_label: str
    names: Sequence[str]
    values: Sequence[float]
    kind: str = "bars"


class Matrix(NamedTuple):
    """Counts of true (row) and predicted (column) classes.

    Attributes:
        title: above the chart.
        colour: of `colours.PALETTE`.
        labels: class names.
        cells: (row, column, count) of all counts but zero.
    """

    title: str
    colour: str
    labels: Sequence[str]
    cells: Sequence[tuple[int, int, int]]
    kind: str = "matrix"


class Point(NamedTuple):
    """One named point of `Points`; `front`: nothing is better in both."""

    name: str
    group: str
    colour: str
    x: float
    y: float
    front: bool


class Points(NamedTuple):
    """Named points of several groups; those on the front are named and joined by a line."""

    title: str
    x_label: str
    y_label: str
    points: Sequence[Point]
    x_log: bool = False
    kind: str = "points"


class Shares(NamedTuple):
    """Parts of a whole: (name, colour, share)."""

    title: str
    parts: Sequence[tuple[str, str, float]]
    kind: str = "shares"


Chart = Lines | Dots | Bars | Matrix | Points | Shares


def plain(value: Any) -> Any:
    """Converts for JSON: named tuples to dictionaries, NaN to None, control characters to escapes."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items() if part is not None}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return visible(value) if isinstance(value, str) else value


def embedded(value: Any) -> Markup:
    """Writes JSON that is safe in a `<script>` of a page with any names: no `<`, `>` or `&` is left."""
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def described(chart: Chart) -> str:
    """Describes a chart in a sentence, for screen readers."""
    if isinstance(chart, Matrix):
        right = sum(count for i, j, count in chart.cells if i == j)
        rows = sum(count for _, _, count in chart.cells)
        return f"{chart.title}: confusion matrix of {len(chart.labels)} classes; {right} of {rows} rows are right."
    if isinstance(chart, Shares):
        return f"{chart.title}: {', '.join(f'{name} {share:.1%}' for name, _, share in chart.parts)}."
    if isinstance(chart, Bars):
        return f"{chart.title}: bars of {len(chart.names)} names; {chart.x_label}{_span(chart.values)}."
    if isinstance(chart, Points):
        front = ", ".join(point.name for point in chart.points if point.front)
        axes = f"{chart.y_label} over {chart.x_label}"
        return f"{chart.title}: {len(chart.points)} points, {axes}; nothing is better in both than {front}."
    if isinstance(chart, Dots):
        told = "; ".join(f"{one.name}{_span(one.x)}" for one in chart.series)
        return f"{chart.title}: {len(chart.names)} rows of dots, {chart.x_label}; {told}."
    told = "; ".join(f"{one.name}{_span(one.y)}" for one in chart.series if one.name)
    return f"{chart.title}: lines of {chart.y_label} over {chart.x_label}; {told}."


def _span(values: Sequence[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    return f" from {min(known):.3g} to {max(known):.3g}" if known else ""
