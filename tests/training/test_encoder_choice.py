"""Encoders that the configuration leaves open: what is tried, which one wins, and what the user is told."""

import re
from pathlib import Path

import pandas as pd
import pytest

import sightsound as ss
from sightsound.encoders import embedded
from sightsound.errors import ConfigError, RunError, TrainingError
from sightsound.modalities.base import modality
from sightsound.training import encoder_trials
from sightsound.training.encoder_choice import FILE, FOLDER, _checked, candidates, choose, in_words, read_candidates
from sightsound.training.encoder_trials import Candidate, Trials
from tests.conftest import write_table

SMALL = Candidate("image", "resnet", False, 0.90, standard_error=0.02, training_rows=9, parameters=10)
LARGE = Candidate("image", "lite0", True, 0.89, standard_error=0.02, training_rows=9, parameters=3000)
QUICK = {"epochs": 8, "batch_size": 16, "image": {"height": 32, "width": 32}}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders are measured, as outside of tests."""
    monkeypatch.setattr("sightsound.training.encoder_choice.candidates", candidates)


def test_within_a_standard_error_the_cheapest_to_train_is_chosen() -> None:
    assert choose([SMALL, LARGE]) is LARGE  # frozen, although larger
    assert choose([SMALL._replace(macro_f1=0.92), LARGE]).encoder == "resnet"  # better by more than an error
    other = LARGE._replace(encoder="speech", parameters=300, macro_f1=0.885)
    assert choose([SMALL, LARGE, other]) is other
    same = [one._replace(macro_f1=0.5) for one in (SMALL, LARGE, other)]
    assert choose(same) == choose(same[::-1]) == same[2]  # all tie


def test_what_cannot_be_used_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    assert [one.encoder for one in candidates("image", ss.ImageConfig())] == ["resnet", "lite0"]
    grey = candidates("image", ss.ImageConfig(channels=1))
    assert grey[0].note == "" and "channels is 1; lite0 takes 3" in grey[1].note
    yamnet = candidates("audio", ss.AudioConfig())[2]
    assert yamnet.encoder == "yamnet" and "sightsound data fetch yamnet" in yamnet.note
    assert [one.encoder for one in candidates("audio", ss.AudioConfig(frozen=True))] == ["speech", "yamnet"]
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    assert all("sightsound[embedded]" in one.note for one in candidates("image", ss.ImageConfig())[1:])
    with pytest.raises(ConfigError, match=r"--image.frozen .* needs a pretrained one.*sightsound\[embedded\]"):
        candidates("image", ss.ImageConfig(frozen=True))


def test_frozen_random_weights_are_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="image.frozen would leave cnn with the random weights"):
        ss.train(table, out=tmp_path / "run", image={"encoder": "cnn", "frozen": True})


@pytest.mark.parametrize("few_rows", [0, 50])  # on validation rows, or by cross-validation
def test_a_trial_without_improvement_says_when_it_ended(
    measured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_rows: int
) -> None:
    monkeypatch.setattr(encoder_trials, "FEW_ROWS", few_rows)
    table, run = write_table(tmp_path / "data", rows_per_class=10), tmp_path / "run"
    quick = {"epochs": 12, "batch_size": 16, "learning_rate": 1e-9, "modalities": ("audio",)}
    ss.train(table, out=run, patience=2, **quick)
    [note] = [one.note for one in read_candidates(run) if one.encoder == "speech"]
    first, *others = note.split("; ")
    said = re.fullmatch(r"ended after (\d+) of 12 epochs, without improvement(, fold 1)?", first)
    assert said and 3 <= int(said[1]) < 12 and (said[2] or "") == ", fold 1" * bool(few_rows)
    assert len(others) == 2 * bool(few_rows)
    assert f"speech: {note}" in (run / "report.html").read_text()
    ss.train(table, out=tmp_path / "whole", patience=12, **quick)
    assert "without improvement" not in (tmp_path / "whole" / "encoders.csv").read_text()


def test_it_is_measured_said_kept_and_shown(
    measured: None, tmp_path: Path, typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "data", rows_per_class=14)
    command = ["train", table, "--epochs", 8, "--batch-size", 16, "--image.height", 32, "--image.width", 32]
    done = typed(*command, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    run = tmp_path / "run"
    tried = {one.encoder: one for one in read_candidates(run)}
    assert set(tried) == {"resnet", "lite0", "convnet", "speech", "yamnet"} and not (run / FOLDER).exists()
    for name in ("resnet", "lite0", "convnet", "speech"):
        assert 0 <= tried[name].low <= tried[name].macro_f1 <= tried[name].high <= 1
        assert tried[name].training_seconds > 0 and tried[name].latency_ms > 0 and tried[name].parameters > 10_000
    assert "data fetch yamnet" in tried["yamnet"].note and not tried["yamnet"].training_rows
    config = ss.load(run / "bundle").config
    for m in ("image", "audio"):
        chosen = getattr(config, m)
        assert tried[chosen.encoder].chosen and chosen.frozen == tried[chosen.encoder].frozen
        assert f"Encoder of {modality(m).plural}: {chosen.encoder}" in done.out
    page = (run / "report.html").read_text()
    assert "Encoders that were tried" in page and "before; frozen" in page and "not tried" in page

    def never(*given: object) -> None:
        raise AssertionError("measured twice")

    monkeypatch.setattr(Trials, "result_of", never)
    weights = (run / "bundle" / "model.safetensors").read_bytes()
    (run / "bundle").rename(tmp_path / "moved")  # as if it had been stopped before its end
    assert typed(*command, "--out", run, "--resume").code == 0
    assert (run / "bundle" / "model.safetensors").read_bytes() == weights
    frame = pd.read_csv(run / FILE)
    two = frame.assign(chosen=frame["chosen"] | (frame["encoder"] == "yamnet"))
    other = frame.assign(chosen=[one != tried[one].chosen for one in frame["encoder"]])
    named = frame.assign(encoder=frame["encoder"].replace("resnet", "nonesuch"))
    elsewhere = frame.assign(modality="image")
    texts = [edited.to_csv(index=False) for edited in (frame[:0], two, other, named, elsewhere, frame[1:])]
    for content in (*texts, "", "modality,encoder\nimage,resnet\n", frame.to_csv(index=False).replace("True", "X")):
        (run / FILE).write_text(content)
        (run / "bundle").exists() and (run / "bundle").rename(tmp_path / f"moved-{len(content)}")
        again = typed(*command, "--out", run, "--resume")
        assert again.code == 1 and "encoders.csv: damaged" in again.err and "Put it back" in again.err, again.err


def test_a_stop_while_encoders_are_tried_leaves_a_folder_to_begin_in(
    measured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, run = write_table(tmp_path / "data", rows_per_class=10), tmp_path / "run"

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("sightsound.training.encoder_trials.fit", stop)
        ss.train(table, out=run, **QUICK)
    assert (run / FOLDER).exists()
    ss.train(table, out=run, resume=True, **QUICK)
    ss.train(table, out=tmp_path / "whole", **QUICK)
    weights = [(folder / "bundle" / "model.safetensors").read_bytes() for folder in (run, tmp_path / "whole")]
    assert weights[0] == weights[1] and not (run / FOLDER).exists()
    assert [one.chosen for one in read_candidates(run)] == [one.chosen for one in read_candidates(tmp_path / "whole")]


def test_a_class_without_sounds_is_no_hindrance(measured: None, tmp_path: Path, typed) -> None:
    table = write_table(tmp_path / "data", rows_per_class=14)
    frame = pd.read_csv(table)
    frame["split"] = ["val" if i % 5 == 0 else "train" for i in range(len(frame))]
    frame.loc[(frame["label"] == "high") & (frame["split"] == "train"), "audio"] = ""
    frame.to_csv(table, index=False)
    small = ["--image.height", 32, "--image.width", 32]
    done = typed("train", table, *small, "--epochs", 2, "--batch-size", 16, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    tried = {one.encoder: one for one in read_candidates(tmp_path / "run")}
    assert (
        tried["speech"].training_rows == 21  # of 31, two thirds
        and tried["speech"].validation_rows == 31
        and tried["lite0"].validation_rows == 42
    )
    assert "On so few rows the choice is uncertain." in done.out and "Not tried: yamnet." in done.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "of image, 42 rows: On so few rows the choice is uncertain." in page


def test_what_asks_for_a_frozen_encoder_where_none_is_chosen_is_refused(
    measured: None, table: Path, tmp_path: Path, typed
) -> None:
    ask = ["--image.frozen", "--epochs", 1, "--out", tmp_path / "run"]
    for verb in (["train", table, "--fusion", "mmtm"], ["compare", table, "--strategies", "mmtm", "--seeds", 1]):
        done = typed(*verb, *ask)
        assert done.code == 1 and "has to be named here: --image.encoder NAME" in done.err and "small" not in done.out


def test_nothing_is_tried_where_only_the_small_network_can_be_used(measured: None, tmp_path: Path, typed) -> None:
    table = write_table(tmp_path / "data", rows_per_class=10)
    asked = ["--epochs", 1, "--image.height", 20, "--image.width", 20, "--modalities", "image"]
    done = typed("train", table, *asked, "--out", tmp_path / "run")
    assert done.code == 0 and "resnet; there is no choice. Not tried: lite0. " in done.out, done.out
    assert "colour images of 32 pixels or more" in done.out


def test_strategies_that_exchange_and_options_of_an_encoder_take_the_small_networks(
    measured: None, tmp_path: Path, typed
) -> None:
    table = write_table(tmp_path / "data", rows_per_class=10)
    quick = ["train", table, "--epochs", 1, "--batch-size", 16]
    done = typed(*quick, "--fusion", "mmtm", "--out", tmp_path / "a")
    assert done.code == 0 and "mmtm exchanges between the layers of the encoders" in done.out
    options = ["--image.encoder.width", 8, "--audio.encoder.width", 8]
    done = typed(*quick, *options, "--out", tmp_path / "b")
    assert done.code == 0 and "Encoder of" not in done.out
    config = ss.load(tmp_path / "b" / "bundle").config
    assert (config.image.encoder, config.audio.encoder) == ("resnet", "convnet")
    assert config.image.encoder_options["width"] == 8 and not (tmp_path / "b" / FILE).exists()


def test_a_balance_is_about_how_encoders_are_trained(measured: None, tmp_path: Path, typed) -> None:
    table = write_table(tmp_path / "data", rows_per_class=10)
    done = typed("train", table, "--epochs", 1, "--batch-size", 16, "--balance", "auxiliary", "--out", tmp_path / "run")
    assert done.code == 0 and "The balance auxiliary is about how encoders are trained: small networks" in done.out
    assert not ss.load(tmp_path / "run" / "bundle").config.image.frozen


@pytest.mark.parametrize(
    ("column", "value"),
    [("modality", "smell"), ("macro_f1", "high"), ("validation_rows", "few"), ("standard_error", "")]
    + [("latency_ms", "slow"), ("frozen", "perhaps"), ("encoder", "3")],
)
def test_a_damaged_choice_is_said(column: str, value: str, tmp_path: Path) -> None:
    one = Candidate("image", "lite0", True, 0.9, 0.8, 1.0, 0.1, 30, 10, 1.0, 3, 2.0, True)
    listed = {"image": [Candidate("image", "lite0", True)]}
    frame = pd.DataFrame([one])
    frame.to_csv(tmp_path / FILE, index=False)
    assert _checked(read_candidates(tmp_path), listed, tmp_path) == [one]
    frame.astype(object).assign(**{column: value}).to_csv(tmp_path / FILE, index=False)
    with pytest.raises(RunError, match="damaged"):
        _checked(read_candidates(tmp_path), listed, tmp_path)
    frame.assign(frozen=False).to_csv(tmp_path / FILE, index=False)
    with pytest.raises(RunError, match="damaged"):
        _checked(read_candidates(tmp_path), listed, tmp_path)


def test_without_a_choice_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    small, other = candidates("image", ss.ImageConfig())
    said = in_words("image", [small._replace(chosen=True), other])
    assert said.startswith("Encoder of images: resnet; there is no choice.") and "sightsound[embedded]" in said


def test_a_run_that_was_begun_keeps_its_encoders_whatever_is_installed(
    measured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, run = write_table(tmp_path / "data", rows_per_class=10), tmp_path / "run"

    def absent(name: str) -> Path:
        raise ConfigError("it is not installed")

    with monkeypatch.context() as patched:
        patched.setattr(embedded, "_file", absent)
        ss.train(table, out=run, **QUICK)
    weights = (run / "bundle" / "model.safetensors").read_bytes()
    (run / "bundle").rename(tmp_path / "moved")
    ss.train(table, out=run, resume=True, **QUICK)  # now it is
    assert (run / "bundle" / "model.safetensors").read_bytes() == weights
    assert "Encoders that were tried" not in (run / "report.html").read_text()  # since none was


def test_a_stale_choice_is_not_shown_in_another_run(measured: None, tmp_path: Path) -> None:
    table, run = write_table(tmp_path / "data", rows_per_class=10), tmp_path / "run"
    run.mkdir()
    (run / FILE).write_text("of a run that stopped before its training")
    (run / FOLDER).mkdir()
    named = {"image": {"encoder": "resnet"}, "audio": {"encoder": "convnet"}}
    ss.train(table, out=run, epochs=1, batch_size=16, **named)
    assert not (run / FILE).exists() and not (run / FOLDER).exists()
    assert "Encoders that were tried" not in (run / "report.html").read_text()


def test_a_trial_that_diverges_is_left_out(measured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_table(tmp_path / "data", rows_per_class=10)
    fit = encoder_trials.fit

    def diverging(network: object, config: ss.Config, *more: object) -> None:
        if config.modalities == ("audio",) and config.audio.encoder == "speech":
            raise TrainingError("The training loss is nan\nin epoch 1")
        fit(network, config, *more)

    monkeypatch.setattr(encoder_trials, "fit", diverging)
    ss.train(table, out=tmp_path / "run", **QUICK)
    tried = {one.encoder: one for one in read_candidates(tmp_path / "run")}
    assert tried["speech"].note == "The training loss is nan" and tried["convnet"].chosen
