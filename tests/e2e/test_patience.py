"""What a user's patience is spared: help where it is looked for, quiet when asked for, names where tables are taken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import sightsound as ss
from sightsound.cli import VERBS
from sightsound.cli.train import NEVER_FOUND, TOGETHER, _hint
from sightsound.inference.metrics import measure
from sightsound.progress import Lines, progress_bar
from tests.conftest import RATE


@pytest.fixture
def bundle(trained: tuple[Path, Path]) -> Path:
    return trained[1] / "bundle"


def test_help_and_version_wherever_they_are_looked_for(typed) -> None:
    assert typed("version").out == typed("--version").out == typed("-V").out == f"{ss.__version__}\n"
    assert typed("help").out == typed("--help").out and all(verb in typed("help").out for verb in VERBS)
    for verb in VERBS:
        if verb != "version":
            asked, flagged = typed("help", verb), typed(verb, "--help")
            assert asked.code == flagged.code == 0 and asked.out == flagged.out and "sightsound" in asked.out
    assert "Did you mean 'predict'" in typed("help", "predct").err


def test_quiet_leaves_results_and_errors(typed, table: Path, tmp_path: Path) -> None:
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "run", "--quiet")
    assert done.code == 0 and done.err == "" and "accuracy" in done.out and "classes; rows" not in done.out
    wrong = typed("--quiet", "train", tmp_path / "gone.csv")
    assert wrong.code == 1 and "no such table" in wrong.err
    loud = typed("train", table, "--epochs", 1, "--out", tmp_path / "loud")
    assert "classes; rows" in loud.out and "training joint: 100%" in loud.err  # quiet was for one call


def test_verbose_shows_where_an_error_came_from(typed, tmp_path: Path) -> None:
    with pytest.raises(ss.SightsoundError, match="no such table"):  # which Python shows with its traceback
        typed("inspect", tmp_path / "gone.csv", "--verbose")
    assert "no such table" in typed("inspect", tmp_path / "gone.csv").err  # it was for one call


def test_bars_are_lines_where_no_terminal_is(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("sightsound.progress.time.monotonic", lambda: clock[0])
    with Lines(total=1000, desc="reading", file=sys.stderr, leave=True) as bar:
        for _ in range(1000):
            clock[0] += 0.15
            bar.update()
            bar.refresh()
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 3 and "\r" not in printed  # one each minute of 150 s, and the last
    assert printed.splitlines()[-1].startswith("reading: 100%")


@pytest.mark.parametrize(("seconds", "keep", "lines"), [(1.9, False, 0), (2.0, False, 1), (59, False, 1), (0, True, 1)])
def test_every_bar_that_a_terminal_would_show_is_a_line(
    seconds: float, keep: bool, lines: int, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("sightsound.progress.time.monotonic", lambda: clock[0])
    with progress_bar("robustness", 2, "condition", keep=keep) as bar:
        bar.update()
        clock[0] += seconds
        bar.update()
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == lines and all(line.startswith("robustness: 100%") for line in printed)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete_verbs_and_options(shell: str, typed, tmp_path: Path) -> None:
    script = typed("completion", shell)
    assert script.code == 0
    (tmp_path / "script").write_text(script.out)
    if shell != "bash" or not shutil.which("bash"):
        return

    def complete(*words: str) -> set[str]:
        line = " ".join(f"'{word}'" for word in words)
        code = f"source {tmp_path / 'script'}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _sightsound"
        done = subprocess.run(["bash", "-c", f'{code}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True)
        return set(done.stdout.split())

    assert complete("sightsound", "tr") == {"train", "translate"}
    assert complete("sightsound", "train", "--fus") == {"--fusion", "--fusion-options"}
    assert complete("sightsound", "predict", "--missing.i") == {"--missing.image"}
    assert complete("sightsound", "translate", "f") == {"fit"} and complete("sightsound", "data", "cl") == {"clean"}
    assert "--decoder-steps" in complete("sightsound", "translate", "fit", "--decoder")


def test_a_name_stands_wherever_a_table_does(typed, digits_root: Path, own_cache: Path, tmp_path: Path) -> None:
    named = ["mnist+fsdd", "--root", digits_root, "--pairs", 60]
    assert typed("train", *named, "--epochs", 1, "--seed", 3, "--out", tmp_path / "run").code == 0
    built = {path.name for path in (own_cache / "data").iterdir() if path.is_dir()}
    bundle = tmp_path / "run" / "bundle"
    for verb in ("evaluate", "predict"):
        done = typed(verb, bundle, *named)
        assert done.code == 0, done.err
    done = typed("robustness", bundle, *named, "--rows", 6, "--out", tmp_path / "robust")
    assert done.code == 0, done.err
    assert {
        path.name for path in (own_cache / "data").iterdir() if path.is_dir()
    } == built  # the same pairs, not others
    assert "rows;" in typed("inspect", *named, "--seed", 3).out


def numbers(confusions: dict[str, list[list[int]]]) -> dict:
    """Metrics of answers that give these confusion matrices."""
    found = {}
    for name, confusion in confusions.items():
        pairs = [(i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) for _ in range(count)]
        target, said = np.array(pairs).T
        found[name] = measure(np.eye(len(confusion))[said], target, ["good", "defect"])
    return {"split": "test", "subsets": found}


def test_hints_fit_the_numbers() -> None:
    rare = [[28, 0], [2, 0]]  # 4 defects among 200 parts, none found
    hint = _hint(numbers(dict.fromkeys(("image+audio", "image", "audio"), rare)), "detached")
    assert hint == NEVER_FOUND.format(rows=2, split="test", labels="'defect'")
    chance = [[15, 15], [15, 15]]
    assert _hint(numbers(dict.fromkeys(("image+audio", "image", "audio"), chance)), "detached") == TOGETHER
    good = [[29, 1], [1, 29]]
    assert _hint(numbers({"image+audio": good, "image": chance, "audio": good}), "detached") == ""


def test_what_the_defaults_cut_is_said(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    Image.effect_noise((400, 300), 60).save(table.parent / "large.png")
    soundfile.write(table.parent / "long.wav", np.random.default_rng(0).normal(0, 0.1, 12 * RATE), RATE)
    frame["image"] = "large.png"
    frame.loc[:20, "audio"] = "long.wav"
    frame.to_csv(table, index=False)
    for done, left_open in (
        (typed("inspect", table), True),
        (typed("train", table, "--epochs", 1, "--out", tmp_path / "run"), False),
    ):
        assert done.code == 0, done.err
        assert "images of 300 x 400 pixels (the median) are reduced to 48 x 64" in done.out
        assert ("So it is with resnet; a pretrained encoder, if one is chosen, takes another" in done.out) == left_open
        # a file is counted once, however many rows have it
        assert "1 of the 40 sounds that were looked at are longer than" in done.out, done.out
    sizes = ["--image.height", 32, "--audio.clip-seconds", 0.3]
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "asked", *sizes)
    assert "are reduced to" not in done.out and "are longer than" not in done.out


@pytest.mark.parametrize(("seconds", "said"), [(0.02, True), (0.4, False)])
def test_clips_that_are_short_for_their_encoder_are_said(
    seconds: float, said: bool, typed, table: Path, tmp_path: Path
) -> None:
    audio = ["--audio.encoder", "speech", "--audio.frozen", "--audio.clip-seconds", seconds, "--modalities", "audio"]
    done = typed("train", table, *audio, "--epochs", 1, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    note = f"Note: clips of {seconds} s are mostly silence to the encoder speech, which sees 0.76 s at once"
    assert (note in done.out) == said and ("mostly silence" in done.out) == said


def test_silence_constants_and_channels_that_cancel_are_said(typed, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    for i in range(4):
        soundfile.write(table.parent / f"silent{i}.wav", np.zeros(RATE // 2), RATE)
        Image.new("L", (16, 16), 90).save(table.parent / f"grey{i}.png")
    wave = np.random.default_rng(0).normal(0, 0.1, RATE // 2)
    soundfile.write(table.parent / "against.wav", np.stack([wave, -wave], 1), RATE)
    frame.loc[:3, "audio"] = [f"silent{i}.wav" for i in range(4)]
    frame.loc[4:7, "image"] = [f"grey{i}.png" for i in range(4)]
    frame.loc[8, "audio"] = "against.wav"
    frame.to_csv(table, index=False)
    for done in (typed("inspect", table), typed("train", table, "--epochs", 1, "--out", tmp_path / "run")):
        assert "4 of 60 sounds are silent, for instance silent0.wav (row 1)" in done.out
        assert "4 of 60 images hold one single colour, for instance grey0.png (row 5)" in done.out
        assert "1 of 60 sounds have channels that cancel each other" in done.out


def test_a_classifier_says_what_it_is(bundle: Path, trained: tuple[Path, Path]) -> None:
    classifier = ss.load(bundle)
    for text in (repr(classifier), classifier._repr_html_()):
        assert "3 classes: high, low, middle" in text and "concat" in text and "Accuracy on" in text
    assert "<br>" in classifier._repr_html_()
    classifier.classes_ = np.array(["<b>", "b", "c"])
    assert "<b>" not in classifier._repr_html_()


def test_embeddings_of_a_table(bundle: Path, trained: tuple[Path, Path]) -> None:
    classifier = ss.load(bundle)
    frame = pd.read_csv(trained[0])[:5]
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    frame.loc[1, "audio"] = ""
    frame.loc[2, "image"] = "gone.png"
    frame.loc[3, ["image", "audio"]] = ""
    found = classifier.embed(frame)
    assert {m: values.shape for m, values in found.items()} == {
        m: (5, classifier.network.encoders[m].embedding_size) for m in ("image", "audio")
    }
    missing = {m: np.isnan(values).all(axis=1).tolist() for m, values in found.items()}
    assert missing == {"image": [False, False, True, True, False], "audio": [False, True, False, True, False]}
    again = classifier.embed(frame[4:].reset_index(drop=True))
    np.testing.assert_allclose(again["audio"][0], found["audio"][4], atol=1e-5)


def test_strategies_to_compare_are_a_list_in_python(table: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    quick = {"seeds": 1, "epochs": 1, "batch_size": 16}
    done = ss.compare(table, strategies=["vote", "average"], **quick, out=tmp_path / "c", say=lines.append)
    assert {row.name for row in done.rows} >= {"vote", "average"} and "concat" not in {row.name for row in done.rows}
    with pytest.raises(ss.SightsoundError, match="no fusion strategy 'avrage'"):
        ss.compare(table, strategies=["avrage"], out=tmp_path / "d")


def test_no_reader_or_disk_of_ours_ends_in_a_traceback(bundle: Path, trained: tuple[Path, Path]) -> None:
    for verb in (
        ["predict", bundle, trained[0], "--format", "csv"],
        ["data", "list"],
        ["help"],
    ):
        line = " ".join(map(str, [sys.executable, "-m", "sightsound", *verb]))
        head = subprocess.run(["bash", "-c", f"{line} | head -1"], capture_output=True, text=True)
        assert head.stdout and "Traceback" not in head.stderr and "Exception" not in head.stderr, head.stderr
        if os.path.exists("/dev/full"):
            full = subprocess.run(["bash", "-c", f"{line} > /dev/full"], capture_output=True, text=True)
            assert full.returncode == 1 and "cannot be written: No space left" in full.stderr, (verb, full.stderr)
            assert "Traceback" not in full.stderr and "Exception" not in full.stderr
