"""Long sounds, videos and Hugging Face data sets, from files to predictions, as a user would type it."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import sightsound as ss
from tests.conftest import CLASSES, RATE, write_image, write_table

TRAIN = ["--epochs", "60", "--batch-size", "16"]


def tones(labels: list[str], seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(0)
    return np.concatenate([0.5 * np.sin(2 * np.pi * CLASSES[label] * time) for label in labels]) + rng.normal(
        0, 0.02, len(time) * len(labels)
    )


@pytest.fixture(scope="module")
def long_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each row has an image and a sound of 1.2 s, four clips of 0.3 s."""
    table = write_table(tmp_path_factory.mktemp("long") / "data")
    for file in table.parent.glob("*.wav"):
        soundfile.write(file, tones([file.name.split("-")[0]] * 4, 0.3), RATE)
    return table


def test_a_long_sound_is_answered_clip_by_clip(typed, long_table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    clips = ["--audio.clip-seconds", "0.3", "--audio.step-seconds", "0.3"]
    assert typed("train", long_table, "--out", run, *clips, "--epochs", "15").code == 0
    splits = pd.read_csv(run / "splits.csv")
    assert len(splits) == 240 and (splits.groupby("row")["split"].nunique() == 1).all()
    assert (
        len(pd.read_csv(run / "predictions.csv"))
        == json.loads((run / "bundle" / "metrics.json").read_text())["rows"]
        == (splits[splits["split"] == "test"]["row"].nunique())
    )
    soundfile.write(tmp_path / "changing.wav", tones(["low", "high", "high"], 0.3), RATE)
    said = json.loads(typed("predict", run / "bundle", "--audio", tmp_path / "changing.wav", "--format", "json").out)
    assert [clip["label"] for clip in said["clips"]] == ["low", "high", "high"]
    assert [clip["start_seconds"] for clip in said["clips"]] == pytest.approx([0, 0.3, 0.6])
    assert [clip["end_seconds"] for clip in said["clips"]] == pytest.approx([0.3, 0.6, 0.9])
    mean = np.mean([clip["probabilities"]["high"] for clip in said["clips"]])
    assert said["label"] == "high" and said["probabilities"]["high"] == pytest.approx(mean)
    shown = typed("predict", run / "bundle", "--audio", tmp_path / "changing.wav").out
    assert "0.3" in shown and shown.count("high") >= 3
    classifier = ss.load(run / "bundle")
    whole = classifier.predict_table(long_table)
    assert whole["start_seconds"].isna().sum() == 60 and (whole["row"].value_counts() == 5).all()
    one = classifier.predict(image=long_table.parent / "low-0.png", audio=long_table.parent / "low-0.wav")
    assert whole.loc[0, "p_low"] == pytest.approx(one.probabilities["low"], abs=1e-5)
    assert classifier.evaluate(long_table)["rows"] == 60
    typed("predict", run / "bundle", long_table, "--out", tmp_path / "said.csv")
    frame = pd.read_csv(tmp_path / "said.csv")
    assert len(frame) == 60 * 5 and frame["start_seconds"].isna().sum() == 60


def write_video(path: Path, label: str, seconds: float, sound: bool = True, pictures: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10) if pictures else None
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        if video:
            video.width = video.height = 16
            for i in range(int(seconds * 10)):
                write_image(path.with_suffix(".png"), label, rng)
                grey = np.asarray(Image.open(path.with_suffix(".png")))
                frame = av.VideoFrame.from_ndarray(np.repeat(grey[:, :, None], 3, 2), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 10)
                container.mux(video.encode(frame))
            container.mux(video.encode())
            path.with_suffix(".png").unlink()
        if audio:
            frame = av.AudioFrame.from_ndarray(tones([label], seconds).astype(np.float32)[None], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            container.mux(audio.encode(frame))
            container.mux(audio.encode())


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for label in CLASSES:
        for i in range(4):
            write_video(folder / label / f"{i}.mp4", label, seconds=1.5)
    return folder


def test_videos_become_rows_of_one_group_and_train(typed, videos: Path, tmp_path: Path) -> None:
    built = typed("data", "build", "video", "--root", videos, "--every", "0.5")
    assert built.code == 0, built.err
    frame = pd.read_csv(built.out.strip())
    assert len(frame) == 36 and frame["group"].nunique() == 12
    assert frame["time"].tolist()[:3] == [0, 0.5, 1.0]
    sound, rate = soundfile.read(Path(built.out.strip()).parent / frame["audio"][1])
    assert rate == RATE and len(sound) == pytest.approx(0.5 * RATE, abs=2)
    assert typed("train", "video", "--root", videos, "--every", "0.5", "--out", tmp_path / "run", *TRAIN).code == 0
    whole = typed("data", "build", "video", "--root", videos)
    assert len(pd.read_csv(whole.out.strip())) == 12


def test_videos_without_sound_without_pictures_and_broken_ones(typed, videos: Path, tmp_path: Path) -> None:
    root = tmp_path / "odd"
    write_video(root / "low" / "silent.mp4", "low", 1.0, sound=False)
    write_video(root / "low" / "blind.mp4", "low", 1.0, pictures=False)
    (root / "high").mkdir()
    (root / "high" / "cut.mp4").write_bytes((videos / "high" / "0.mp4").read_bytes()[:900])
    (root / "high" / "text.mkv").write_text("not a video")
    (root / "high" / "empty.webm").write_bytes(b"")
    refused = typed("data", "build", "video", "--root", root)
    assert refused.code == 1 and "3 of 5 videos cannot be read" in refused.err and "text.mkv" in refused.err
    built = typed("data", "build", "video", "--root", root, "--on-bad-file", "skip")
    frame = pd.read_csv(built.out.strip(), keep_default_na=False)
    assert frame[["image", "audio"]].ne("").to_numpy().tolist() == [[False, True], [True, False]]
    assert "extra" not in built.err and typed("data", "build", "video").code == 1


def write_hub(folder: Path, table: Path, leave_out: str = "") -> Path:
    import datasets  # here, since most workers need it not

    frame = pd.read_csv(table)
    names = sorted(CLASSES)
    columns = {
        "picture": [str(table.parent / file) for file in frame["image"]],
        "sound": [{"bytes": (table.parent / file).read_bytes(), "path": file} for file in frame["audio"]],
        "kind": [names.index(label) for label in frame["label"]],
    }
    features = {"picture": datasets.Image(), "sound": datasets.Audio(), "kind": datasets.ClassLabel(names=names)}
    columns.pop(leave_out, None)
    rows = datasets.Dataset.from_dict(columns)
    for column in rows.column_names:  # encoding sounds would need torchcodec, casting encoded ones does not
        rows = rows.cast_column(column, features[column])
    datasets.DatasetDict({"train": rows}).save_to_disk(folder)
    return folder


def test_a_hub_data_set_trains(typed, table: Path, tmp_path: Path) -> None:
    folder = write_hub(tmp_path / "hub", table)
    done = typed("train", f"hub:{folder}", "--out", tmp_path / "run", *TRAIN)
    assert done.code == 0, done.err
    assert ss.load(tmp_path / "run" / "bundle").classes_.tolist() == sorted(CLASSES)


def test_hub_data_sets_without_sound_without_label_and_missing(typed, table: Path, tmp_path: Path) -> None:
    silent = typed("data", "build", f"hub:{write_hub(tmp_path / 'silent', table, 'sound')}")
    assert silent.code == 0 and "has no audio column" in silent.err and "kind (ClassLabel)" in silent.err
    nameless = typed("data", "build", f"hub:{write_hub(tmp_path / 'nameless', table, 'kind')}")
    assert nameless.code == 1 and "no column of classes" in nameless.err
    missing = typed("data", "build", f"hub:{tmp_path}/nothing")
    assert missing.code == 1 and "cannot be loaded" in missing.err and "Traceback" not in missing.err


def test_list_show_and_clean(typed, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.data.sources.digits.ROWS_PER_IMAGE", 1)
    listed = typed("data", "list").out
    assert "mnist+speech-commands" in listed and "hub:OWNER/NAME" in listed
    assert "SHA" not in typed("data", "show", "mnist").out and "not here" in typed("data", "show", "mnist").out
    name = Path(typed("data", "build", "digits", "--seed", "5").out.strip()).parent.name
    assert name in typed("data", "clean").out
    assert typed("data", "clean", name).out.startswith(f"removed {name}")
    assert name not in typed("data", "clean").out and not (cache / "data" / name).exists()
    assert typed("data", "clean", "nothing").code == 1
    assert typed("data", "fetch").code == 2
    assert "Did you mean 'avmnist'" in typed("data", "show", "avmnst").err
