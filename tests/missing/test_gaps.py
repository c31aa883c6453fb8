"""The rules by which damage is found: what they must find, and what they must leave alone."""

import numpy as np
import pytest

from sightsound.missing.gaps import audio_gaps, image_gaps

RATE = 8000


def sound(seconds: float = 0.5) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * 440 * time) + 0.01 * np.random.default_rng(0).normal(size=len(time))).astype("f4")


def test_a_clean_sound_has_no_gap() -> None:
    assert not audio_gaps(sound(), RATE).any()


def test_silence_around_and_fading_is_no_gap() -> None:
    faded = sound() * np.hanning(4000).astype("f4")
    silent = np.concatenate([np.zeros(800, "f4"), faded, np.zeros(800, "f4"), faded, np.zeros(800, "f4")])
    assert not audio_gaps(silent, RATE).any()


def test_drop_outs_and_nan_are_gaps() -> None:
    samples, lost = sound(), np.zeros(4000, bool)
    lost[1000:1400] = lost[2000:2003] = True
    samples[1000:1400], samples[2000:2003] = 0, np.nan
    np.testing.assert_array_equal(audio_gaps(samples, RATE), lost)


def test_clipping_is_a_gap_and_a_soft_plateau_is_none() -> None:
    loud = np.clip(2 * sound(), -0.5, 0.5)
    found = audio_gaps(loud, RATE)
    assert found[np.abs(loud) == 0.5].mean() > 0.95 and not found[np.abs(loud) < 0.5].any()
    assert not audio_gaps(np.clip(0.2 * sound(), -0.05, 0.05), RATE).any()


def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(100, 156, (20, 24, 1)).astype(np.uint8)


@pytest.mark.parametrize("extreme", [0, 255])
def test_dead_pixels_and_lines_are_gaps(extreme: int) -> None:
    pixels, dead = grey(), np.zeros((20, 24), bool)
    dead[3, 4] = dead[3, 6] = dead[0, 0 + 9] = True
    dead[10] = dead[:, 15] = True
    pixels[dead] = extreme
    np.testing.assert_array_equal(image_gaps(pixels), dead)


def test_a_drawing_has_no_gap() -> None:
    drawing = np.zeros((28, 28, 1), np.uint8)
    drawing[5:23, 12:15] = 255  # a stroke on black, three pixels wide
    drawing[5:8, 8:20] = 200
    assert not image_gaps(drawing).any()
    assert not image_gaps(255 - drawing).any()
    assert not image_gaps(grey()).any()
