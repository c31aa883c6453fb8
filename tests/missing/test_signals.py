"""Repair: what was good stays to the bit, what was lost comes nearer to what it was."""

import numpy as np
import pytest

from sightsound.missing.interpolate import METHODS
from sightsound.missing.signals import interpolate_audio, interpolate_image

RATE = 8000


def hum() -> np.ndarray:
    time = np.arange(RATE) / RATE
    return (0.3 * np.sin(2 * np.pi * 500 * time) + 0.1 * np.sin(2 * np.pi * 1250 * time)).astype(np.float32)


def level(samples: np.ndarray) -> float:
    return float(np.sqrt((samples**2).mean()))


@pytest.mark.parametrize("method", METHODS)
def test_a_long_gap_is_filled_with_what_sounds_alike(method: str) -> None:
    clean, gaps = hum(), np.zeros(RATE, bool)
    gaps[3000:3400] = True
    done = interpolate_audio(np.where(gaps, np.nan, clean), RATE, gaps, method)
    np.testing.assert_array_equal(done.values[~gaps], clean[~gaps])
    assert done.share == pytest.approx(0.05)
    inside = done.values[3000:3400]
    assert level(clean) / 1.5 < level(inside) < 1.5 * level(clean)
    spectrum = np.abs(np.fft.rfft(inside * np.hanning(400)))
    assert abs(np.argmax(spectrum) * RATE / 400 - 500) <= 40  # the tone goes on


@pytest.mark.parametrize("method", METHODS)
def test_short_gaps_are_filled_sample_by_sample(method: str) -> None:
    clean, gaps = hum(), np.zeros(RATE, bool)
    gaps[::50] = True
    done = interpolate_audio(np.where(gaps, 0, clean), RATE, gaps, method)
    assert level((done.values - clean)[gaps]) < 0.25 * level(clean[gaps])


@pytest.mark.parametrize("method", METHODS)
def test_a_gap_at_either_end_and_one_that_leaves_little(method: str) -> None:
    for part in (slice(0, 500), slice(7500, None), slice(100, None), slice(0, 7990)):
        gaps = np.zeros(RATE, bool)
        gaps[part] = True
        done = interpolate_audio(np.where(gaps, np.nan, hum()), RATE, gaps, method)
        assert np.isfinite(done.values).all() and np.abs(done.values).max() <= 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_dead_pixels_are_imputed(method: str, channels: int) -> None:
    rows, columns = np.mgrid[:28, :28]
    wave = np.sin(rows / 5) * np.cos(columns / 4)
    clean = np.stack([127 + contrast * wave for contrast in (100, -60, 20)[:channels]], 2).astype(np.uint8)
    gaps = np.random.default_rng(0).random((28, 28)) < 0.3
    done = interpolate_image(np.where(gaps[..., None], 0, clean).astype(np.uint8), gaps, method)
    np.testing.assert_array_equal(done.values[~gaps], clean[~gaps])
    assert np.abs(done.values[gaps].astype(int) - clean[gaps]).mean() < 4
    assert np.isnan(done.uncertainty) == (method == "linear")


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_do(method: str) -> None:
    image, samples = np.zeros((4, 4, 1), np.uint8), hum()
    assert interpolate_image(image, np.zeros((4, 4), bool), method).values is image
    assert interpolate_audio(samples, RATE, np.zeros(RATE, bool), method).values is samples
