"""Run folders: one process at work in each, gone on with only where that gives what no stop would have given."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sightsound as ss
from sightsound.errors import ConfigError, RunError, TableError
from sightsound.run_folder import LOCK, alone_in, is_free, open_run
from sightsound.training.run import run_training
from tests.conftest import write_image, write_sound
from tests.processes import Started

Held = tuple[Path, Started]
QUICK = {"epochs": 1, "batch_size": 16, "say": lambda line: None}
HOLDER = """
import sys, time
from pathlib import Path
from sightsound.run_folder import open_run
with open_run(Path(sys.argv[1]), {"config": {}, "content": ""}, False):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    """A folder in which another process is at work, and that process."""
    yield from holding(tmp_path)


@pytest.fixture(scope="module")
def held_by_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """The same for many tests."""
    yield from holding(tmp_path_factory.mktemp("held"))


def holding(tmp_path: Path) -> Iterator[Held]:
    process = Started("-c", HOLDER, tmp_path / "run")
    assert process.stdout.readline() == "held\n"
    yield tmp_path / "run", process
    process.send_signal(signal.SIGKILL)
    process.end()


def verbs(table: Path, bundle: Path, run: Path) -> dict[str, list[object]]:
    """Every verb that works in a run folder."""
    return {
        "train": ["train", table, "--out", run],
        "resume": ["train", table, "--out", run, "--resume"],
        "compare": ["compare", table, "--out", run],
        "robustness": ["robustness", bundle, table, "--out", run],
        "learning curve": ["evaluate", bundle, table, "--learning-curve", "--out", run],
        "translate fit": ["translate", "fit", table, "--out", run],
    }


@pytest.mark.parametrize("verb", verbs(Path(), Path(), Path()))
def test_a_second_process_is_told_who_is_at_work(
    held_by_one: Held, trained: tuple[Path, Path], typed, verb: str
) -> None:
    run, process = held_by_one
    before = sorted(path.name for path in run.iterdir())
    second = typed(*verbs(trained[0], trained[1] / "bundle", run)[verb])
    assert second.code == 1 and f"process {process.pid} on " in second.err and "since 20" in second.err
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_folder_of_a_process_that_was_ended_is_taken_over(held: Held, table: Path, end: int) -> None:
    run, process = held
    process.send_signal(end)
    process.process.join()
    assert is_free(run)
    run_training(table, ss.Config(epochs=1), run, resume=False, say=QUICK["say"])
    assert (run / "bundle").exists()


def test_a_lock_of_before_a_reboot_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).write_text(json.dumps({"process": os.getpid(), "machine": "here", "since": "1970"}))
    with open_run(tmp_path / "run", {"config": {}, "content": ""}, False):
        pass


def test_threads_of_one_process_are_told_too(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(RunError, match=f"process {os.getpid()}"), alone_in(tmp_path):
        pass


def test_a_run_of_before_an_option_existed_goes_on(table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ss.train(table, out=run, **QUICK)
    request = json.loads((run / "request.json").read_text())
    del request["defaults"], request["config"]["class_recall"], request["config"]["logit_adjustment"]
    (run / "request.json").write_text(json.dumps(request))
    ss.train(table, out=run, resume=True, **QUICK)
    with pytest.raises(RunError, match="logit_adjustment differ"):
        ss.train(table, out=run, resume=True, logit_adjustment=0.5, **QUICK)


def test_a_folder_that_is_not_ours_gets_no_file_from_us(table: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    for resume in (False, True):
        with pytest.raises(RunError, match="is there already"):
            ss.train(table, out=tmp_path / "photos", resume=resume, **QUICK)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["me.jpg"]


def test_a_refused_run_leaves_no_folder_of_its_own(table: Path, tmp_path: Path) -> None:
    refused = {"image": {"encoder": "lite0", "channels": 1}, "audio": {"encoder": "convnet"}}
    for folder in ("mine", "empty"):
        (tmp_path / folder).mkdir()
    for run in ("runs/first", "mine/first", "empty"):
        with pytest.raises(ConfigError, match="lite0 takes 3"):
            ss.train(table, out=tmp_path / run, **refused, **QUICK)
    assert not (tmp_path / "runs").exists() and not any((tmp_path / "mine").iterdir()) and (tmp_path / "empty").exists()
    frame = pd.read_csv(table)
    frame.loc[0, "image"] = "gone.png"
    frame.to_csv(table, index=False)
    with pytest.raises(TableError, match="rejected.csv"):  # which is in it
        ss.train(table, out=tmp_path / "runs" / "first", **QUICK)
    assert (tmp_path / "runs" / "first" / "rejected.csv").exists()


def test_a_damaged_request_is_said(table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ss.train(table, out=run, **QUICK)
    for content in ("", "{", "[]", "null", '{"config": 5, "content": ""}', '{"config": {}}', "\xff", "[" * 9999):
        (run / "request.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(RunError, match=r"request\.json: damaged.*another --out"):
            ss.train(table, out=run, resume=True, **QUICK)


def stopped(table: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that was stopped after its first epoch."""
    from sightsound.training.stage import Stage

    def stop(stage: Stage, epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Stage, "begin_epoch", stop)
        patched.setattr("sightsound.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0)
        ss.train(table, out=run, **{**QUICK, "epochs": 3})


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_files_that_hold_something_else_are_not_gone_on_with(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modality: str
) -> None:
    run = tmp_path / "run"
    stopped(table, run, monkeypatch)
    log = run / "logs" / "joint" / "metrics.csv"
    [first] = pd.read_csv(log)["train_seconds"]
    name, write = {"image": ("low-3.png", write_image), "audio": ("low-3.wav", write_sound)}[modality]
    file = table.parent / name
    before = file.read_bytes()
    write(file, "high", np.random.default_rng(5))
    with pytest.raises(RunError, match=f"the {modality} files hold something else"):
        ss.train(table, out=run, resume=True, **{**QUICK, "epochs": 3})
    file.write_bytes(before)
    os.utime(file, (time.time(), time.time() + 9))  # the same again, with another time
    ss.train(table, out=run, resume=True, **{**QUICK, "epochs": 3})
    assert (run / "bundle").exists()
    epochs = pd.read_csv(log, index_col="epoch")
    assert list(epochs.index) == [0, 1, 2] and epochs.loc[0, "train_seconds"] == first  # not trained again


class Touch:
    """A pickle that makes a file when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, (f"open({str(self.file)!r}, 'w').close()",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "inside", "junk"])
def test_a_checkpoint_runs_nothing(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    import pickle

    import torch

    run = tmp_path / "run"
    stopped(table, run, monkeypatch)
    [last] = run.glob("checkpoints/*/last.ckpt")
    evil = Touch(tmp_path / "touched")
    if kind == "pickle":
        last.write_bytes(pickle.dumps(evil))
    elif kind == "torch":
        torch.save(evil, last)
    elif kind == "inside":
        torch.save({**torch.load(last, weights_only=True), "extra": evil}, last)
    else:
        last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"last\.ckpt.*nothing in it was run.*another --out"):
        ss.train(table, out=run, resume=True, **{**QUICK, "epochs": 3})
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("kind", ["other weights", "no optimizer", "no best"])
def test_a_checkpoint_that_does_not_fit_is_said(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import torch

    run = tmp_path / "run"
    stopped(table, run, monkeypatch)
    [last] = run.glob("checkpoints/*/last.ckpt")
    state = torch.load(last, weights_only=True)
    if kind == "no best":
        last.with_name("best.ckpt").unlink()
        message = "best.ckpt.*it is not there.*Delete its folder"
    else:
        del state["optimizer"]
        torch.save({"network": {"x": torch.zeros(1)}} if kind == "other weights" else state, last)
        message = "last.ckpt: of another version"
    with pytest.raises(RunError, match=message):
        ss.train(table, out=run, resume=True, **{**QUICK, "epochs": 3})


def test_the_umask_says_who_may_read_a_run(table: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        ss.train(table, out=tmp_path / "run", **QUICK)
    finally:
        os.umask(before)
    for path in (tmp_path / "run").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
