"""MNIST, FSDD, pairs of both, and audio-visual MNIST, from small files of the original formats and the real ones."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from sightsound.data.datasets import dataset
from sightsound.data.sources import SourceOptions, avmnist, fsdd, mnist
from sightsound.errors import SourceError
from tests.originals import write_fsdd, write_mnist

REAL = Path(__file__).parents[4] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL.exists(), reason="there is no ../shared/data with MNIST and FSDD")


def built(name: str, root: Path, **more: object) -> pd.DataFrame:
    table = dataset(name, SourceOptions(root=str(root), **more))
    frame = pd.read_csv(table)
    frame["folder"] = str(table.parent)
    return frame


def test_mnist_pixels_and_labels_are_those_of_the_files(digits_root: Path) -> None:
    frame = built("mnist", digits_root)
    images, labels = mnist.read(str(digits_root), "test")
    test = frame[frame["split"] == "test"].reset_index()
    assert test["label"].tolist() == labels.tolist()
    assert np.array_equal(np.asarray(Image.open(Path(test["folder"][3]) / test["image"][3])), images[3])


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b\x08broken", b"text, not an idx file"])
def test_damaged_idx_files(tmp_path: Path, damage: bytes) -> None:
    write_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(damage)
    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte.gz: damaged or no idx file"):
        built("mnist", tmp_path)
    with pytest.raises(SourceError, match="fetch mnist"):
        dataset("mnist", SourceOptions(seed=99))
    with pytest.raises(SourceError, match=r"--root FOLDER"):
        built("fsdd", tmp_path)


def test_fsdd_splits(digits_root: Path) -> None:
    frame = built("fsdd", digits_root)
    index = frame["audio"].str.extract(r"_(\d+)\.wav")[0].astype(int)
    assert set(index[frame["split"] == "test"]) == set(range(5)) and set(index[frame["split"] == "val"]) == {9}
    by_speaker = built("fsdd", digits_root, split_by="speaker")
    assert (by_speaker.groupby("group")["split"].nunique() == 1).all()
    assert dict(zip(by_speaker["group"], by_speaker["split"], strict=True)) == {
        "ann": "train",
        "bob": "val",
        "cid": "test",
    }


def test_pairs_match_by_label_and_share_nothing(digits_root: Path) -> None:
    frame = built("mnist+fsdd", digits_root, pairs=60)
    assert frame["split"].value_counts().to_dict() == {"train": 60, "test": 20, "val": 6}
    assert (frame["audio"].map(lambda path: int(Path(path).name[0])) == frame["label"]).all()
    for column in ("image", "audio"):
        assert frame.groupby(column)["split"].nunique().max() == 1
    other = built("mnist+fsdd", digits_root, pairs=60, seed=1)
    assert other["audio"].tolist() != frame["audio"].tolist()
    with pytest.raises(SourceError, match="--pairs is 101; it can be 1 to 100"):
        built("mnist+fsdd", digits_root, pairs=101)


def test_the_class_of_digit_sum_is_what_both_say_together(digits_root: Path) -> None:
    frame = built("digit-sum", digits_root, pairs=60)
    digits = {split: mnist.read(str(digits_root), part)[1] for split, part in (("train", "train"), ("test", "test"))}
    pairs = pd.read_csv(Path(frame["folder"][0]) / "pairs.csv")
    heard = pairs["recording"].str.extract(r"/(\d)_")[0].astype(int)
    for split in digits:
        rows = (pairs["split"] == split).to_numpy()
        seen = digits[split][pairs["mnist_index"][rows]]
        assert frame["label"][rows].tolist() == ((seen + heard[rows]) % 10).tolist()
        assert len(set((seen - heard[rows]) % 10)) > 1  # any sound goes with any image


def test_avmnist_takes_the_first_pairs_as_they_are(digits_root: Path, small_avmnist: None) -> None:
    whole, some = built("avmnist", digits_root), built("avmnist", digits_root, pairs=20)
    assert some["split"].value_counts()["train"] == 20
    kept = whole[whole["image"].isin(some["image"])].reset_index(drop=True)
    assert kept.drop(columns="folder").equals(some.drop(columns="folder"))
    one, other = (soundfile.read(Path(f["folder"][0]) / f["audio"][3])[0] for f in (kept, some))
    assert np.array_equal(one, other)
    with pytest.raises(SourceError, match="--pairs is 0"):
        built("avmnist", digits_root, pairs=0)


def test_pairs_are_the_same_to_the_byte_wherever_they_are_built(
    digits_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = dataset("mnist+fsdd", SourceOptions(root=str(digits_root), pairs=30)).parent
    write_mnist(tmp_path / "elsewhere" / "mnist")
    write_fsdd(tmp_path / "elsewhere" / "fsdd" / "recordings")
    monkeypatch.setenv("SIGHTSOUND_CACHE", str(tmp_path / "cache"))
    there = dataset("mnist+fsdd", SourceOptions(root=str(tmp_path / "elsewhere"), pairs=30)).parent
    assert (here / "pairs.csv").read_bytes() == (there / "pairs.csv").read_bytes()
    for file in pd.read_csv(here / "table.csv")["image"]:
        assert (here / file).read_bytes() == (there / file).read_bytes()


@pytest.fixture
def small_avmnist(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in {"TRAIN": 100, "VAL": 10, "TEST": 20, "CHUNK": 16}.items():
        monkeypatch.setattr(avmnist, name, count)


def test_avmnist_is_whole_and_in_step(digits_root: Path, small_avmnist: None) -> None:
    frame = built("avmnist", digits_root)
    folder = Path(frame["folder"][0])
    assert frame["split"].value_counts().to_dict() == {"train": 100, "test": 20, "val": 10}
    pairs = pd.read_csv(folder / "pairs.csv")
    assert (pairs["recording"].str[0].astype(int) == frame["label"]).all()
    assert (pairs["label"] == frame["label"]).all()
    for part, count in (("train", 110), ("test", 20)):
        rows = pairs["part"] == part
        spectra = np.load(folder / "audio" / f"{part}_data.npy")
        assert spectra.shape == (count, 112, 112) and spectra.dtype == np.uint8
        assert np.load(folder / f"{part}_labels.npy").tolist() == frame["label"][rows].tolist()
        pixels = np.load(folder / "image" / f"{part}_data.npy")
        for i, (image, sound) in enumerate(zip(frame["image"][rows], frame["audio"][rows], strict=True)):
            assert np.array_equal(np.asarray(Image.open(folder / image)).ravel(), pixels[i])
            wave, rate = soundfile.read(folder / sound, dtype="int16")
            assert rate == 8000 and np.array_equal(avmnist.spectrograms(wave[None])[0], spectra[i])
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert json.loads((folder / "facts.json").read_text())["snr_db"] == list(avmnist.SNR_DB)


def test_avmnist_does_not_depend_on_order_or_chunks(
    digits_root: Path, small_avmnist: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = avmnist.pair(SourceOptions(root=str(digits_root)))
    whole = np.concatenate([waves for _, waves in avmnist.rendered(pairs, 0, (-6, 2))])
    monkeypatch.setattr(avmnist, "CHUNK", 7)
    backwards = pairs.iloc[::-1].reset_index(drop=True)
    again = np.concatenate([waves for _, waves in avmnist.rendered(backwards, 0, (-6, 2))])
    assert np.array_equal(whole, again[::-1])
    assert len(np.unique(whole, axis=0)) == len(pairs)


def test_avmnist_noise_is_as_loud_as_asked(digits_root: Path, small_avmnist: None) -> None:
    pairs = avmnist.pair(SourceOptions(root=str(digits_root)))
    waves = {}
    for snr in (60.0, 0.0):
        waves[snr] = np.concatenate([part for _, part in avmnist.rendered(pairs, 0, (snr, snr))]).astype(float)
    clean, noisy = waves[60.0], waves[0.0]
    found = []
    for quiet, loud in zip(clean, noisy, strict=True):
        scale = quiet @ loud / (quiet @ quiet)  # the noise does not know the word
        word = quiet * scale
        spoken = np.abs(quiet) > 0.02 * np.abs(quiet).max()
        found.append(10 * np.log10(np.mean(word[spoken] ** 2) / np.mean((loud - word) ** 2)))
    assert abs(np.mean(found)) < 0.5  # in single pairs a babble of the same pitch is taken for the word


def test_a_spectrogram_by_hand() -> None:
    time = np.arange(8000) / 8000
    tone = np.rint(20000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    frames = avmnist.spectrograms(tone[None])[0]
    assert (frames.argmax(1) == round(1000 * 222 / 8000)).all() and frames.max() == 255
    assert frames[:, 100].max() < 100


@needs_real_data
def test_the_real_files_are_read() -> None:
    images, labels = mnist.read(str(REAL), "train")
    assert images.shape == (60_000, 28, 28) and np.bincount(labels).tolist()[:2] == [5923, 6742]
    frame = fsdd.read(SourceOptions(root=str(REAL)))
    assert len(frame) == 2500 and frame["split"].value_counts().to_dict() == {"train": 2000, "test": 250, "val": 250}
    pixels = avmnist.blurred(SourceOptions(root=str(REAL)))["test"]
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert digest == "faef7ac46fca455ee53c9918af2047ea02819830691b613d61a3679bb5d0b3da"  # on every computer


def test_avmnist_is_what_earlier_loaders_take(digits_root: Path, small_avmnist: None) -> None:
    folder = Path(built("avmnist", digits_root)["folder"][0])
    for part, count in (("train", 110), ("test", 20)):
        image = np.load(folder / "image" / f"{part}_data.npy")
        audio = np.load(folder / "audio" / f"{part}_data.npy")
        labels = np.load(folder / f"{part}_labels.npy").astype(int)
        assert image.dtype == np.float32 and 1 < image.max() <= 255 and image.min() >= 0
        image /= 255.0  # in place, as they do
        audio = audio / 255.0
        image, audio = image.reshape(count, 28, 28), np.expand_dims(audio, 1)
        assert image.max() <= 1 and audio.shape == (count, 1, 112, 112) and audio.max() == 1
        rows = [[x[i] for x in (image, audio, labels)] for i in range(count)]
        if part == "train":
            assert len(rows[:100]) == 100 and len(rows[100:]) == 10  # 55,000 and 5,000 of all
            frame = built("avmnist", digits_root)
            assert [row[2] for row in rows] == frame["label"][frame["split"] != "test"].tolist()


@pytest.mark.parametrize("name", ["mnist", "fsdd", "speech-commands"])
def test_a_folder_with_other_files_is_told_what_was_looked_for_and_what_is_there(tmp_path: Path, name: str) -> None:
    for i in range(7):
        (tmp_path / f"holiday-{i}.jpg").touch()
    with pytest.raises(SourceError) as caught:
        dataset(name, SourceOptions(root=str(tmp_path)))
    wanted = {"mnist": "train-images-idx3-ubyte", "fsdd": ".wav", "speech-commands": "testing_list.txt"}[name]
    said = str(caught.value)
    assert wanted in said and str(tmp_path) in said and "holiday-0.jpg" in said and "and 2 more" in said
