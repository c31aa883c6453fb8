"""Cuts long recordings into clips: one row of a table becomes one for each clip of its sound.

Only this file decides where clips start and what happens to the last, for training and prediction alike.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.data.table import Table
from sightsound.errors import ConfigError, TableError

MOST_CLIPS = 1_000_000  # largest number of clips of one sound


def clip_starts(seconds: float, clip_seconds: float, step_seconds: float) -> list[float]:
    """Returns where the clips of a sound start, in seconds.

    A clip begins at every step until one reaches the end of the sound; that last one is padded with silence. A sound
    no longer than a clip is one clip.

    Raises:
        ConfigError: there are more clips than can be predicted.
    """
    beyond = seconds - clip_seconds
    count = 1 + max(math.ceil(round(beyond / step_seconds, 6)), 0)  # rounded, since 0.3 / 0.1 gives 2.9999999
    if count > MOST_CLIPS:
        raise ConfigError(
            f"a sound of {seconds:g} s in steps of {step_seconds:g} s gives {count} clips; the limit is {MOST_CLIPS}. "
            "Take longer steps (--audio.step-seconds), or cut the file."
        )
    return [i * step_seconds for i in range(count)]


def cut_into_clips(
    table: Table, modality: str, seconds: NDArray[np.floating], clip_seconds: float, step_seconds: float
) -> Table:
    """Makes a row for each clip, with the column `start_seconds`; the column `row` is the number of its original row.

    The clips of a row are one group, so that a split never cuts a recording.

    Args:
        table: the rows.
        modality: the modality whose files are cut.
        seconds: (rows,) length of each row's sound, 0 where it has none.
        clip_seconds: length of a clip.
        step_seconds: time from the start of one clip to the next.

    Raises:
        TableError: a sound gives more clips than can be predicted.
    """
    starts = []
    for length, row, file in zip(seconds, table.frame["row"], table.frame[modality], strict=True):
        try:
            starts.append(clip_starts(float(length), clip_seconds, step_seconds))
        except ConfigError as error:
            raise TableError(f"{table.name}, row {row}: {file}: {error}") from error
    counts = np.array([len(of_row) for of_row in starts], int)
    frame = table.frame.loc[table.frame.index.repeat(counts)].copy()
    alone = (frame["group"] == "") & (np.repeat(counts, counts) > 1)
    frame["group"] = frame["group"].mask(alone, "row " + frame["row"].astype(str))
    frame["start_seconds"] = [start for of_row in starts for start in of_row]
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return table.with_frame(frame)
