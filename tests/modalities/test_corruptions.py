"""Every corruption: severity 0 is nothing, more is worse, shapes stay, the input is not touched, a seed repeats it."""

import numpy as np
import pytest

from sightsound.modalities.corruptions import (
    AUDIO,
    IMAGE,
    SEVERITIES,
    SNR_DB,
    Setting,
    corrupt_audio,
    corrupt_image,
)

RATE = 8000
TIME = np.arange(RATE) / RATE
WAVE = (0.3 * np.sin(2 * np.pi * 700 * TIME) * (TIME < 0.7) * (TIME > 0.2)).astype(np.float32)
OTHERS = np.stack([np.sin(2 * np.pi * f * TIME) for f in (200, 450, 1100, 2300)]).astype(np.float32)


def picture(channels: int) -> np.ndarray:
    pixels = np.full((20, 26, channels), 40, np.uint8)
    pixels[5:15, 8:12] = 220
    pixels[9:12, 4:22, :1] = 160
    return pixels


def setting(seed: int = 0) -> Setting:
    return Setting(RATE, np.random.default_rng(seed), OTHERS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", IMAGE)
def test_images(name: str, channels: int) -> None:
    pixels = picture(channels)
    assert np.array_equal(corrupt_image(name, pixels, 0, np.random.default_rng(0)), pixels)
    made = [corrupt_image(name, pixels, s, np.random.default_rng(0)) for s in SEVERITIES]
    assert all(x.shape == pixels.shape and x.dtype == np.uint8 for x in made)
    off = [float(np.abs(x.astype(float) - pixels).mean()) for x in made]
    assert 0 < off[0] < off[-1] and off[-1] > 5
    assert np.array_equal(pixels, picture(channels))
    assert np.array_equal(made[2], corrupt_image(name, pixels, 3, np.random.default_rng(0)))


@pytest.mark.parametrize("name", AUDIO)
def test_sounds(name: str) -> None:
    wave = WAVE.copy()
    assert np.array_equal(corrupt_audio(name, wave, 0, setting()), WAVE)
    made = [corrupt_audio(name, wave, s, setting()) for s in SEVERITIES]
    assert all(x.shape == WAVE.shape and x.dtype == np.float32 and np.abs(x).max() <= 1 for x in made)
    off = [float(((x - WAVE) ** 2).mean()) for x in made]
    assert off[0] > 0 and off[-1] > 0.02 * (WAVE**2).mean()
    assert np.array_equal(wave, WAVE)
    assert np.array_equal(made[2], corrupt_audio(name, wave, 3, setting()))


@pytest.mark.parametrize("name", [n for n in AUDIO if n.endswith("noise")])
def test_noise_is_so_many_decibels_below_the_sound(name: str) -> None:
    added = corrupt_audio(name, WAVE / 10, 2, setting()) - WAVE / 10
    found = 10 * np.log10(((WAVE / 10) ** 2).mean() / (added**2).mean())
    assert found == pytest.approx(SNR_DB[1], abs=0.1)


def test_colours_fall_and_rise_with_frequency() -> None:
    def slope(name: str) -> float:
        power = np.abs(np.fft.rfft(corrupt_audio(name, WAVE / 100, 5, setting()) - WAVE / 100)) ** 2
        octaves = [power[n : 2 * n].mean() for n in (100, 200, 400, 800, 1600)]
        return float(np.polyfit(range(5), 10 * np.log10(octaves), 1)[0])

    found = [slope(f"{colour}-noise") for colour in ("brown", "pink", "white", "blue")]
    assert found == pytest.approx([-6, -3, 0, 3], abs=0.7)  # decibels an octave


@pytest.mark.parametrize("name", AUDIO)
def test_silence_gives_no_nan(name: str) -> None:
    silent = Setting(RATE, np.random.default_rng(0), np.zeros((4, RATE), np.float32))
    assert np.isfinite(corrupt_audio(name, np.zeros(RATE, np.float32), 5, silent)).all()
