"""`sightsound translate` as typed: trained on bars and tones, used both ways, judged, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import yaml
from PIL import Image

import sightsound as ss
from sightsound.translation.phase import Task
from tests.conftest import RATE, write_image, write_sound, write_table

SHORT = {
    "meaning_steps": 60,
    "batch_size": 21,
    "decoder_steps": 70,
    "flow_steps": 70,
    "image_latent": 8,
    "audio_latent": 8,
    "meaning_size": 8,
}
Run = tuple[Path, Path]  # a table, and a run on it
pytestmark = pytest.mark.usefixtures("whole_networks")


@pytest.fixture(scope="module")
def fitted(whole_networks: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A table and a finished translator on it; not to be changed."""
    folder = tmp_path_factory.mktemp("fitted")
    table = write_table(folder / "data", rows_per_class=30)
    config = folder / "short.yaml"
    config.write_text(yaml.safe_dump(SHORT))
    ss.train_translator(table, out=folder / "run", config=ss.TranslatorConfig(**SHORT))
    return table, folder / "run"


@pytest.fixture
def low(tmp_path: Path) -> tuple[Path, Path]:
    """An image and a sound of the class low that were never seen."""
    rng = np.random.default_rng(99)
    write_image(tmp_path / "low bar ü.png", "low", rng)
    write_sound(tmp_path / "low.wav", "low", rng)
    return tmp_path / "low bar ü.png", tmp_path / "low.wav"


def test_it_is_judged_to_say_the_same(fitted: Run, trained: Run, typed, tmp_path: Path) -> None:
    table, run = fitted
    done = typed(
        "translate", "evaluate", run / "bundle", table, "--judge", trained[1] / "bundle", "--out", tmp_path / "j"
    )
    assert done.code == 0, done.err
    numbers = json.loads((tmp_path / "j" / "evaluation.json").read_text())
    for direction in ("image to audio", "audio to image"):
        assert numbers[direction]["coherence"]["value"] > 0.8
        assert numbers[direction]["round_trip"]["value"] > 0.8
        assert numbers[direction]["frechet"] > 0 and numbers[direction]["diversity"] > 0
        assert numbers["retrieval"][direction]["recall@1"]["value"] > 0.8
    page = (tmp_path / "j" / "gallery.html").read_text()
    assert page.count("<audio") >= 12 and "http" not in page.replace("http://www.w3.org", "")
    assert "speakers" in done.out and "retrieval among" in done.out


def test_images_become_sounds_on_disk_and_on_a_page(fitted: Run, low: tuple[Path, Path], typed, tmp_path: Path) -> None:
    bundle, out = fitted[1] / "bundle", tmp_path / "heard"
    done = typed("translate", "image-to-audio", low[0], "--bundle", bundle, "-n", 3, "--out", out)
    assert done.code == 0, done.err
    listed = pd.read_csv(out / "translations.csv")
    assert len(listed) == 3 and set(listed["mode"]) == {"generate"}
    sounds = [soundfile.read(out / name) for name in listed["file"]]
    assert all(rate == 16000 and len(wave) == 4800 and np.abs(wave).max() > 0.01 for wave, rate in sounds)
    assert not np.array_equal(sounds[0][0], sounds[1][0])
    assert (out / "gallery.html").read_text().count("<audio") == 3
    again = typed("translate", "image-to-audio", low[0], "--bundle", bundle, "-n", 3, "--out", tmp_path / "again")
    assert again.code == 0
    for name in listed["file"]:
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    other = typed("translate", "image-to-audio", low[0], "--bundle", bundle, "--seed", 1, "--out", tmp_path / "other")
    assert other.code == 0
    assert (tmp_path / "other" / listed["file"][0]).read_bytes() != (out / listed["file"][0]).read_bytes()


def test_sounds_become_images_and_long_ones_window_by_window(fitted: Run, low, typed, tmp_path: Path) -> None:
    wave, rate = soundfile.read(low[1])
    soundfile.write(tmp_path / "long.wav", np.tile(wave, 4)[: int(1.0 * RATE)], rate)
    files = (low[1], tmp_path / "long.wav")
    done = typed("translate", "audio-to-image", *files, "--bundle", fitted[1] / "bundle", "--out", tmp_path / "seen")
    assert done.code == 0, done.err
    listed = pd.read_csv(tmp_path / "seen" / "translations.csv")
    assert listed["start_seconds"].tolist() == pytest.approx([0, 0, 0.3, 0.6, 0.9])
    assert all(Image.open(tmp_path / "seen" / name).size == (16, 16) for name in listed["file"])


def test_another_size_and_colours_are_taken_as_they_come(fitted: Run, low, tmp_path: Path) -> None:
    translator = ss.load_translator(fitted[1] / "bundle")
    large = Image.open(low[0]).resize((90, 70)).convert("RGBA")
    large.save(tmp_path / "large.png")
    [[sound]] = translator.image_to_audio(tmp_path / "large.png")
    assert sound.content.dtype == np.float32 and sound.content.shape == (4800,)
    [[same]] = translator.image_to_audio((tmp_path / "large.png").read_bytes())
    np.testing.assert_allclose(same.content, sound.content)


def test_retrieval_finds_training_files(fitted: Run, low, typed, tmp_path: Path) -> None:
    where = ("--bundle", fitted[1] / "bundle", "--mode", "retrieve", "-n", 2, "--out", tmp_path / "found")
    done = typed("translate", "image-to-audio", low[0], *where)
    assert done.code == 0, done.err
    listed = pd.read_csv(tmp_path / "found" / "translations.csv")
    assert all(Path(file).name.startswith("low-") for file in listed["found"])
    assert listed["similarity"].is_monotonic_decreasing


def test_a_training_file_that_is_gone_is_named(fitted: Run, low, typed, tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", rows_per_class=30)
    translator = ss.load_translator(fitted[1] / "bundle")
    files = {m: [str(tmp_path / "data" / Path(f).name) for f in of] for m, of in translator.bank.files.items()}
    ss.Translator(translator.network, translator.config, translator.bank._replace(files=files)).save(tmp_path / "moved")
    for file in table.parent.glob("*.wav"):
        file.unlink()
    done = typed("translate", "image-to-audio", low[0], "--bundle", tmp_path / "moved", "--mode", "retrieve")
    assert done.code == 1 and "trained on" in done.err and ".wav" in done.err and "--mode generate" in done.err


def test_a_picture_is_played_without_any_training(low, typed, tmp_path: Path) -> None:
    played = typed("translate", "image-to-audio", low[0], "--mode", "sonify", "--out", tmp_path / "played")
    assert played.code == 0, played.err
    [sound] = (tmp_path / "played").glob("*.wav")
    drawn = typed("translate", "audio-to-image", sound, "--mode", "sonify", "--out", tmp_path / "drawn")
    assert drawn.code == 0, drawn.err
    [picture] = (tmp_path / "drawn").glob("*.png")
    again = np.asarray(Image.open(picture).resize((16, 16), Image.Resampling.BOX)).astype(float)
    assert np.corrcoef(again.ravel(), np.asarray(Image.open(low[0])).ravel())[0, 1] > 0.8


def test_a_run_goes_on_where_it_stopped(fitted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.translation.phase.EPOCH_STEPS", 3)
    monkeypatch.setattr("sightsound.translation.training.MOST_VIEWS", 2)
    config = ss.TranslatorConfig(**{**SHORT, "meaning_steps": 1, "decoder_steps": 3, "flow_steps": 6})
    whole = ss.train_translator(fitted[0], out=tmp_path / "whole", config=config)
    epochs: list[int] = []

    def stop(task: Task, epoch: int) -> None:
        if task.lesson.name == "flow" and epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("sightsound.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0)
        patched.setattr(Task, "begin_epoch", stop)
        ss.train_translator(fitted[0], out=tmp_path / "run", config=config)
    assert not (tmp_path / "run" / "bundle").exists()
    with monkeypatch.context() as patched:
        patched.setattr(Task, "begin_epoch", lambda task, epoch: epochs.append(epoch))
        resumed = ss.train_translator(fitted[0], out=tmp_path / "run", config=config, resume=True)
    assert epochs == [1]  # nothing was trained again
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, msg=name)
    with pytest.raises(ss.SightsoundError, match="is there already"):
        ss.train_translator(fitted[0], out=tmp_path / "run", config=config)


def test_labels_are_not_needed_and_rows_without_a_modality_are_left_out(tmp_path: Path, typed) -> None:
    table = write_table(tmp_path / "data", rows_per_class=25)
    frame = pd.read_csv(table).drop(columns="label")
    frame.loc[:2, "audio"] = ""
    frame.to_csv(table, index=False)
    quick = ["--meaning-steps", 1, "--decoder-steps", 1, "--flow-steps", 1]
    done = typed("translate", "fit", table, "--out", tmp_path / "run", *quick)
    assert done.code == 0, done.err
    assert "3 row(s) lack a modality" in done.out
    assert ss.load_translator(tmp_path / "run" / "bundle").config.meaning_steps == 1


def test_too_few_pairs(typed, table: Path, tmp_path: Path) -> None:
    pd.read_csv(table).head(30).to_csv(table, index=False)
    done = typed("translate", "fit", table, "--out", tmp_path / "run")
    assert done.code == 1 and "30 row(s)" in done.err and "needs 50" in done.err and "a few hundred" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-n", "0"), "n is 0"),
        (("--mode", "generat"), "Did you mean 'generate'?"),
        (("--out", "."), "is there already"),
        (("--bundle", "nowhere"), "there is no such folder"),
    ],
)
def test_a_wrong_call_says_what_to_type(fitted: Run, low, typed, arguments, said: str, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"--bundle": str(fitted[1] / "bundle"), **dict([arguments])}
    done = typed("translate", "image-to-audio", low[0], *[x for pair in given.items() for x in pair])
    assert done.code == 1 and said in done.err and "Traceback" not in done.err
    assert not (tmp_path / "translated").exists()


def test_bundles_are_not_mixed_up(fitted: Run, trained: Run, low, typed, tmp_path: Path) -> None:
    done = typed("translate", "image-to-audio", low[0], "--bundle", trained[1] / "bundle", "--out", tmp_path / "x")
    assert done.code == 1 and "bundle of a classifier; that of a translator is needed" in done.err
    assert "sightsound translate fit" in done.err
    done = typed("predict", fitted[1] / "bundle", "--image", low[0])
    assert done.code == 1 and "bundle of a translator; that of a classifier is needed" in done.err
    done = typed("translate", "image-to-audio", low[0], "--out", tmp_path / "x")
    assert done.code == 1 and "--bundle" in done.err
    done = typed("translate", "fly")
    assert done.code == 2 and "fit" in done.err


def test_a_damaged_file_is_named(fitted: Run, typed, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n123")
    done = typed(
        "translate", "image-to-audio", tmp_path / "cut.png", "--bundle", fitted[1] / "bundle", "--out", tmp_path / "x"
    )
    assert done.code == 1 and "cut.png" in done.err and not (tmp_path / "x").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what is asked for")
def test_an_accelerator_that_is_not_there_is_said_before_anything_is_made(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", rows_per_class=2)
    with pytest.raises(ss.SightsoundError, match="--accelerator cuda: this machine"):
        ss.train_translator(table, out=tmp_path / "run", config=ss.TranslatorConfig(accelerator="cuda"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ss.SightsoundError, match="--accelerator cuda: this machine"):
        ss.train(table, out=tmp_path / "run", accelerator="cuda")
    assert not (tmp_path / "run").exists()


def test_a_pretrained_encoder_judges_what_it_took_no_part_in(
    fitted: Run, typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightsound.training.prepare.MOST_EPOCHS", 5)
    table, run = fitted
    ask = ["translate", "evaluate", run / "bundle", table, "--rows", 6, "-n", 2, "--out", tmp_path / "j"]
    done = typed(*ask, "--evaluator", "speech")
    assert done.code == 0, done.err
    judge = ss.load(tmp_path / "j" / "judge-speech" / "bundle").config
    assert (judge.audio.encoder, judge.audio.frozen, judge.image.encoder) == ("speech", True, "resnet")
    assert judge.audio.clip_seconds == 0.3
    numbers = json.loads((tmp_path / "j" / "evaluation.json").read_text())
    assert numbers["image to audio"]["frechet"] > 0
    for words, said in (("speach", "Did you mean 'speech'"), ("speech,yamnet", "are of one modality")):
        assert said in typed(*ask[:-1], tmp_path / words, "--evaluator", words).err
    both = typed(*ask[:-1], tmp_path / "k", "--evaluator", "speech", "--judge", run / "bundle")
    assert both.code == 1 and "Give one of the two" in both.err
