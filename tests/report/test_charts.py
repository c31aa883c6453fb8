"""What a chart holds can stand in a page whatever it is called, and is said to those who do not see it."""

import json
import math

import numpy as np

from sightsound.report.charts import Bars, Dots, Lines, Matrix, Point, Points, Series, Shares, described, embedded
from sightsound.report.colours import NAMED, OTHERS, PALETTE, colour_of, style_sheet

HOSTILE = "</script><script>alert(1)</script><!--&\u2028"


def test_no_name_ends_the_script() -> None:
    text = embedded(Bars("gains", "points", [HOSTILE, "b"], [0.5, math.nan]))
    assert not {"<", ">", "&", "\u2028"} & set(text)
    assert json.loads(text) == {
        "title": "gains",
        "x_label": "points",
        "names": [HOSTILE, "b"],
        "values": [0.5, None],
        "kind": "bars",
    }
    assert json.loads(embedded("\x1b[31m\u202e")) == "\\u001b[31m\\u202e"  # seen, and not obeyed
    assert json.loads(embedded([np.float64(0.123456789), 3, True])) == [0.1234568, 3, True]


def test_what_is_not_set_is_left_out() -> None:
    [series] = json.loads(embedded(Lines("t", "x", "y", [Series("a", "blue", [0, 1], [1, 2])])))["series"]
    assert set(series) == {"name", "colour", "x", "y", "dotted"}


def test_every_chart_is_said_in_a_sentence() -> None:
    line = Series("audio", "green", [0, 1], [0.25, math.nan])
    assert (
        described(Lines("Loss", "epoch", "loss", [line])) == "Loss: lines of loss over epoch; audio from 0.25 to 0.25."
    )
    assert "audio from 0 to 1" in described(Dots("Groups", "accuracy", ["a", "b"], [line]))
    assert "3 of 4 rows are right" in described(Matrix("all", "blue", ["a", "b"], [(0, 0, 3), (1, 0, 1)]))
    assert "all right 25.0%" in described(Shares("agree", [("all right", "blue", 0.25)]))
    points = [Point("concat", "feature", "sky", 1, 0.9, True), Point("vote", "decision", "gold", 2, 0.8, False)]
    assert described(Points("Costs", "ms", "accuracy", points)).endswith("than concat.")
    assert "from -1 to 2" in described(Bars("gains", "points", ["a", "b"], [-1.0, 2.0]))


def test_a_subset_has_one_colour_and_all_colours_are_in_the_style() -> None:
    assert len({colour_of(name) for name in ("image+audio", "image", "audio", "as given")}) == 4
    assert colour_of("depth") == colour_of("depth")
    style = style_sheet()
    for name in {*NAMED.values(), *OTHERS}:
        assert f"--{name}:{PALETTE[name][0]}" in style and f"--{name}:{PALETTE[name][1]}" in style
