"""Pictures of a report: the right way up, and the same pixels and samples as went in."""

import base64
import io
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from sightsound.features.audio import LogMel
from sightsound.modalities.media import frames_uri, png_uri, thumbnail, wav_uri

RATE = 8000


def content(uri: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(uri.split("base64,")[1]))


def test_a_spectrogram_has_low_tones_below_and_time_to_the_right() -> None:
    time = np.arange(RATE) / RATE
    wave = np.where(time < 0.5, np.sin(2 * np.pi * 200 * time), np.sin(2 * np.pi * 3000 * time)).astype(np.float32)
    pixels = np.asarray(Image.open(content(frames_uri(wave, LogMel(RATE, 1.0, 32.0, 10.0, 64)))))
    assert pixels.shape == (64, 100)
    assert pixels[:, 20].argmax() > 48 and pixels[:, 80].argmax() < 16


def test_pixels_and_samples_come_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(content(png_uri(pixels)))), pixels)
    wave = np.linspace(-0.5, 0.5, 100, dtype=np.float32)
    samples, rate = soundfile.read(content(wav_uri(wave, RATE)))
    assert rate == RATE
    np.testing.assert_allclose(samples, wave, atol=1e-4)


def test_a_thumbnail_has_the_resolution_of_the_file_up_to_a_bound(tmp_path: Path) -> None:
    small = np.random.default_rng(0).integers(0, 256, (40, 90), np.uint8)
    Image.fromarray(small).save(tmp_path / "small.png")
    np.testing.assert_array_equal(np.asarray(Image.open(content(thumbnail(tmp_path / "small.png")))), small)
    Image.fromarray(np.zeros((300, 1024, 3), np.uint8)).save(tmp_path / "large.png")
    assert Image.open(content(thumbnail(tmp_path / "large.png"))).size == (256, 75)
