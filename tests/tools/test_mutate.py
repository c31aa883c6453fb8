"""The script that measures the tests: on a tree of one function, one test and two mutations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "mutate.py"
FILES = {
    "sightsound/double.py": "def double(x):\n    return 2 * x\n",
    "tests/test_double.py": "from sightsound.double import double\n\n\ndef test_it():\n    assert double(-2) == -4\n",
}


def entry(name: str, text: str, replacement: str) -> str:
    about = {"name": name, "file": "sightsound/double.py", "text": text, "replacement": replacement}
    return "\n".join(["[[mutation]]", *(f'{key} = "{value}"' for key, value in about.items()), 'tests = ["tests"]\n'])


WRONG, SAME = entry("three times", "2 * x", "3 * x"), entry("a sign too many", "2 * x", "+2 * x")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    return tmp_path


def mutate(tree: Path, mutations: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (tree / "list.toml").write_text(mutations)
    command = [sys.executable, str(SCRIPT), "--root", str(tree), "--mutations", str(tree / "list.toml"), *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # which take longer to begin than these tests
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_what_no_test_notices_survives_and_the_tree_stays(tree: Path) -> None:
    done = mutate(tree, WRONG + SAME)
    killed, survived, *_ = done.stdout.splitlines()
    assert done.returncode == 1 and "1 of 2 mutations were noticed." in done.stdout, done.stderr
    assert killed.startswith("killed") and killed.endswith("three times")
    assert survived.startswith("SURVIVED") and survived.endswith("a sign too many")
    assert done.stdout.splitlines()[-1].startswith("  survived: a sign too many (sightsound/double.py)")
    assert {name: (tree / name).read_text() for name in FILES} == FILES
    assert mutate(tree, WRONG + SAME, "--only", "three").returncode == 0


@pytest.mark.parametrize(
    ("mutations", "said"),
    [
        (WRONG + entry("gone", "4 * x", "x"), "gone: its text is found 0 times in sightsound/double.py, not once"),
        (entry("often", "x", "y"), "often: its text is found 2 times"),
        (WRONG + WRONG, "more than one mutation is called three times"),
        (WRONG.replace("text", "words"), "mutation 1 (three times)"),
        (entry("too late", "2 * x", "3 * x").replace('["tests"]', '["tests/none.py"]'), "these do not pass"),
    ],
)
def test_a_list_that_does_not_fit_is_said(tree: Path, mutations: str, said: str) -> None:
    done = mutate(tree, mutations)
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_the_list_is_shown() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--list"], capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) > 70
