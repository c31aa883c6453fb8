"""Without an extra everything else works, and the user reads which one to install; each import is blocked for real."""

import subprocess
import sys
from pathlib import Path

LOGS = """
from pathlib import Path
from sightsound.training.loop import Log
for stage in ("image", "joint"):
    with Log(Path(sys.argv[1]) / stage, 0) as log:
        log.write([{"epoch": 0, "train_loss": 0.5}])
"""


def without(module: str, code: str, *words: object) -> "subprocess.CompletedProcess[str]":
    """What the code says in a process of its own that cannot import the module."""
    code = f"import sys\nsys.modules[{module!r}] = None\n{code}"
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)


def test_without_tensorboard_the_numbers_are_kept_and_the_missing_log_is_said_once(tmp_path: Path) -> None:
    done = without("tensorboard", LOGS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "No TensorBoard log is written" in done.stderr
    assert done.stderr.count('pip install "sightsound[tensorboard]"') == 1
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["image/metrics.csv", "joint/metrics.csv"]


def test_with_tensorboard_its_log_is_written_and_nothing_is_said(tmp_path: Path) -> None:
    done = without("no_such_module", LOGS, tmp_path)
    assert done.returncode == 0 and "TensorBoard" not in done.stderr
    assert len(list(tmp_path.rglob("events.out.tfevents*"))) == 2
