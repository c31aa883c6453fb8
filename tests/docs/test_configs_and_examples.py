"""Every configuration fits the real options and names its command; every example runs."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sightsound.config import from_dict

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_configs(path: Path, typed, table: Path, tmp_path: Path) -> None:
    text = path.read_text()
    command = shlex.split(text.splitlines()[0].removeprefix("#"))
    assert command[:2] == ["sightsound", "train"] and f"configs/{path.name}" in command
    from_dict(yaml.safe_load(text))
    done = typed("train", table, "--config", path, "--epochs", 1, "--out", tmp_path / "run")
    assert done.code == 0, done.err


@pytest.mark.parametrize("path", sorted((REPOSITORY / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert f"python examples/{path.name}" in path.read_text()


@pytest.mark.parametrize("path", sorted((REPOSITORY / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_benchmarks_say_how_to_run_them(path: Path) -> None:
    assert f"python benchmarks/{path.name}" in path.read_text()
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
