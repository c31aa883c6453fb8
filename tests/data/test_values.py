"""Whatever stands for an image or a sound in Python gives what its file gives, or a message that says what does."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sightsound.data.files import given_audio, given_image, read_audio, read_image
from sightsound.errors import FileError
from tests.data.sounds import sound

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 255, (12, 20), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (12, 20, 3), dtype=np.uint8)
STEREO = RNG.integers(-20000, 20000, (4000, 2)).astype(np.int16)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def written(content: bytes, folder: Path) -> Path:
    (folder / "file").write_bytes(content)
    return folder / "file"


IMAGES: dict[str, Any] = {
    "path": lambda pixels, folder: written(png(pixels), folder),
    "text": lambda pixels, folder: str(written(png(pixels), folder)),
    "address": lambda pixels, folder: written(png(pixels), folder).as_uri(),
    "bytes": lambda pixels, folder: png(pixels),
    "bytearray": lambda pixels, folder: bytearray(png(pixels)),
    "memoryview": lambda pixels, folder: memoryview(png(pixels)),
    "stream": lambda pixels, folder: io.BytesIO(png(pixels)),
    "open file": lambda pixels, folder: written(png(pixels), folder).open("rb"),
    "pillow": lambda pixels, folder: Image.fromarray(pixels),
    "pillow file": lambda pixels, folder: Image.open(io.BytesIO(png(pixels))),
    "array": lambda pixels, folder: pixels,
    "list": lambda pixels, folder: pixels.tolist(),
    "int64": lambda pixels, folder: pixels.astype(np.int64),
    "float32": lambda pixels, folder: pixels.astype(np.float32) / 255,
    "float16": lambda pixels, folder: (pixels / 255).astype(np.float16),
    "uint16": lambda pixels, folder: pixels.astype(np.uint16) * 257,
    "tensor": lambda pixels, folder: torch.from_numpy(pixels),
    "float tensor": lambda pixels, folder: torch.from_numpy(pixels).float() / 255,
    "gradient": lambda pixels, folder: (torch.from_numpy(pixels).float() / 255).requires_grad_(),
    "channels first": lambda pixels, folder: np.moveaxis(np.atleast_3d(pixels), 2, 0),
    "tensor, channels first": lambda pixels, folder: torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1),
    "hub, bytes": lambda pixels, folder: {"bytes": png(pixels), "path": None},
    "hub, path": lambda pixels, folder: {"bytes": None, "path": str(written(png(pixels), folder))},
    "hub, array": lambda pixels, folder: {"array": pixels},
}


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", IMAGES)
def test_images(kind: str, pixels: np.ndarray, tmp_path: Path) -> None:
    given = given_image(IMAGES[kind](pixels, tmp_path))
    for again in (given, given_image(given)):
        found = read_image(again, 12, 20, 3)
        assert np.abs(found.astype(int) - np.atleast_3d(pixels)).max() <= 1


def test_a_pillow_image_of_a_camera_stands_upright_and_stays_open() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(COLOUR).save(file, "PNG", exif=exif)
    image = Image.open(file)
    np.testing.assert_array_equal(read_image(image, 20, 12, 3), np.rot90(COLOUR, -1))
    assert image.getpixel((0, 0)) == tuple(COLOUR[0, 0])


def hub_decoder(samples: np.ndarray) -> Any:
    every = SimpleNamespace(data=torch.from_numpy(samples.T / np.float32(32768)), sample_rate=8000)
    return SimpleNamespace(get_all_samples=lambda: every)


SOUNDS: dict[str, Any] = {
    "path": lambda x, folder: written(sound(x, 8000), folder),
    "stream": lambda x, folder: io.BytesIO(sound(x, 8000)),
    "int16": lambda x, folder: (x, 8000),
    "a list of both": lambda x, folder: [x, 8000],
    "numbers of numpy": lambda x, folder: (x, np.float64(8000)),
    "a rate as a tensor": lambda x, folder: (x, torch.tensor(8000)),
    "int32": lambda x, folder: (x.astype(np.int32) * 65536, 8000),
    "float": lambda x, folder: (x / np.float32(32768), 8000),
    "list": lambda x, folder: ((x / 32768).tolist(), 8000),
    "channels first": lambda x, folder: (x.T / 32768, 8000),
    "tensor": lambda x, folder: (torch.from_numpy(x.T / np.float32(32768)), 8000),
    "hub, decoded": lambda x, folder: {"array": x.T / 32768, "path": "gone.wav", "sampling_rate": 8000},
    "hub, bytes": lambda x, folder: {"bytes": sound(x, 8000), "path": "gone.wav"},
    "hub, decoder": lambda x, folder: hub_decoder(x),
}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", SOUNDS)
def test_sounds(kind: str, channels: int, tmp_path: Path) -> None:
    samples = STEREO[:, :channels]
    wanted = read_audio(sound(samples, 8000), 8000, 0.5)
    given = given_audio(SOUNDS[kind](samples, tmp_path))
    for again in (given, given_audio(given)):
        np.testing.assert_allclose(read_audio(again, 8000, 0.5), wanted, atol=1e-4)


def test_eight_bits_of_a_sound_have_their_silence_in_the_middle() -> None:
    assert not read_audio(given_audio((np.full(800, 128, np.uint8), 8000)), 8000, 0.1).any()


NOT_IMAGES = {
    "three and three": torch.zeros(3, 9, 1),
    "too many axes": np.zeros((1, 2, 9, 9), np.uint8),
    "two channels": np.zeros((9, 9, 2), np.uint8),
    "floats beyond 1": np.full((9, 9), 12.0),
    "negative": np.full((9, 9), -0.1, np.float32),
    "not a number": np.full((9, 9), np.nan),
    "large whole numbers": np.full((9, 9), 300),
    "empty": np.zeros((0, 9), np.uint8),
    "complex": np.zeros((9, 9), complex),
    "ragged": [[1, 2], [3]],
    "names": ["a.png", "b.png"],
    "a number": 7,
    "an object": object(),
    "a dictionary": {"url": "x"},
    "an empty dictionary": {"bytes": None, "path": None},
    "a text file": io.StringIO("x"),
}
NOT_SOUNDS = {
    "samples alone": STEREO[:, 0],
    "a tensor alone": torch.zeros(16000),
    "a list alone": [0.1, 0.2],
    "no rate": (STEREO, None),
    "a rate of 0": (STEREO, 0),
    "a negative rate": (STEREO, -8000),
    "no number": (STEREO, float("nan")),
    "infinite": (STEREO, float("inf")),
    "a rate in words": (STEREO, "8 kHz"),
    "a square": (np.zeros((9, 9), np.float32), 8000),
    "many channels": (np.zeros((4000, 20), np.float32), 8000),
    "three axes": (np.zeros((1, 1, 4000), np.float32), 8000),
    "int64": (np.zeros(4000, np.int64), 8000),
    "empty": (np.zeros(0, np.float32), 8000),
    "a path and a rate": ("a.wav", 8000),
    "ragged": ([[1.0, 2.0], [3.0]], 8000),
    "hub without a rate": {"array": STEREO, "path": None},
    "an object": object(),
    "a number": 7,
}


@pytest.mark.parametrize("kind", NOT_IMAGES)
def test_what_is_no_image_is_told_what_is(kind: str) -> None:
    with pytest.raises(FileError, match=r"an image is a path|no pixels|open\(path, \"rb\"\)"):
        given_image(NOT_IMAGES[kind])


@pytest.mark.parametrize("kind", NOT_SOUNDS)
def test_what_is_no_sound_is_told_what_is(kind: str) -> None:
    with pytest.raises(FileError, match=r"a sound is a path|give \(samples, rate_hz\)|a positive number of Hz"):
        given_audio(NOT_SOUNDS[kind])
