"""Every format a user may bring, and everything that can be wrong with one file."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from sightsound.data.files import (
    image_from_array,
    probe_audio,
    probe_image,
    read_audio,
    read_image,
    waveform_from_array,
)
from sightsound.errors import FileError

RNG = np.random.default_rng(0)
COLOUR = np.zeros((20, 30, 3), np.uint8)
COLOUR[:, :15] = (200, 30, 30)
COLOUR[:, 15:] = (30, 30, 200)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_image_formats(kind: str) -> None:
    content = encoded(Image.fromarray(COLOUR), kind)
    assert probe_image(content)[:3] == (20, 30, True)
    pixels = read_image(content, 20, 30, 3)
    assert pixels.shape == (20, 30, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels[:, 2:12].astype(int) - (200, 30, 30)).mean() < 12
    assert np.abs(pixels[:, 18:28].astype(int) - (30, 30, 200)).mean() < 12
    assert read_image(content, 8, 10, 1).shape == (8, 10, 1)


def test_grey_palette_and_transparency() -> None:
    grey = Image.fromarray(COLOUR).convert("L")
    assert not probe_image(encoded(grey, "PNG")).colour
    assert read_image(encoded(grey, "PNG"), 20, 30, 3)[5, 5].tolist() == [grey.getpixel((5, 5))] * 3
    palette = Image.fromarray(COLOUR).convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.abs(read_image(encoded(palette, "PNG"), 20, 30, 3).astype(int) - COLOUR).max() < 10
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert read_image(encoded(clear, "PNG"), 4, 4, 3).min() == 255  # transparent lies on white
    one_bit = Image.fromarray(COLOUR).convert("1")
    assert set(np.unique(read_image(encoded(one_bit, "PNG"), 20, 30, 1))) <= {0, 255}


def test_sixteen_bits_keep_their_range() -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    for kind in ("PNG", "TIFF"):
        pixels = read_image(encoded(Image.fromarray(ramp), kind), 8, 8, 1)[:, :, 0]
        np.testing.assert_array_equal(pixels, ramp >> 8)


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn to the right
    content = encoded(Image.fromarray(COLOUR), "JPEG", exif=exif)
    assert probe_image(content)[:2] == (30, 20)
    pixels = read_image(content, 30, 20, 3)
    assert pixels[2, 10, 0] > 150 and pixels[27, 10, 2] > 150  # red on top, blue below


def test_the_first_frame_of_a_gif() -> None:
    frames = [Image.new("L", (8, 8), 10), Image.new("L", (8, 8), 240)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_image(content, 8, 8, 1).max() == 10


def test_images_in_memory() -> None:
    assert (image_from_array(COLOUR, 20, 30, 3) == COLOUR).all()
    assert image_from_array(COLOUR[:, :, :1], 10, 10, 1).shape == (10, 10, 1)
    with pytest.raises(FileError, match=r"\(20, 30, 3\) float64"):
        image_from_array(COLOUR.astype(float), 20, 30, 3)
    with pytest.raises(FileError, match="no pixels"):
        image_from_array(np.zeros((0, 5), np.uint8), 20, 30, 3)


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def sound(samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def frequency(wave: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave))


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_sound_formats_and_rates(kind: str, rate: int) -> None:
    content = sound(tone(rate), rate, kind)
    assert probe_audio(content) == pytest.approx(0.5, abs=0.1)
    wave = read_audio(content, 16000, 0.5)
    assert wave.shape == (8000,) and wave.dtype == np.float32
    assert frequency(wave[2000:6000], 16000) == pytest.approx(440, abs=5)
    assert np.abs(wave).max() == pytest.approx(0.5, abs=0.1)


def test_eight_channels_at_192_khz_in_24_bits_are_mixed() -> None:
    channels = np.stack([tone(192000), *[np.zeros(96000)] * 7], axis=1)
    wave = read_audio(sound(channels, 192000, subtype="PCM_24"), 16000, 0.5)
    assert np.abs(wave).max() == pytest.approx(0.5 / 8, rel=0.05)
    assert frequency(wave, 16000) == pytest.approx(440, abs=5)


@pytest.mark.parametrize(("crop", "second"), [("start", 0), ("center", 1), ("end", 2)])
def test_crop(crop: str, second: int) -> None:
    wave = np.repeat([0.1, 0.2, 0.3], 8000)
    clip = read_audio(sound(wave, 8000, subtype="FLOAT"), 8000, 1.0, crop)
    np.testing.assert_allclose(clip, 0.1 * (second + 1), atol=2**-16)  # 16-bit steps


def test_a_short_sound_is_padded_with_silence_at_its_end() -> None:
    clip = read_audio(sound(np.full(800, 0.25), 8000, subtype="FLOAT"), 8000, 1.0)
    assert clip[:800].min() == 0.25 and not clip[800:].any() and len(clip) == 8000


def test_louder_than_full_scale_is_scaled_down() -> None:
    assert np.abs(waveform_from_array(4 * tone(8000), 8000, 8000, 0.5)).max() == pytest.approx(1.0)
    quiet = waveform_from_array(tone(8000) / np.abs(tone(8000)).max(), 8000, 8000, 0.5)
    np.testing.assert_allclose(waveform_from_array(4 * tone(8000), 8000, 8000, 0.5), quiet, atol=1e-4)


IMAGE_FAULTS = {
    "empty": (b"", "bytes"),
    "text": (b"hello, this is text\n", "holds text"),
    "cut off": (
        encoded(Image.fromarray(RNG.integers(0, 255, (64, 64, 3), np.uint8)), "PNG")[:3000],
        "damaged or cut off",
    ),
    "cut off jpeg": (
        encoded(Image.fromarray(RNG.integers(0, 255, (64, 64, 3), np.uint8)), "JPEG")[:2000],
        "damaged or cut off",
    ),
    "a sound": (sound(tone(8000), 8000), "starts like a WAV sound"),
    "rubbish": (bytes(range(128, 255)), "starts with the bytes 80 81"),
    "bomb": (encoded(Image.new("1", (10_000, 10_000)), "PNG"), "limit is 64 megapixels"),
}


@pytest.mark.parametrize("fault", IMAGE_FAULTS)
def test_bad_images(fault: str, tmp_path: Path) -> None:
    content, reason = IMAGE_FAULTS[fault]
    path = tmp_path / "schön und gut.png"
    path.write_bytes(content)
    with pytest.raises(FileError, match="0 bytes" if fault == "empty" else reason) as caught:
        read_image(path, 8, 8, 1)
    assert str(path) in str(caught.value)
    with pytest.raises(FileError, match=reason):
        read_image(content, 8, 8, 1)


def with_nan() -> np.ndarray:
    wave = tone(8000)
    wave[17] = np.nan
    return wave


SOUND_FAULTS = {
    "empty": (b"", "0 bytes"),
    "text": (b"RIFF is not enough", "this is no sound"),
    "no samples": (sound(np.zeros(0), 8000), "no samples"),
    "one sample": (sound(np.full(1, 0.5), 8000), "too short: 1 samples"),
    "nan": (sound(with_nan(), 8000, subtype="FLOAT"), "NaN or infinite samples, the first at 17"),
    "cut off": (sound(tone(8000), 8000)[:3000], "cut off: 2956 of 8000 bytes"),
    "cut off flac": (sound(RNG.normal(0, 0.1, 8000), 8000, "FLAC")[:6000], "damaged or cut off"),
    "cut off mp3": (sound(RNG.normal(0, 0.1, 16000), 16000, "MP3")[:2000], "cut off"),
    "an image": (encoded(Image.fromarray(COLOUR), "PNG"), "starts like a PNG"),
}


@pytest.mark.parametrize("fault", SOUND_FAULTS)
def test_bad_sounds(fault: str, tmp_path: Path) -> None:
    content, reason = SOUND_FAULTS[fault]
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(FileError, match=reason) as caught:
        read_audio(path, 8000, 1.0)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "read", [lambda p: read_image(p, 8, 8, 1), lambda p: read_audio(p, 8000, 1.0), probe_image, probe_audio]
)
def test_no_file_and_a_folder(read, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read(tmp_path / "gone")
    with pytest.raises(FileError, match="a folder"):
        read(tmp_path)
    with pytest.raises(FileError):
        read("nul\0byte")


def test_a_streamed_wav_without_a_length_is_read() -> None:
    content = bytearray(sound(tone(8000), 8000))
    content[40:44] = b"\xff\xff\xff\xff"
    assert np.abs(read_audio(bytes(content), 8000, 0.5)).max() > 0.4
