"""What a small file costs: memory is bounded by what is asked for, not by what a file unpacks to."""

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sightsound as ss
from sightsound.config import Config
from sightsound.data.clips import MOST_CLIPS, clip_starts, cut_into_clips
from sightsound.data.decode import given_rows
from sightsound.data.files import read_audio, read_image
from sightsound.data.interpolated import read_interpolated_image
from sightsound.data.prepared.reading import OpenSounds
from sightsound.data.table import read_table
from sightsound.errors import ConfigError, TableError
from tests.data.sounds import noise, sound
from tests.processes import python

RATE = 8000
MEASURED = """
import resource, sys
from PIL import Image
from sightsound.data.files import read_image
from sightsound.data.interpolated import read_interpolated_image
Image.MAX_IMAGE_PIXELS = None
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
read_image(sys.argv[1], 64, 64, 3)
print(peak() - before)
read_interpolated_image(sys.argv[1], 64, 64, 3, "linear")
print(peak() - before)
"""


@pytest.mark.parametrize("mode", ["RGBA", "I;16"])
def test_a_large_picture_takes_little_more_than_its_pixels(mode: str, tmp_path: Path) -> None:
    side = 5000
    image = Image.new(mode, (side, side), (10, 200, 30, 128) if mode == "RGBA" else 40_000)
    image.paste(Image.new(mode, (side, side // 3), (90, 20, 30, 0) if mode == "RGBA" else 20_000))
    image.save(tmp_path / "large.png", compress_level=1)
    done = python("-c", MEASURED, tmp_path / "large.png")
    assert done.returncode == 0, done.stderr
    pixels = side * side * (4 if mode == "RGBA" else 2) / 2**20
    for peak in map(float, done.stdout.split()):  # of reading, and of reading with damaged parts interpolated
        assert peak < pixels + 120, f"MB, of which the pixels are {pixels:.0f}"


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1", "CMYK", "I;16", "I", "F"])
def test_a_large_picture_looks_like_a_small_one(mode: str) -> None:
    ramp = np.add.outer(np.arange(2100), np.arange(2400)) * (255 / 4500)
    deep = {"I;16": (ramp * 257).astype(np.uint16), "I": (ramp * 257).astype(np.int32), "F": ramp.astype(np.float32)}
    grey = Image.fromarray(ramp.astype(np.uint8))
    image = Image.fromarray(deep[mode]) if mode in deep else grey.convert(mode)
    wanted = read_image(grey, 32, 40, 1).astype(int)
    assert np.abs(read_image(image, 32, 40, 1) - wanted).max() <= (60 if mode == "1" else 3)
    repaired = read_interpolated_image(image, 32, 40, 1, "linear")
    assert np.abs(repaired[1:-1, 1:-1] - wanted[1:-1, 1:-1]).max() <= (60 if mode == "1" else 6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("side", [40, 2100])
def test_repair_turns_pictures_and_masks_as_reading_does(side: int, orientation: int, tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(side) * 2, np.arange(side + side // 4)) * (230 / (3.25 * side)) + 10
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    plain = read_image(tmp_path / "a.png", 20, 20, 1).astype(int)
    height, width = (side + side // 4, side)[:: 1 if orientation >= 5 else -1]
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 4, : width // 4] = 255  # of the upright picture
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for path in ("", str(tmp_path / "mask.png")):
        found = read_interpolated_image(tmp_path / "a.png", 20, 20, 1, "linear", path).astype(int)
        differs = np.abs(found - plain) > 6
        assert not differs[6:].any() and not differs[:, 6:].any()
        assert differs.any() == bool(path)


def long_config(step: float) -> Config:
    plain = Config(modalities=("audio",))
    audio = dataclasses.replace(plain.audio, sample_rate_hz=RATE, clip_seconds=1.0, step_seconds=step)
    return dataclasses.replace(plain, audio=audio)


def test_clips_are_decoded_when_their_batch_is_asked_for() -> None:
    content = sound(noise(240, RATE), RATE, "FLAC")
    with given_rows(long_config(0.05), {"audio": content}) as rows:
        assert len(rows) == 4781
        tracemalloc.start()
        for start in range(0, len(rows), 256):
            batch = rows[list(range(start, min(start + 256, len(rows))))]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 6 * 256 * RATE * 4 < len(rows) * RATE * 4 / 2
    wanted = read_audio(content, RATE, 1.0, start_seconds=rows.starts[-1])
    np.testing.assert_array_equal(batch.inputs["audio"][-1].numpy(), wanted)


def test_a_sound_of_many_batches_is_answered_as_in_a_table(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ss.load(trained[1] / "bundle")
    audio = dataclasses.replace(whole.config.audio, clip_seconds=0.3, step_seconds=0.02)
    classifier = ss.Classifier(whole.network, dataclasses.replace(whole.config, audio=audio), whole.classes_.tolist())
    (tmp_path / "a.flac").write_bytes(sound(noise(8, RATE), RATE, "FLAC"))
    one = classifier.predict(audio=tmp_path / "a.flac")
    monkeypatch.setattr("sightsound.data.prepared.store.MEMORY_BYTES", 1)
    [answers] = classifier.predict_parts(
        classifier.rows_to_predict(pd.DataFrame({"audio": [str(tmp_path / "a.flac")]}))
    )
    row = answers[1]
    assert len(one.clips) == len(row.clips) == 386
    assert one.probabilities == pytest.approx(row.probabilities, abs=1e-5)
    assert [clip.label for clip in one.clips] == [clip.label for clip in row.clips]


def test_more_clips_than_can_be_answered_name_the_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--audio.step-seconds"):
        clip_starts(MOST_CLIPS + 10.0, 1.0, 1.0)
    table = read_table(pd.DataFrame({"audio": ["a.wav", "b.wav"], "label": ["x", "y"]}))
    with pytest.raises(TableError, match=r"row 2: b.wav: .*--audio.step-seconds"):
        cut_into_clips(table, "audio", np.array([1.0, 1e9]), 1.0, 0.1)


def test_sounds_that_stay_open_are_few_and_with_one_reader_each(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.wav" for i in range(6)]
    for path in paths:
        path.write_bytes(sound(noise(1, RATE), RATE))
    open_sounds = OpenSounds(most=3)
    first, second = open_sounds.take(str(paths[0])), open_sounds.take(str(paths[0]))
    assert first is not second
    open_sounds.leave(str(paths[0]), first, goes_on=True)
    assert open_sounds.take(str(paths[0])) is first
    open_sounds.leave(str(paths[0]), first, goes_on=True)
    paths[0].write_bytes(sound(noise(2, RATE), RATE))  # another file under the same name
    again = open_sounds.take(str(paths[0]))
    assert again is not first and again.seconds == 2
    for one in (second, again):
        open_sounds.leave(str(paths[0]), one, goes_on=True)
    for path in paths[1:]:
        open_sounds.leave(str(path), open_sounds.take(str(path)), goes_on=True)
        assert len(open_sounds.left) <= 3
    open_sounds.close()
    assert not open_sounds.left
