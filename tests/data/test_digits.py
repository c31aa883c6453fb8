"""The embedded data: small, whole, and no image or speaker on both sides of a split."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import sightsound as ss
from sightsound.data.sources import digits
from sightsound.data.sources.base import write_wav


@pytest.fixture(scope="module")
def table(cache: Path) -> Path:
    return ss.dataset("digits")


def test_size_and_voices() -> None:
    words = pd.read_csv(digits.HERE / "spoken_digits.csv")
    assert (digits.HERE / "spoken_digits.opus").stat().st_size <= 4e6
    voices = words.groupby(["speaker", "accent", "pitch", "words_per_minute"])["digit"].nunique()
    assert len(voices) >= 120 and (voices == 10).all()


def test_nothing_is_shared_between_splits(table: Path) -> None:
    frame = pd.read_csv(table)
    assert (frame.groupby("group")["split"].nunique() == 1).all()
    # two rows show each image, in other noise
    assert (frame.groupby(frame.index // digits.ROWS_PER_IMAGE)["split"].nunique() == 1).all()
    assert frame.groupby("split")["label"].nunique().tolist() == [10, 10, 10]
    assert all((table.parent / file).exists() for file in [*frame["image"], *frame["audio"]])


def test_the_same_seed_gives_the_same_files(table: Path, tmp_path: Path) -> None:
    again = itertools.islice(digits._pairs(load_digits(), 0, noisy=True), 100)
    for (pixels, wave, rate, row), written in zip(again, pd.read_csv(table)[:100].to_dict("records"), strict=True):
        assert np.array_equal(pixels, np.asarray(Image.open(table.parent / written["image"])))
        write_wav(tmp_path / "a.wav", wave, rate)
        assert (tmp_path / "a.wav").read_bytes() == (table.parent / written["audio"]).read_bytes()
        assert all(str(written[name]) == str(value) for name, value in row.items())


def test_without_noise_words_stand_in_silence_and_an_image_is_the_same_each_time() -> None:
    pairs = list(itertools.islice(digits._pairs(load_digits(), 0, noisy=False), 2 * digits.ROWS_PER_IMAGE))
    assert all(np.quantile(np.abs(wave), 0.1) < 1e-3 for _, wave, _, _ in pairs)
    assert np.array_equal(pairs[0][0], pairs[1][0]) and not np.array_equal(pairs[1][0], pairs[2][0])


def test_a_complete_folder_is_kept(table: Path) -> None:
    before = table.stat().st_mtime_ns
    assert digits.write(table.parent) == table
    assert table.stat().st_mtime_ns == before
