"""Detects damaged parts of an image or a sound by explicit rules: pixels or samples -> a bool for each.

They are used only where a policy interpolates. Where you know the damage, give a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

Gaps = NDArray[np.bool_]

DROPOUT_SECONDS = 0.005  # of exact zeros, from which they are a drop-out and not a zero crossing
EDGE_SHARE = 0.05  # of the sound's level, present just before and after a drop-out: true silence fades
CLIPPED_SAMPLES = 3  # in a row at the sound's own extreme
LOUD = 0.3  # of full scale; a softer sound was not clipped
FAR = 96  # levels, of 255, between an isolated dead pixel and each of its valid neighbours
LIVING = 5  # valid neighbours, of 8, that a dead pixel must differ from
LINES_SHARE = 0.1  # of the height or width that a block of dead lines may take


def audio_gaps(samples: NDArray[Any], rate_hz: int) -> Gaps:
    """(N,) samples in [-1, 1] -> (N,) which of them are damaged.

    Damaged are NaN and infinite samples; at least 5 ms of exact zeros with sound right before and right after (a
    drop-out); at least 3 samples in a row at the loudest value of a loud sound (clipping).
    """
    lost: Gaps = ~np.isfinite(samples)
    sound = np.where(lost, 0, samples)
    level = float(np.sqrt((sound**2).mean()))
    edge = max(round(DROPOUT_SECONDS * rate_hz), 1)
    for start, stop in _runs((sound == 0) & ~lost):
        before, after = sound[max(start - edge, 0) : start], sound[stop : stop + edge]
        if stop - start < edge or not len(before) or not len(after):
            continue
        if min(np.sqrt((before**2).mean()), np.sqrt((after**2).mean())) >= EDGE_SHARE * level:
            lost[start:stop] = True
    for extreme in (sound.max(), sound.min()):
        if abs(extreme) >= LOUD:
            for start, stop in _runs(sound == extreme):
                lost[start:stop] |= stop - start >= CLIPPED_SAMPLES
    return lost


def image_gaps(pixels: NDArray[np.uint8]) -> Gaps:
    """(H, W, channels) -> (H, W) which pixels are dead.

    Dead are whole lines of 0 or of 255 between lines that are not all one value; and single pixels of 0 or 255 that
    differ by more than 96 from each valid neighbour (one that is neither), if these are at least 5 of 8. In a black and
    white drawing nearly all pixels are 0 or 255, and none is found.
    """
    extremes = ((pixels == 0) | (pixels == 255)).all(2)
    dead: Gaps = np.zeros(pixels.shape[:2], bool)
    for extreme in (0, 255):
        stuck = (pixels == extreme).all(2)
        dead |= _dead_lines(stuck, pixels) | _dead_lines(stuck.T, pixels.transpose(1, 0, 2)).T
        dead |= stuck & _stands_out(extremes, pixels)
    return dead


def _dead_lines(stuck: Gaps, pixels: NDArray[np.uint8]) -> Gaps:
    """Finds short blocks of rows that are wholly stuck, between rows that are not."""
    dead = np.zeros_like(stuck)
    picture = (pixels != pixels[:, :1]).any((1, 2))
    for start, stop in _runs(stuck.all(1)):
        inside = start > 0 and stop < len(stuck) and picture[start - 1] and picture[stop]
        if inside and stop - start <= max(LINES_SHARE * len(stuck), 1):
            dead[start:stop] = True
    return dead


def _stands_out(extremes: Gaps, pixels: NDArray[np.uint8]) -> Gaps:
    """Finds pixels with enough valid neighbours, all of which differ strongly."""
    height, width = extremes.shape
    around = np.pad(extremes, 1, constant_values=True)
    values = np.pad(pixels.astype(np.int16), ((1, 1), (1, 1), (0, 0)), mode="edge")
    living, near = np.zeros(extremes.shape, int), np.zeros(extremes.shape, bool)
    for i in range(3):
        for j in range(3):
            alive = ~around[i : i + height, j : j + width]
            apart = np.abs(values[i : i + height, j : j + width] - pixels).max(2)
            living += alive
            near |= alive & (apart <= FAR)
    return np.asarray((living >= LIVING) & ~near)


def _runs(flags: Any) -> list[tuple[int, int]]:
    """Returns (start, stop) of each run of True."""
    return [(place[0].start, place[0].stop) for place in find_objects(label(flags)[0])]
