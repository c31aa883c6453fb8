"""SIGKILL at any moment: --resume goes on, nothing half-written is left, and the result is the same."""

import json
import random
import signal
import time
from pathlib import Path

import sightsound as ss
from tests.processes import EVERY_EPOCH, Started

KILLS = 2  # each at least one epoch further


def checkpoint(run: Path) -> int:
    """When the last checkpoint was written; 0: never."""
    last = run / "checkpoints" / "joint" / "last.ckpt"
    return last.stat().st_mtime_ns if last.exists() else 0


def test_kill_and_resume(table: Path, tmp_path: Path, typed) -> None:
    run = tmp_path / "killed"
    train = ["train", str(table), "--epochs", "9", "--patience", "9", "--batch-size", "8", "--out"]
    whole = typed(*train, tmp_path / "whole")
    assert whole.code == 0, whole.err
    expected = json.loads((tmp_path / "whole" / "bundle" / "metrics.json").read_text())

    rng = random.Random(0)
    killed = 0  # a busy machine may wake us only when the last run has ended
    for _ in range(KILLS):
        before = checkpoint(run)
        process = Started("-m", "sightsound", *train, run, "--resume", patched=EVERY_EPOCH)
        while process.runs() and checkpoint(run) == before:  # mid-training: not all at start-up
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        killed += process.end().returncode == -signal.SIGKILL
        if (run / "bundle").exists():  # if it is there it is whole
            ss.load(run / "bundle")
    assert killed > 0
    last = typed(*train, run, "--resume")
    assert last.code == 0, last.err
    assert json.loads((run / "bundle" / "metrics.json").read_text()) == expected
    weights = [(tmp_path / name / "bundle" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]
