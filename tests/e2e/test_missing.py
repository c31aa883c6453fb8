"""Policies for what is missing or damaged, as typed: what is left out, repaired, filled in, and what is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import sightsound as ss
from sightsound.types import POLICIES
from tests.conftest import RATE, write_table

Run = tuple[Path, Path]  # a table, and a run on it
SHORT = ("--epochs", 2, "--batch-size", 16)


@pytest.fixture
def holed(trained: Run, tmp_path: Path) -> pd.DataFrame:
    """Six rows of the table that was trained on: the second lacks its sound, the third its image."""
    frame = pd.read_csv(trained[0]).head(6)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    frame.loc[1, "audio"] = frame.loc[2, "image"] = ""
    return frame


def answers(typed, bundle: Path, table: Path, *options: object) -> list[dict]:
    done = typed("predict", bundle, table, "--format", "json", *options)
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def damage(folder: Path, frame: pd.DataFrame) -> None:
    """Gives the first row a sound with a drop-out and an image with transparent pixels."""
    samples, rate = soundfile.read(frame.loc[0, "audio"])
    samples[800:1200] = 0
    soundfile.write(folder / "damaged.wav", samples, rate)
    grey = Image.open(frame.loc[0, "image"])
    opaque = np.full((16, 16), 255, np.uint8)
    opaque[::2, ::3] = 0
    grey.putalpha(Image.fromarray(opaque))
    grey.save(folder / "damaged.png")
    frame.loc[0, ["image", "audio"]] = [str(folder / "damaged.png"), str(folder / "damaged.wav")]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_predicts(policy: str, typed, trained: Run, holed: pd.DataFrame, tmp_path: Path) -> None:
    damage(tmp_path, holed)
    holed.to_csv(tmp_path / "t.csv", index=False)
    found = answers(typed, trained[1] / "bundle", tmp_path / "t.csv", "--missing", policy)
    assert len(found) == 6
    repaired = [one.get("imputed", {}) for one in found]
    if policy == "drop":
        assert "audio is missing, and the policy is drop" in found[1]["error"] and "image" in found[2]["error"]
    elif policy in ("linear", "gaussian"):
        assert repaired[0]["audio"]["share"] == pytest.approx(400 / 2400, abs=0.001)
        assert repaired[0]["image"]["share"] == pytest.approx(48 / 256)
        assert (repaired[0]["audio"]["uncertainty"] is None) == (policy == "linear")
        assert repaired[1:] == [{}] * 5
    elif policy != "ignore":
        assert repaired[1]["audio"] | {"uncertainty": 0} == {"policy": policy, "share": 1.0, "uncertainty": 0}
        assert 0 <= repaired[2]["image"]["uncertainty"] <= 1 and not repaired[3]
    if policy in ("ignore", "drop"):
        assert not any(repaired)
    assert [one["label"] for one in found[3:]] == holed["label"].tolist()[3:]


def test_each_modality_can_have_its_own(typed, trained: Run, holed: pd.DataFrame, tmp_path: Path) -> None:
    holed.to_csv(tmp_path / "t.csv", index=False)
    found = answers(typed, trained[1] / "bundle", tmp_path / "t.csv", "--missing.audio", "mean", "--missing.image=drop")
    assert list(found[1]["imputed"]) == ["audio"] and "error" in found[2]
    table = typed("predict", trained[1] / "bundle", tmp_path / "t.csv", "--missing", "predict")
    assert "audio imputed" in table.out and "image uncertainty" in table.out and "audio policy" in table.out
    done = typed("predict", trained[1] / "bundle", tmp_path / "t.csv", "--missing", "gausian")
    assert done.code == 1 and "Did you mean 'gaussian'?" in done.err


def test_evaluation_counts_what_is_left_out(typed, trained: Run, holed: pd.DataFrame, tmp_path: Path) -> None:
    holed.to_csv(tmp_path / "t.csv", index=False)
    done = typed("evaluate", trained[1] / "bundle", tmp_path / "t.csv", "--missing", "drop")
    assert done.code == 0 and "2 row(s) without all modalities are left out" in done.out and "as given" not in done.out
    assert "as given" in typed("evaluate", trained[1] / "bundle", tmp_path / "t.csv", "--missing", "predict").out


@pytest.mark.parametrize("policy", ["drop", "gaussian", "predict"])
def test_training_under_a_policy(policy: str, typed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", rows_per_class=30)
    frame = pd.read_csv(table, keep_default_na=False)
    frame.loc[::6, "audio"] = ""
    frame.to_csv(table, index=False)
    done = typed("train", table, "--missing", policy, "--out", tmp_path / "run", *SHORT)
    assert done.code == 0, done.err
    assert ("15 row(s) without all modalities are left out" in done.out) == (policy == "drop")
    classifier = ss.load(tmp_path / "run" / "bundle")
    assert classifier.config.missing.audio == policy
    if policy == "drop":
        with pytest.raises(ss.SightsoundError, match="audio is missing, and the policy is drop"):
            classifier.predict(image=tmp_path / "data" / "low-1.png")
    else:
        alone = classifier.predict(image=tmp_path / "data" / "low-1.png")
        assert ("audio" in alone.imputed) == (policy == "predict")


def test_too_few_complete_rows_are_counted(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table, keep_default_na=False)
    frame.loc[::10, "audio"] = ""
    frame.to_csv(table, index=False)
    done = typed("train", table, "--missing", "predict", "--out", tmp_path / "run", *SHORT)
    assert done.code == 1 and "and it needs 40" in done.err
    assert typed("train", table, "--out", tmp_path / "small", *SHORT).code == 0
    image = table.parent / "low-0.png"
    done = typed("predict", tmp_path / "small" / "bundle", "--image", image, "--missing", "predict")
    assert done.code == 1 and "has no imputer of it" in done.err and "40" in done.err


def test_masks_say_where_the_damage_is(typed, trained: Run, holed: pd.DataFrame, tmp_path: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[:4] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(mask[:, :9]).save(tmp_path / "narrow.png")
    pd.DataFrame({"start_seconds": [0.05], "end_seconds": [0.08]}).to_csv(tmp_path / "mask.csv", index=False)
    pd.DataFrame({"start_seconds": [0.2], "end_seconds": [0.1]}).to_csv(tmp_path / "turned.csv", index=False)
    holed["image_mask"] = ["mask.png", "", "", "narrow.png", "", ""]
    holed["audio_mask"] = ["mask.csv", "", "gone.csv", "", "turned.csv", "mask.png"]
    holed.to_csv(tmp_path / "t.csv", index=False)
    found = answers(typed, trained[1] / "bundle", tmp_path / "t.csv", "--missing", "linear")
    assert found[0]["imputed"]["image"]["share"] == 0.25
    assert found[0]["imputed"]["audio"]["share"] == pytest.approx(0.1)
    assert "low-2.wav does not exist" in found[2]["error"]
    narrow = found[3]["errors"]["image"]
    assert "the mask has 9 x 16 pixels, and its image" in narrow and "16 x 16" in narrow
    assert "a gap from 0.2 to 0.1 s" in found[4]["errors"]["audio"] and found[4]["present"] == ["image"]
    assert "start_seconds and end_seconds" in found[5]["errors"]["audio"]


def test_all_nan_is_missing_and_not_damaged(typed, trained: Run, holed: pd.DataFrame, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.full(2400, np.nan), RATE, subtype="FLOAT")
    holed.loc[[3, 2], "audio"] = str(tmp_path / "nan.wav")
    holed.to_csv(tmp_path / "t.csv", index=False)
    found = answers(typed, trained[1] / "bundle", tmp_path / "t.csv", "--missing", "linear")
    assert found[3]["present"] == ["image"] and list(found[3]["per_modality"]) == ["image"]
    assert found[2]["error"] == "nothing is left of its files"  # its image is missing too
    single = ss.load(trained[1] / "bundle").predict(
        image=holed.loc[3, "image"], audio=tmp_path / "nan.wav", missing="linear"
    )
    assert single.present == ("image",) and single.label == found[3]["label"]
    with pytest.raises(ss.SightsoundError, match="not a number"):
        ss.load(trained[1] / "bundle").predict(audio=tmp_path / "nan.wav", missing="linear")


def test_arrays_are_repaired_too(trained: Run) -> None:
    classifier = ss.load(trained[1] / "bundle")
    pixels = np.asarray(Image.open(trained[0].parent / "low-0.png"))
    samples, rate = soundfile.read(trained[0].parent / "low-0.wav", dtype="float32")
    clean = classifier.predict(pixels, (samples, rate), missing="linear")
    assert not clean.imputed and clean.probabilities == classifier.predict(pixels, (samples, rate)).probabilities
    damaged, alpha = samples.copy(), np.full_like(pixels, 255)
    damaged[500:510], alpha[:8] = np.nan, 0
    with pytest.raises(ss.SightsoundError, match="the first at 500"):
        classifier.predict(audio=(damaged, rate))
    found = classifier.predict(np.dstack([pixels] * 3 + [alpha]), (damaged, rate), missing="gaussian")
    assert found.imputed["image"].share == 0.5 and found.imputed["audio"].share == pytest.approx(10 / 2400)
    for wrong in (pixels.astype(float), pixels[None, None]):
        with pytest.raises(ss.SightsoundError, match="an image is"):
            classifier.predict(wrong, missing="gaussian")
    with pytest.raises(ss.SightsoundError, match="a sound is"):
        classifier.predict(audio=(np.arange(9), rate), missing="gaussian")


@pytest.mark.parametrize("policy", ["linear", "gaussian"])
def test_a_missing_modality_lies_between_its_neighbours(
    policy: str, typed, trained: Run, holed: pd.DataFrame, tmp_path: Path
) -> None:
    series = holed.assign(group="film", time=[3, 2, 9, 4, 1, 7.5]).sort_values("label", kind="stable")
    series.to_csv(tmp_path / "t.csv", index=False)
    found = answers(typed, trained[1] / "bundle", tmp_path / "t.csv", "--missing", policy)
    assert found[1]["imputed"]["audio"]["share"] == 1.0 and found[1]["imputed"]["audio"]["policy"] == policy
    assert found[2]["imputed"]["image"]["share"] == 1.0
    assert [one["label"] for one in found] == series["label"].tolist()
    evaluated = typed("evaluate", trained[1] / "bundle", tmp_path / "t.csv", "--missing", policy)
    assert evaluated.code == 0, evaluated.err


def test_groups_that_alternate_are_evaluated_as_they_are_predicted(trained: Run, tmp_path: Path) -> None:
    frame = pd.read_csv(trained[0]).groupby("label").head(4).assign(group=["a", "b"] * 6, time=range(12))
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    frame.loc[frame.index[::3], "label"] = "low"  # so that some are wrong, and it counts which
    frame.to_csv(tmp_path / "t.csv", index=False)
    classifier = ss.load(trained[1] / "bundle")
    numbers = classifier.evaluate(tmp_path / "t.csv", missing="linear")["subsets"]["image+audio"]
    found = classifier.predict_table(tmp_path / "t.csv", missing="linear")
    right = (found["predicted"] == found["label"]).to_numpy()
    assert numbers["accuracy"] == np.mean(right) < 1
    assert numbers["calibration_error"] <= 1


def test_times_that_cannot_order(typed, trained: Run, holed: pd.DataFrame, tmp_path: Path) -> None:
    wrong = {
        "rows 1 and 4: the same time stands twice": {"time": [1, 2, 3, 1, 5, 6], "group": "film"},
        "row 3: the time 'noon' is no number": {"time": [1, 2, "noon", 4, 5, 6], "group": "film"},
        "row 2: the time '2' has no group": {"time": [1, 2, 3, 4, 5, 6], "group": ["film", "", *["film"] * 4]},
    }
    for reason, columns in wrong.items():
        holed.assign(**columns).to_csv(tmp_path / "t.csv", index=False)
        done = typed("predict", trained[1] / "bundle", tmp_path / "t.csv", "--missing", "linear")
        assert done.code == 1 and reason in done.err, done.err
        assert typed("predict", trained[1] / "bundle", tmp_path / "t.csv").code == 0  # where nobody asks for the time


def test_a_policy_of_ones_own_as_the_documentation_shows_it(
    typed, trained: Run, holed: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    given = ("train", trained[0], "--missing.audio", "mine.Linear", "--out", "run", *SHORT)
    done = typed(*given)
    assert done.code == 1 and "No module named 'mine'" in done.err and "in the current folder" in done.err
    assert not Path("run", "checkpoints").exists()  # before the training, not after it
    text = (Path(ss.__file__).parents[1] / "docs" / "missing.md").read_text()
    Path("mine.py").write_text(text.split("```python\n")[1].split("```")[0])
    done = typed(*given)
    assert done.code == 0, done.err
    holed.to_csv("t.csv", index=False)
    repaired = answers(typed, Path("run", "bundle"), Path("t.csv"))[1]["imputed"]["audio"]
    assert repaired["policy"] == "mine.Linear" and repaired["share"] == 1
    assert "image" not in answers(typed, Path("run", "bundle"), Path("t.csv"))[2].get("imputed", {})
    sys.modules.pop("mine")
