"""Corruptions of images and sounds in five severities, after Hendrycks & Dietterich (ICLR 2019).

Decoded in, decoded out: images (H, W, channels) uint8, waveforms (N,) float32 in [-1, 1]. Severity 0 changes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy  # imports its parts on first use
import soxr
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Wave = NDArray[np.floating]
Rng = np.random.Generator

SEVERITIES = range(1, 6)
PACKET_SECONDS = 0.02
TALKERS = 4  # in babble


class Setting(NamedTuple):
    """The inputs of a sound's corruption: the sample rate, a random generator, other sounds (n, N) of the table."""

    sample_rate_hz: int
    rng: Rng
    others: Wave


def corrupt_image(name: str, pixels: Pixels, severity: int, rng: Rng) -> Pixels:
    """(H, W, channels) -> the same shape."""
    if severity == 0:
        return pixels
    changed = IMAGE[name](pixels.astype(np.float32) / 255, severity - 1, rng)
    return (255 * np.clip(changed, 0, 1)).round().astype(np.uint8)


def corrupt_audio(name: str, wave: Wave, severity: int, setting: Setting) -> Wave:
    """(N,) -> (N,)."""
    if severity == 0:
        return wave
    return np.clip(AUDIO[name](wave, severity - 1, setting), -1, 1).astype(np.float32)


def noise(x: Wave, level: int, rng: Rng) -> Wave:
    """Adds normal noise to every value."""
    return x + rng.normal(0, (0.08, 0.15, 0.25, 0.4, 0.6)[level], x.shape).astype(np.float32)


def blur(x: Wave, level: int, rng: Rng) -> Wave:
    """Blurs by a Gaussian as wide as a share of the shorter side."""
    sigma = (0.02, 0.03, 0.045, 0.065, 0.09)[level] * min(x.shape[:2])
    return scipy.ndimage.gaussian_filter(x, (sigma, sigma, 0)).astype(np.float32)


def brightness(x: Wave, level: int, rng: Rng) -> Wave:
    """Makes the image brighter or darker."""
    return x + _sign(rng) * (0.1, 0.2, 0.3, 0.45, 0.6)[level]


def contrast(x: Wave, level: int, rng: Rng) -> Wave:
    """Moves all values towards the mean."""
    changed: Wave = x.mean() + (x - x.mean()) * (0.6, 0.4, 0.25, 0.15, 0.08)[level]
    return changed


def occlusion(x: Wave, level: int, rng: Rng) -> Wave:
    """Covers a random square with the mean colour."""
    height, width = x.shape[:2]
    side = max(round((0.3, 0.4, 0.5, 0.6, 0.7)[level] * min(height, width)), 1)
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    changed = x.copy()
    changed[top : top + side, left : left + side] = x.mean()
    return changed


def jpeg(x: Wave, level: int, rng: Rng) -> Wave:
    """Compresses as JPEG at low quality."""
    file = io.BytesIO()
    pixels = (255 * x).round().astype(np.uint8)
    Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=(25, 15, 10, 6, 2)[level])
    return np.asarray(Image.open(file), np.float32).reshape(x.shape) / 255


def rotation(x: Wave, level: int, rng: Rng) -> Wave:
    """Rotates to the left or to the right."""
    degrees = _sign(rng) * (12, 20, 30, 45, 60)[level]
    return scipy.ndimage.rotate(x, degrees, reshape=False, order=1, mode="nearest").astype(np.float32)


def low_resolution(x: Wave, level: int, rng: Rng) -> Wave:
    """Reduces the image and enlarges it again."""
    height, width = x.shape[:2]
    share = (0.5, 0.35, 0.27, 0.2, 0.14)[level]
    size = max(round(share * width), 1), max(round(share * height), 1)
    image = Image.fromarray((255 * x).round().astype(np.uint8).squeeze())
    small = image.resize(size, Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), np.float32).reshape(x.shape) / 255


SNR_DB = (15, 9, 3, -3, -9)


def coloured(exponent: float) -> Callable[[Wave, int, Setting], Wave]:
    """Returns a function that adds noise with power ~ frequency ** exponent: 0 white, -1 pink, -2 brown, 1 blue."""

    def add(wave: Wave, level: int, setting: Setting) -> Wave:
        spectrum = np.fft.rfft(setting.rng.normal(size=len(wave)))
        frequency = np.maximum(np.fft.rfftfreq(len(wave)), 1 / len(wave))
        return _mixed(wave, np.fft.irfft(spectrum * frequency ** (exponent / 2), len(wave)), SNR_DB[level])

    return add


def babble(wave: Wave, level: int, setting: Setting) -> Wave:
    """Mixes in other sounds of the table."""
    chosen = setting.others[setting.rng.integers(0, len(setting.others), TALKERS)]
    return _mixed(wave, chosen.sum(0), SNR_DB[level])


def reverberation(wave: Wave, level: int, setting: Setting) -> Wave:
    """Adds the reverberation of a room: noise that decays by 60 dB in so many seconds, beside the direct sound."""
    seconds = (0.2, 0.4, 0.8, 1.5, 3.0)[level]
    time = np.arange(min(round(seconds * setting.sample_rate_hz), len(wave))) / setting.sample_rate_hz
    echoes = setting.rng.normal(size=len(time)) * np.exp(-6.9 * time / seconds)
    room = np.concatenate([[1.0], echoes / max(np.sqrt((echoes**2).sum()), 1e-9) * (0.5, 0.8, 1.1, 1.5, 2.0)[level]])
    return _as_loud(scipy.signal.fftconvolve(wave, room)[: len(wave)], wave)


def clipping(wave: Wave, level: int, setting: Setting) -> Wave:
    """Clips at a share of the peak, then restores the loudness."""
    bound = (0.5, 0.3, 0.15, 0.07, 0.03)[level] * np.abs(wave).max()
    return _as_loud(np.clip(wave, -bound, bound), wave)


def telephone(wave: Wave, level: int, setting: Setting) -> Wave:
    """Passes only the band from 300 Hz to a bound."""
    high = (3400, 2400, 1700, 1200, 800)[level]
    nyquist = setting.sample_rate_hz / 2
    band = scipy.signal.butter(
        4, [min(300, 0.5 * nyquist), min(high, 0.95 * nyquist)], "band", fs=2 * nyquist, output="sos"
    )
    return np.asarray(scipy.signal.sosfilt(band, wave), np.float32)


def packet_loss(wave: Wave, level: int, setting: Setting) -> Wave:
    """Packets of 20 ms that never came."""
    size = max(round(PACKET_SECONDS * setting.sample_rate_hz), 1)
    lost = setting.rng.random(-(-len(wave) // size)) < (0.1, 0.2, 0.35, 0.5, 0.7)[level]
    return np.where(np.repeat(lost, size)[: len(wave)], np.float32(0), wave)


def time_shift(wave: Wave, level: int, setting: Setting) -> Wave:
    """Later or earlier by a share of the clip; what leaves is gone."""
    places = round((0.05, 0.1, 0.2, 0.3, 0.45)[level] * len(wave)) * _sign(setting.rng)
    return scipy.ndimage.shift(wave, places, order=0, cval=0.0).astype(np.float32)


def speed(wave: Wave, level: int, setting: Setting) -> Wave:
    """Faster and higher, or slower and lower, as a tape would be."""
    factor = (1.08, 1.16, 1.26, 1.4, 1.6)[level] ** _sign(setting.rng)
    played = soxr.resample(wave, setting.sample_rate_hz, setting.sample_rate_hz / factor)[: len(wave)]
    return np.pad(played, (0, len(wave) - len(played)))


def _sign(rng: Rng) -> int:
    return int(rng.choice([-1, 1]))


def _mixed(wave: Wave, other: NDArray[np.floating], snr_db: float) -> Wave:
    """The wave and another sound that is so many dB below it."""
    power, other_power = float((wave**2).mean()), float((other**2).mean())
    if power == 0 or other_power == 0:
        return wave
    mixed: Wave = wave + other * np.sqrt(power / other_power / 10 ** (snr_db / 10))
    return mixed


def _as_loud(changed: NDArray[np.floating], wave: Wave) -> Wave:
    scaled: Wave = changed * np.sqrt((wave**2).mean() / max(float((changed**2).mean()), 1e-12))
    return scaled


IMAGE: dict[str, Callable[[Wave, int, Rng], Wave]] = {
    "noise": noise,
    "blur": blur,
    "brightness": brightness,
    "contrast": contrast,
    "occlusion": occlusion,
    "jpeg": jpeg,
    "rotation": rotation,
    "low-resolution": low_resolution,
}
AUDIO: dict[str, Callable[[Wave, int, Setting], Wave]] = {
    "white-noise": coloured(0),
    "pink-noise": coloured(-1),
    "brown-noise": coloured(-2),
    "blue-noise": coloured(1),
    "babble": babble,
    "reverberation": reverberation,
    "clipping": clipping,
    "telephone": telephone,
    "packet-loss": packet_loss,
    "time-shift": time_shift,
    "speed": speed,
}
