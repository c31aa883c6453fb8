"""The classifier in Python: files, bytes, arrays and tables, whole or in part."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from PIL import Image

import sightsound as ss
from sightsound.data.table import Rejected
from sightsound.errors import ConfigError, FileError, TableError
from sightsound.inference.prediction import abstain
from sightsound.types import Prediction


@pytest.fixture(scope="module")
def classifier(trained: tuple[Path, Path]) -> ss.Classifier:
    return ss.load(trained[1] / "bundle")


@pytest.fixture(scope="module")
def files(trained: tuple[Path, Path]) -> tuple[Path, Path]:
    return trained[0].parent / "high-3.png", trained[0].parent / "high-3.wav"


def test_path_bytes_and_array_agree(classifier: ss.Classifier, files: tuple[Path, Path]) -> None:
    image, audio = files
    by_path = classifier.predict(image=image, audio=audio)
    by_bytes = classifier.predict(image=image.read_bytes(), audio=audio.read_bytes())
    samples, rate = soundfile.read(audio, dtype="float32")
    by_array = classifier.predict(image=np.asarray(Image.open(image)), audio=(samples, rate))
    assert by_path.label == "high"
    assert by_path.probabilities == by_bytes.probabilities == by_array.probabilities
    assert sum(by_path.probabilities.values()) == pytest.approx(1)
    assert by_path.source == {"image": str(image), "audio": str(audio)}
    assert by_bytes.source == {"image": "bytes", "audio": "bytes"}


def test_what_python_holds_is_answered_as_its_file(classifier: ss.Classifier, files: tuple[Path, Path]) -> None:
    image, audio = files
    by_path = classifier.predict(image=image, audio=audio)
    samples, rate = soundfile.read(audio, dtype="int16")
    pixels = torch.from_numpy(np.asarray(Image.open(image)).copy())
    for picture, sound in (
        (Image.open(image), (samples, rate)),
        (image.open("rb"), audio.open("rb")),
        (pixels[None].float() / 255, (torch.from_numpy(samples)[None].float() / 32768, rate)),
        ({"bytes": image.read_bytes(), "path": None}, {"array": samples / 32768, "sampling_rate": rate}),
    ):
        assert classifier.predict(image=picture, audio=sound).probabilities == by_path.probabilities
    with pytest.raises(FileError, match=r"give \(samples, rate_hz\)"):
        classifier.predict(audio=samples)


def test_each_modality_alone(classifier: ss.Classifier, files: tuple[Path, Path]) -> None:
    both = classifier.predict(image=files[0], audio=files[1])
    for modality, file in zip(("image", "audio"), files, strict=True):
        alone = classifier.predict(**{modality: file})
        assert alone.present == (modality,) and set(alone.per_modality) == {modality}
        assert alone.probabilities == pytest.approx(both.per_modality[modality], abs=1e-6)
        assert alone.probabilities == alone.per_modality[modality]


def test_modalities_that_contradict_each_other_disagree(classifier: ss.Classifier, files: tuple[Path, Path]) -> None:
    agreeing = classifier.predict(image=files[0], audio=files[1]).disagreement
    contradicting = classifier.predict(image=files[0], audio=files[1].with_name("low-3.wav")).disagreement
    assert agreeing is not None and contradicting is not None and agreeing < 0.1 < 0.5 < contradicting <= 1
    assert classifier.predict(image=files[0]).disagreement is None


def test_an_answer_that_is_not_sure_enough_is_withheld(classifier: ss.Classifier, files: tuple[Path, Path]) -> None:
    whole = classifier.predict(image=files[0], audio=files[1])
    sure = max(whole.probabilities.values())
    assert classifier.predict(*files, abstain_below=sure).label == "high"
    unsure = whole._replace(probabilities={"high": 0.6, "low": 0.4})
    withheld = unsure._replace(label="", withheld="high")
    assert abstain(unsure, 0.6) == unsure and abstain(unsure, 0.61) == withheld
    with pytest.raises(ConfigError, match="from 0 to 1"):
        classifier.predict(*files, abstain_below=80)


def test_nothing_given_and_a_bad_file(classifier: ss.Classifier, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing was given"):
        classifier.predict()
    with pytest.raises(FileError, match="no such file"):
        classifier.predict(image=tmp_path / "x.png")


def test_a_table_with_gaps_and_bad_rows(classifier: ss.Classifier, trained: tuple[Path, Path], tmp_path: Path) -> None:
    frame = pd.read_csv(trained[0])[:8]
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    (tmp_path / "text.png").write_text("not an image")
    frame.loc[1, "audio"] = ""
    frame.loc[2, ["image", "audio"]] = ""
    frame.loc[3, "image"] = str(tmp_path / "text.png")
    frame.loc[4, ["image", "audio"]] = str(tmp_path / "text.png")
    [results] = classifier.predict_parts(classifier.rows_to_predict(frame.drop(columns="label")))
    rejected = {3: "nothing is left", 5: "holds text"}
    for row, reason in rejected.items():
        assert isinstance(results[row], Rejected) and results[row].row == row and reason in results[row].reason
    assert all(isinstance(result, Prediction) for row, result in results.items() if row not in rejected)
    assert results[2].present == ("image",) and not results[2].errors
    one = classifier.predict(image=frame.loc[0, "image"], audio=frame.loc[0, "audio"])
    assert results[1].probabilities == pytest.approx(one.probabilities, abs=1e-5)
    # a broken image is no reason not to listen
    alone = classifier.predict(audio=frame.loc[3, "audio"])
    assert results[4].present == ("audio",) and results[4].label == alone.label
    assert results[4].probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    assert results[4].errors["image"].startswith(f"{tmp_path / 'text.png'}: this is no image")
    answered = classifier.predict_table(frame)
    assert answered["label"].tolist() == frame["label"].tolist() and answered["row"].tolist() == list(range(1, 9))
    assert "holds text" in answered.loc[3, "image_error"] and answered.loc[3, "predicted"] == alone.label
    assert "holds text" in answered.loc[4, "error"] and answered.loc[4, "predicted"] == ""
    dropping = classifier.predict_table(frame, missing={"image": "drop"})
    assert "holds text" in dropping.loc[3, "error"]


def test_chunks_of_a_table_do_not_change_the_answers(
    classifier: ss.Classifier, trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = classifier.predict_table(trained[0])
    monkeypatch.setattr("sightsound.data.decode.CHUNK_ROWS", 7)
    parts = classifier.predict_table(trained[0])
    pd.testing.assert_frame_equal(whole, parts)


def test_evaluate(classifier: ss.Classifier, trained: tuple[Path, Path]) -> None:
    metrics = classifier.evaluate(trained[0])
    assert metrics["rows"] == 60 and metrics["split"] == "all"
    assert list(metrics["subsets"]) == ["image+audio", "image", "audio"]
    frame = pd.read_csv(trained[0])
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    frame.loc[:9, "audio"] = ""
    frame["split"] = ["test"] * 30 + ["train"] * 30
    metrics = classifier.evaluate(frame)
    assert metrics["split"] == "test"
    rows = {name: numbers["rows"] for name, numbers in metrics["subsets"].items()}
    assert rows == {"image+audio": 20, "as given": 30, "image": 30, "audio": 20}


def test_evaluate_says_which_rows_are_bad(classifier: ss.Classifier, trained: tuple[Path, Path]) -> None:
    frame = pd.read_csv(trained[0])
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    frame.loc[4, "label"] = "purple"
    frame.loc[5, "image"] += ".gone"
    with pytest.raises(TableError, match=r"(?s)2 row\(s\).*row 5: the class 'purple'.*row 6: .*gone: there is no such"):
        classifier.evaluate(frame)
    assert classifier.evaluate(frame, skip_bad_files=True)["rows"] == 58


def test_probabilities_of_a_table(classifier: ss.Classifier, trained: tuple[Path, Path]) -> None:
    assert classifier.classes_.tolist() == ["high", "low", "middle"] and isinstance(classifier.classes_, np.ndarray)
    found = classifier.predict_proba(trained[0])
    assert found.shape == (60, 3) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    answered = classifier.predict_table(trained[0])
    np.testing.assert_allclose(found, answered[[f"p_{label}" for label in classifier.classes_]], rtol=1e-5)
    assert (classifier.classes_[found.argmax(axis=1)] == answered["predicted"]).all()
    # with one modality, which a policy may complete
    frame = pd.DataFrame({"audio": [str(trained[0].parent / "low-3.wav"), str(trained[0].parent / "high-3.wav")]})
    [low, high] = classifier.predict_proba(frame)
    assert low.argmax() == 1 and high.argmax() == 0
    filled = classifier.predict_proba(frame, missing="mean")
    assert not np.allclose(filled, [low, high], atol=1e-6)


def test_probabilities_of_rows_that_cannot_be_used(
    classifier: ss.Classifier, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    frame = pd.read_csv(trained[0])[:4]
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    (tmp_path / "text.png").write_text("not an image")
    frame.loc[1, ["image", "audio"]] = ""
    frame.loc[2, "image"] = str(tmp_path / "text.png")
    with pytest.raises(TableError, match=r"(?s)2 row\(s\).*row 2: .*missing.*row 3: .*text.png.*skip_bad_files=True"):
        classifier.predict_proba(frame)
    found = classifier.predict_proba(frame, skip_bad_files=True)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False, False]
    alone = classifier.predict(audio=frame.loc[2, "audio"]).probabilities
    np.testing.assert_allclose(found[2], [alone[label] for label in classifier.classes_], atol=1e-5)


@pytest.mark.parametrize("device", ["nonsense", "meta", *([] if torch.cuda.is_available() else ["cuda"])])
def test_a_device_that_is_not_there_changes_nothing(trained: tuple[Path, Path], device: str) -> None:
    table, run = trained
    classifier = ss.load(run / "bundle")
    before = classifier.predict(image=table.parent / "low-1.png")
    with pytest.raises(ConfigError, match=f"'{device}' cannot be used"):
        classifier.to(device)
    assert classifier.predict(image=table.parent / "low-1.png") == before
