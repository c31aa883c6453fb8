"""Intervals of a robustness study by hand: over clusters, and of pairs of answers to the same rows."""

import json

import numpy as np
import pytest

from sightsound.data.clusters import Clusters
from sightsound.studies.robustness.conditions import Condition
from sightsound.studies.robustness.measure import Measurement, read, to_line, with_intervals

ONE = Measurement(Condition("missing", "either", 0.5, "predict"), 0.75, 0.7, 0.6, None, None)
RIGHT = np.tile([1.0, 1.0, 1.0, 0.0], 25)


def test_a_gain_is_that_of_the_same_rows() -> None:
    ignored = RIGHT.copy()
    ignored[:20:4] = 0  # five rows more are wrong
    found = with_intervals(ONE, RIGHT, ignored, Clusters.of_rows(100))
    assert found.low is not None and found.high is not None and found.low < 0.75 < found.high
    assert found.gain == pytest.approx(0.05) and found.gain_low is not None and found.gain_high is not None
    error = np.sqrt(0.05 * 0.95 / 99)
    assert (found.gain_low, found.gain_high) == pytest.approx((0.05 - 1.984 * error, 0.05 + 1.984 * error), abs=1e-4)
    assert with_intervals(ONE, RIGHT, None, Clusters.of_rows(100)).gain is None


def test_clusters_make_intervals_wider_and_a_few_say_nothing() -> None:
    rows = with_intervals(ONE, np.sort(RIGHT), None, Clusters.of_rows(100))
    groups = with_intervals(ONE, np.sort(RIGHT), None, Clusters("group", (np.arange(100) // 10,)))
    assert None not in (rows.low, groups.low, rows.high, groups.high)
    assert groups.low < rows.low and rows.high < groups.high  # type: ignore[operator]
    few = with_intervals(ONE, RIGHT, np.zeros(100), Clusters("group", (np.arange(100) // 50,)))
    assert (few.low, few.high, few.gain, few.gain_low) == (None, None, 0.75, None)


def test_what_older_versions_measured_has_no_intervals(tmp_path) -> None:
    file = tmp_path / "conditions.jsonl"
    file.write_text(json.dumps(list(ONE)[:6]) + "\n" + to_line(with_intervals(ONE, RIGHT, None, Clusters.of_rows(100))))
    older, newer = read(file)
    assert older == ONE and newer.low is not None
