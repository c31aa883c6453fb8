"""Data sets in their original formats, small; and what answers for a real server that has them."""

import dataclasses
import gzip
import hashlib
import http.server
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sightsound.data.sources import SOURCES
from sightsound.downloads import Download

RATE = 8000


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, train: int = 110, test: int = 20) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % 10
        images = rng.integers(0, 120, (count, 28, 28)) + 10 * labels[:, None, None]
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return folder


def tone(digit: int, seconds: float, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * (200 + 300 * digit) * time) + rng.normal(0, 0.01, len(time))


def write_fsdd(folder: Path, speakers: tuple[str, ...] = ("ann", "bob", "cid"), recordings: int = 12) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for digit in range(10):
        for speaker in speakers:
            for index in range(recordings):
                soundfile.write(
                    folder / f"{digit}_{speaker}_{index}.wav", tone(digit, 0.3, rng), RATE, subtype="PCM_16"
                )
    return folder


def write_fsdd_archive(folder: Path) -> Path:
    """As GitHub packs version 1.0.9."""
    name = "free-spoken-digit-dataset-1.0.9"
    write_fsdd(folder / name / "recordings")
    with tarfile.open(folder / "v1.0.9.tar.gz", "w:gz") as tar:
        tar.add(folder / name, arcname=name)
    return folder / "v1.0.9.tar.gz"


def write_speech_commands(folder: Path) -> Path:
    """The archive's own layout: ./word/speaker_nohash_n.wav, the two lists, background noise."""
    root = folder / "unpacked"
    rng = np.random.default_rng(0)
    words = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "cat",
        "_background_noise_",
    ]
    for number, word in enumerate(words):
        (root / word).mkdir(parents=True)
        for i in range(6):
            name = "noise.wav" if word[0] == "_" else f"{i:08x}_nohash_0.wav"
            soundfile.write(root / word / name, tone(number, 1.0, rng, 16000), 16000, subtype="PCM_16")
    spoken = words[:-1]
    (root / "validation_list.txt").write_text("".join(f"{word}/00000004_nohash_0.wav\n" for word in spoken))
    (root / "testing_list.txt").write_text("".join(f"{word}/00000005_nohash_0.wav\n" for word in spoken))
    for name in ("LICENSE", "README.md"):
        (root / name).write_text(name)
    archive = folder / "speech_commands_v0.02.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root, arcname=".")
    return archive


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files; /page/ answers everything with a page, /cut/ breaks off in the middle, once for each file."""

    cut: set[str] = set()

    def do_GET(self) -> None:  # noqa: N802 the library's name
        if self.path.startswith("/page/"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Please log in</html>")
        elif self.path.startswith("/cut/") and self.path not in self.cut:
            self.cut.add(self.path)
            content = Path(self.translate_path(self.path.removeprefix("/cut"))).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.connection.close()
        else:
            self.path = self.path.removeprefix("/cut")
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def serve(monkeypatch: pytest.MonkeyPatch, name: str, files: list[Path]) -> None:
    """Gives the data set `name` the checksums of these files, which are smaller than the real ones."""
    downloads = tuple(
        Download(f"https://example.org/{f.name}", hashlib.sha256(f.read_bytes()).hexdigest(), f.stat().st_size)
        for f in files
    )
    monkeypatch.setitem(SOURCES, name, dataclasses.replace(SOURCES[name], downloads=downloads))
