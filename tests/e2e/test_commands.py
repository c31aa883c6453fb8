"""Every verb as a user types it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import sightsound as ss
from tests.processes import EVERY_EPOCH, Started


@pytest.fixture(scope="module")
def bundle(trained: tuple[Path, Path]) -> Path:
    return trained[1] / "bundle"


def test_train_in_a_process_of_its_own(table: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sightsound", "train", table, "--fusion", "average", "--out", tmp_path / "run"]
    command += ["--image.encoder", "resnet", "--audio.encoder", "convnet", "--epochs", "6", "--batch-size=16"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 classes; rows: 42 train, 9 val, 9 test." in done.stdout
    assert "image+audio" in done.stdout and "calibration error" in done.stdout
    assert "Neither modality alone" not in done.stdout
    assert f"Report: {tmp_path / 'run' / 'report.html'}" in done.stdout
    assert "epoch 6" in done.stderr and "100%" in done.stderr  # the bar
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr


def test_train_from_yaml(typed, table: Path, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("fusion: vote\nepochs: 1\naudio:\n  mel_bins: 32\n")
    out = tmp_path / "run"
    done = typed("train", table, "--config", tmp_path / "options.yaml", "--seed", 3, "--out", out)
    assert done.code == 0, done.err
    saved = (out / "config.yaml").read_text()
    assert "fusion: vote" in saved and "mel_bins: 32" in saved and "seed: 3" in saved
    again = typed("train", table, "--config", out / "config.yaml", "--out", tmp_path / "again")
    assert again.code == 0 and (tmp_path / "again" / "config.yaml").read_text() == saved
    assert (tmp_path / "again/bundle/model.safetensors").read_bytes() == (out / "bundle/model.safetensors").read_bytes()


def test_train_says_so_where_only_both_modalities_can_tell(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    kinds = frame["label"].unique().tolist()
    pairs = frame[["image", "label"]].merge(frame[["audio", "label"]], how="cross", suffixes=("", "_heard"))
    numbers = pairs["label"].map(kinds.index) + pairs["label_heard"].map(kinds.index)
    pairs["label"] = [kinds[number % 3] for number in numbers]
    pairs[["image", "audio", "label"]].sample(300, random_state=0).to_csv(table, index=False)
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "run")
    assert (
        "Neither modality alone is better than chance" in done.out
        and "--schedule fusion+joint --balance fused-only" in done.out
    )


def test_train_finds_a_free_folder(typed, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert typed("train", table, "--epochs", 1).code == 0
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"table", "table-2"}


def test_a_folder_of_classes_trains(typed, table: Path, tmp_path: Path) -> None:
    for row in pd.read_csv(table).itertuples():
        for name in (row.image, row.audio):
            (tmp_path / "tree" / row.label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "tree" / row.label / name).write_bytes((table.parent / name).read_bytes())
    assert typed("train", tmp_path / "tree", "--epochs", 1, "--out", tmp_path / "run").code == 0


def test_predict_a_pair_and_one_modality(typed, bundle: Path, trained: tuple[Path, Path]) -> None:
    data = trained[0].parent
    done = typed("predict", bundle, "--image", data / "low-0.png", "--audio", data / "low-0.wav")
    assert done.code == 0
    head, _, row = done.out.splitlines()
    assert head.split()[:2] == ["row", "predicted"] and "image only" in head and "audio only" in head
    assert row.split()[1] == "low"
    done = typed("predict", bundle, "--audio", data / "high-0.wav", "--format", "json")
    answer = json.loads(done.out)
    assert answer["label"] == "high" and answer["present"] == ["audio"] and set(answer["per_modality"]) == {"audio"}
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_predict_a_table(typed, bundle: Path, trained: tuple[Path, Path], tmp_path: Path) -> None:
    table = trained[0]
    labels = pd.read_csv(table)["label"]
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        assert typed("predict", bundle, table, "--out", tmp_path / name).code == 0
    read = {"csv": pd.read_csv(tmp_path / "a.csv"), "parquet": pd.read_parquet(tmp_path / "a.parquet")}
    for frame in read.values():
        assert (frame["label"] == labels).all() and (frame["predicted"] == labels).mean() > 0.9
        assert {"image_only", "audio_only", "p_low", "probability", "error"} <= set(frame)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == read["csv"]["predicted"].tolist()
    assert len(typed("predict", bundle, table).out.splitlines()) == 62


def test_evaluate(typed, bundle: Path, trained: tuple[Path, Path], tmp_path: Path) -> None:
    done = typed("evaluate", bundle, trained[0], "--out", tmp_path / "numbers.json")
    assert done.code == 0 and "image+audio" in done.out
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["rows"] == 60 and numbers["subsets"]["audio"]["confusion"][0][0] > 15


def test_answers_that_are_not_sure_are_withheld(
    typed, bundle: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "a.csv"
    assert typed("predict", bundle, trained[0], "--abstain-below", 0.95, "--out", out).code == 0
    frame = pd.read_csv(out)
    assert (frame["predicted"].isna() == (frame["probability"] < 0.95)).all()
    assert frame["disagreement"].between(0, 1).all() and frame["image_ood_score"].between(0, 1).all()
    done = typed("evaluate", bundle, trained[0], "--abstain-below", 0.95)
    answered = (frame["probability"] >= 0.95).mean()
    assert f"image+audio: {answered:.4f} of the rows are answered, of which" in done.out
    contrary = ("--image", trained[0].parent / "low-0.png", "--audio", trained[0].parent / "high-0.wav")
    one = ("predict", bundle, *contrary, "--format", "json", "--abstain-below")
    assert [bool(json.loads(typed(*one, below).out)["label"]) for below in (0, 1)] == [True, False]
    done = typed("predict", bundle, trained[0], "--abstain-below", 95)
    assert done.code == 1 and "it is a probability, from 0 to 1" in done.err


def test_other_column_names_are_remembered(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table).rename(columns={"audio": "call", "label": "species"})
    frame.to_csv(table, index=False)
    names = ["--columns.audio", "call", "--columns.label=species"]
    assert typed("train", table, "--out", tmp_path / "run", "--epochs", 1, *names).code == 0
    assert typed("evaluate", tmp_path / "run" / "bundle", table).code == 0
    assert "audio only" in typed("predict", tmp_path / "run" / "bundle", table).out


def test_inspect(typed, bundle: Path, trained: tuple[Path, Path]) -> None:
    done = typed("inspect", trained[0])
    assert done.code == 0
    assert "60 rows; 60 with image; 60 with audio" in done.out
    assert "audio seconds: 0.3 to 0.3" in done.out and "Every file can be read." in done.out
    done = typed("inspect", bundle)
    assert done.code == 0 and "3 classes: high, low, middle" in done.out and "fusion concat" in done.out


def test_wrong_calls(typed, bundle: Path, table: Path, tmp_path: Path) -> None:
    done = typed("trian")
    assert done.code == 2 and "Did you mean 'train'?" in done.err
    assert typed().code == 2
    assert typed("predict", bundle).code == 2
    assert typed("predict", bundle, table, "--format", "parquet").code == 2
    assert typed("train", table, "--resume").code == 2
    done = typed("train", table, "--fusion", "concta", "--out", tmp_path / "run")
    assert done.code == 1 and "no fusion strategy 'concta'. Did you mean 'concat'?" in done.err
    assert typed("--version").out == "0.1.0\n"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--audio.crop", "foo"], "--audio.crop is 'foo'; it takes one of 'start', 'center', 'end'."),
        (["--epochs", "two"], "--epochs is 'two'; it takes a whole number."),
        (["--learning-rate", "x"], "--learning-rate is 'x'; it takes a number."),
        (["--augment.image-flip=x"], "--augment.image-flip is 'x'; it takes true or false."),
        (["--batch-sise", 3], "there is no option --batch-sise. Did you mean --batch-size?"),
        (["--config", "wrong.yaml"], "there is no option --balanc. Did you mean --balance?"),
    ],
)
def test_wrong_options_are_said_in_words(
    wrong: list, said: str, typed, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("balanc: heads\n")
    done = typed("train", table, *wrong)
    assert done.code == 2 and done.err.splitlines()[-1] == f"error: {said}"


@pytest.mark.parametrize("modalities", ["image", "[image]"])
def test_a_modality_is_chosen_by_its_name(modalities: str, typed, table: Path, tmp_path: Path) -> None:
    assert typed("train", table, "--modalities", modalities, "--epochs", 1, "--out", tmp_path / "run").code == 0
    assert ss.load(tmp_path / "run" / "bundle").config.modalities == ("image",)


@pytest.mark.parametrize(
    ("sent", "code", "said"), [(signal.SIGINT, 130, "\nStopped. "), (signal.SIGTERM, 143, "\nTerminated. ")]
)
def test_a_run_that_is_told_to_end_goes_on_later(
    sent: int, code: int, said: str, table: Path, tmp_path: Path, typed
) -> None:
    run = tmp_path / "run"
    train = ["train", table, "--out", run, "--epochs", "40", "--patience", "40", "--batch-size", "16"]
    process = Started("-m", "sightsound", *train, patched=EVERY_EPOCH)
    while not (run / "checkpoints" / "joint" / "last.ckpt").exists():
        assert process.runs()
        time.sleep(0.02)
    process.send_signal(sent)
    done = process.end()
    assert done.returncode == code
    assert said in done.stderr and "--resume" in done.stderr and "Traceback" not in done.stderr
    handler = signal.getsignal(signal.SIGTERM)
    done = typed(*train, "--resume")
    assert signal.getsignal(signal.SIGTERM) == handler
    assert done.code == 0 and (run / "bundle" / "model.safetensors").exists()
