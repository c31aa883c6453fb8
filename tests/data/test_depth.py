"""Images of every depth keep what they show; what is remarkable about a file is noticed."""

import io

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from sightsound.data.files import read_audio, read_image
from sightsound.data.remarks import Remark, collect, pack
from tests.data.sounds import sound

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def tiff(values: np.ndarray, tags: dict[int, object] | None = None, kind: str = "TIFF") -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        info.tagtype[tag] = 12 if isinstance(value, float) else 4
        info[tag] = value
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **({"tiffinfo": info} if kind == "TIFF" else {}))
    return file.getvalue()


def read(content: bytes) -> tuple[np.ndarray, Remark]:
    with collect() as found:
        pixels = read_image(content, 8, 8, 1)[..., 0]
    return pixels, Remark(pack(found))


DEPTHS = {
    "int32 of 8 bits": ((RAMP * 255).astype(np.int32), True),
    "int32 of 12 bits": ((RAMP * 4095).astype(np.int32), True),
    "int32 of 16 bits": ((RAMP * 65535).astype(np.int32), True),
    "int32 of 24 bits": ((RAMP * (2**24 - 1)).astype(np.int32), True),
    "int16 with a sign": ((RAMP * 65535 - 32768).astype(np.int32), True),
    "uint16 of 8 bits": ((RAMP * 255).astype(np.uint16), True),
    "uint16 of 12 bits": ((RAMP * 4095).astype(np.uint16), True),
    "uint16": ((RAMP * 65535).astype(np.uint16), False),
    "float to 1": (RAMP.astype(np.float32), True),
    "float to 255": ((RAMP * 255).astype(np.float32), True),
    "float to 65535": ((RAMP * 65535).astype(np.float32), True),
    "float from -1": ((RAMP * 2 - 1).astype(np.float32), True),
    "float of any size": ((RAMP * 1e9 - 7e8).astype(np.float32), True),
}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_every_depth_shows_the_same_picture(depth: str, kind: str) -> None:
    values, is_guessed = DEPTHS[depth]
    if kind == "PNG" and values.dtype != np.uint16:
        return
    pixels, remarks = read(tiff(values, kind=kind))
    np.testing.assert_allclose(pixels, RAMP * 255, atol=1.1)
    assert (Remark.GUESSED in remarks) == is_guessed


@pytest.mark.parametrize("black_and_white", [(0.0, 1e6), (-50.0, 50.0)])
def test_a_file_that_says_its_range_is_believed(black_and_white: tuple[float, float]) -> None:
    low, high = black_and_white
    half = (low + 0.5 * RAMP * (high - low)).astype(np.float32)  # darker than the range allows
    pixels, remarks = read(tiff(half, {340: low, 341: high}))
    np.testing.assert_allclose(pixels, RAMP * 127.5, atol=1)
    assert not remarks


def test_not_a_number_is_black() -> None:
    values = RAMP.astype(np.float32)
    values[0, 0], values[7, 7] = np.nan, np.inf
    pixels, _ = read(tiff(values))
    assert pixels[0, 0] == 0 and pixels[7, 7] == 255
    np.testing.assert_allclose(pixels[1:7], RAMP[1:7] * 255, atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK"])
def test_one_colour_is_noticed_and_others_are_not(mode: str) -> None:
    for image, constant in (
        (Image.new("L", (9, 9), 255), True),
        (Image.fromarray((RAMP * 255).astype(np.uint8)), False),
    ):
        file = io.BytesIO()
        image.convert(mode).save(file, "TIFF")
        assert read(file.getvalue())[1] == (Remark.CONSTANT if constant else 0)


TONE = np.sin(np.arange(8000) / 3) * 0.5
NOISE = np.random.default_rng(0).normal(0, 0.1, 8000)
CHANNELS = {
    "opposite": ([TONE, -TONE], Remark.CANCELLED, TONE),
    "nearly opposite, one louder": ([TONE, -0.97 * TONE], Remark.CANCELLED, TONE),
    "two pairs": ([0.5 * TONE, -0.5 * TONE, TONE, -TONE], Remark.CANCELLED, TONE),
    "the same": ([TONE, TONE], 0, TONE),
    "one is silent": ([TONE, 0 * TONE], 0, TONE / 2),
    "one of eight": ([TONE, *[0 * TONE] * 7], 0, TONE / 8),
    "different": ([TONE, NOISE], 0, (TONE + NOISE) / 2),
    "silent": ([0 * TONE, 0 * TONE], Remark.CONSTANT, 0 * TONE),
    "silent, one channel": ([0 * TONE], Remark.CONSTANT, 0 * TONE),
    "a constant voltage": ([0 * TONE + 0.25], Remark.CONSTANT, 0 * TONE + 0.25),
}


@pytest.mark.parametrize("kind", CHANNELS)
def test_channels_that_cancel_are_not_taken_for_silence(kind: str) -> None:
    channels, remark, wanted = CHANNELS[kind]
    with collect() as found:
        wave = read_audio(sound(np.stack(channels, 1), 8000, subtype="FLOAT"), 8000, 1.0)
    np.testing.assert_allclose(wave, wanted, atol=1e-4)
    assert pack(found) == remark
