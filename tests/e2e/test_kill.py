"""SIGKILL at any moment: --resume goes on, nothing half-written is left, and the result is the same."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import sightsound as ss

KILLS = 3


def test_kill_and_resume(table: Path, tmp_path: Path) -> None:
    options = ["--epochs", "25", "--patience", "25", "--batch-size", "8"]

    def begin(run: Path, *more: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sightsound", "train", str(table), "--out", str(run), *options, *more]
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)

    start = time.perf_counter()
    whole = begin(tmp_path / "whole")
    _, err = whole.communicate()
    assert whole.returncode == 0, err
    duration = time.perf_counter() - start
    expected = json.loads((tmp_path / "whole" / "bundle" / "metrics.json").read_text())

    rng = random.Random(0)
    run = tmp_path / "killed"
    killed = 0
    for _ in range(KILLS):
        process = begin(run, "--resume")
        time.sleep(duration * rng.uniform(0.3, 0.95))
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += process.returncode == -signal.SIGKILL
        if (run / "bundle").exists():  # if it is there it is whole
            ss.load(run / "bundle")
    last = begin(run, "--resume")
    _, err = last.communicate()
    assert last.returncode == 0, err
    assert killed
    assert json.loads((run / "bundle" / "metrics.json").read_text()) == expected
    weights = [(tmp_path / name / "bundle" / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]
