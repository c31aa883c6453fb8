"""A picture played and drawn again; by hand where that can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsound.translation.decoders.sonify import COLUMN_SECONDS, picture, sonify, tones

RATE = 16000


def test_a_pixel_is_a_tone_at_its_time() -> None:
    pixels = np.zeros((28, 20), np.uint8)
    pixels[5, 12] = 255
    wave = sonify(pixels, RATE)
    assert len(wave) == 20 * COLUMN_SECONDS * RATE
    column = round(COLUMN_SECONDS * RATE)
    middle = wave[12 * column : 13 * column]
    assert np.abs(wave[: 11 * column]).max() == 0 and np.abs(wave[14 * column :]).max() == 0
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(column), 8 * column))
    assert spectrum.argmax() * RATE / (8 * column) == pytest.approx(float(tones(28, RATE)[5]), rel=0.01)


def test_black_is_silence_and_silence_is_black() -> None:
    assert np.abs(sonify(np.zeros((8, 8), np.uint8), RATE)).max() == 0
    assert picture(np.zeros(RATE, np.float32), RATE, 8).max() == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(8, 40), st.integers(4, 30), st.integers(0, 100))
def test_a_picture_survives_the_round_trip(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 2, (-(-height // 4), -(-width // 4))) * 255
    pixels = np.kron(coarse, np.ones((4, 4)))[:height, :width].astype(np.uint8)
    again = picture(sonify(pixels, RATE), RATE, height)
    assert again.shape == pixels.shape and again.dtype == np.uint8
    assert ((again > 127) == (pixels > 127)).mean() > 0.97
    assert picture(sonify(pixels, RATE), RATE, height, 7).shape == (height, 7)
