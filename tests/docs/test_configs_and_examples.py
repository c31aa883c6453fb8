"""Every configuration fits the real options and names its command; every example runs."""

import runpy
import shlex
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
def test_examples(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])  # of which an example may add to
    runpy.run_path(str(path), run_name="__main__")
    assert f"python examples/{path.name}" in path.read_text()


@pytest.mark.parametrize("path", sorted((REPOSITORY / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_benchmarks_say_how_to_run_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"python benchmarks/{path.name}" in path.read_text()
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code == 0
