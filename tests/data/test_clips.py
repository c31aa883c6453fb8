"""Long sounds as clips: where they start, what happens to the last, and that a recording is never cut by a split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightsound.data.clips import clip_starts, cut_into_clips
from sightsound.data.splits import split
from sightsound.data.table import read_table


@pytest.mark.parametrize(
    ("seconds", "clip", "step", "starts"),
    [
        (0.5, 1, 1, [0]),
        (1.0, 1, 1, [0]),
        (3.0, 1, 1, [0, 1, 2]),
        (2.5, 1, 1, [0, 1, 2]),
        (2.5, 1, 0.5, [0, 0.5, 1, 1.5]),
        (0.0, 1, 1, [0]),
    ],
)
def test_by_hand(seconds: float, clip: float, step: float, starts: list[float]) -> None:
    assert clip_starts(seconds, clip, step) == starts


@given(st.floats(0, 100), st.floats(0.1, 10), st.floats(0.1, 10))
def test_clips_reach_the_end_and_no_further_than_needed(seconds: float, clip: float, step: float) -> None:
    starts = clip_starts(seconds, clip, step)
    assert starts[0] == 0 and np.allclose(np.diff(starts), step)
    assert starts[-1] + clip >= seconds - 1e-4
    assert len(starts) == 1 or starts[-2] + clip < seconds + 1e-4


def test_a_recording_stays_in_one_split() -> None:
    frame = pd.DataFrame({"audio": [f"{i}.wav" for i in range(30)], "label": ["a", "b", "c"] * 10})
    table = cut_into_clips(read_table(frame), "audio", np.full(30, 5.0), 1.0, 1.0)
    assert len(table.frame) == 150 and table.frame.index.is_unique
    assert table.frame["start_seconds"].tolist()[:6] == [0, 1, 2, 3, 4, 0]
    drawn = split(table, seed=0).frame
    assert (drawn.groupby("row")["split"].nunique() == 1).all()
    assert set(drawn["split"]) == {"train", "val", "test"}
