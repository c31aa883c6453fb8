"""Measures the tests: changes one place of the code at a time, in a copy of the tree, and sees whether a test fails.

The changes lie in `mutations.toml` beside this file, each with the tests of its part. One that no test notices
survives, and calls for a test of the behaviour that it breaks.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("sightsound", "tests", "tools", "benchmarks", "configs", "docs", "examples", "*.md", "*.toml", "*.txt")
SURVIVING = 0.1  # this share of survivors, or more, is a failure
EXAMPLE = """\
examples:
  python tools/mutate.py                             all of them: about half an hour
  python tools/mutate.py --only mixup --only cache   those with "mixup" or "cache" in their names
  python tools/mutate.py --list                      names and files; nothing is run

exit status: 0; 1 if one in ten or more survives; 2 if the list does not fit the tree, or tests fail without a mutation
"""


class MutationError(Exception):
    """The list does not fit the tree."""


@dataclass(frozen=True)
class Mutation:
    """One change of the code.

    Attributes:
        name: what it breaks, in a few words.
        file: relative to the root of the tree.
        text: found exactly once in the file.
        replacement: of the text.
        tests: of that part, as pytest takes them.
    """

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


def read(path: Path) -> list[Mutation]:
    """All mutations of a list. Raises MutationError: one lacks a field, or has the name of another."""
    found = []
    for number, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))["mutation"], start=1):
        try:
            found.append(Mutation(**{**entry, "tests": tuple(entry["tests"])}))
        except (KeyError, TypeError) as error:
            raise MutationError(f"{path}: mutation {number} ({entry.get('name', 'no name')}): {error}") from error
    names = [mutation.name for mutation in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise MutationError(f"{path}: more than one mutation is called {', '.join(twice)}")
    return found


def mutated(mutation: Mutation, root: Path) -> str:
    """The file's content with the mutation. Raises MutationError: the text is not there exactly once."""
    file = root / mutation.file
    content = file.read_text(encoding="utf-8") if file.is_file() else ""
    if (count := content.count(mutation.text)) != 1:
        raise MutationError(f"{mutation.name}: its text is found {count} times in {mutation.file}, not once")
    return content.replace(mutation.text, mutation.replacement)


def copy(root: Path, place: Path) -> None:
    """Copies what tests need of the tree."""
    for path in (path for pattern in COPIED for path in root.glob(pattern)):
        if path.is_dir():
            shutil.copytree(path, place / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, place / path.name)


def run(tests: Iterable[str], root: Path, seconds: float) -> str:
    """Runs tests in a tree: "passed", "failed", or "time limit"."""
    # without bytecode, which two versions of a file written within one second would share
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return "time limit"
    return "failed" if done.returncode else "passed"


def survives(mutation: Mutation, root: Path, seconds: float) -> bool:
    """Applies one mutation to a copy, runs its tests, takes it back, and prints a row of the table."""
    file, begin = root / mutation.file, time.perf_counter()
    before, after = file.read_text(encoding="utf-8"), mutated(mutation, root)
    file.write_text(after, encoding="utf-8")
    result = run(mutation.tests, root, seconds)
    file.write_text(before, encoding="utf-8")
    shown = {"passed": "SURVIVED", "failed": "killed", "time limit": "killed (time limit)"}[result]
    print(f"{shown:20} {time.perf_counter() - begin:6.1f} s  {mutation.file:40} {mutation.name}", flush=True)
    return result == "passed"


def measure(mutations: list[Mutation], root: Path, seconds: float) -> int:
    """Tries all mutations on a copy of the tree; the exit status."""
    for mutation in mutations:
        mutated(mutation, root)  # a list that does not fit is known before anything is run
    with tempfile.TemporaryDirectory() as place:
        copy(root, Path(place))
        tests = sorted({test for mutation in mutations for test in mutation.tests})
        if run(tests, Path(place), seconds * len(tests)) != "passed":
            raise MutationError(f"without any mutation these do not pass: pytest {' '.join(tests)}")
        survivors = [mutation for mutation in mutations if survives(mutation, Path(place), seconds)]
    print(f"\n{len(mutations) - len(survivors)} of {len(mutations)} mutations were noticed.")
    for mutation in survivors:
        print(f"  survived: {mutation.name} ({mutation.file}); tests: {' '.join(mutation.tests)}")
    return int(len(survivors) >= SURVIVING * len(mutations))


def main() -> int:
    """The command."""
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE, formatter_class=about)
    parser.add_argument("--only", action="append", metavar="WORD", help="those with this word in their names or files")
    parser.add_argument("--list", action="store_true", help="show the mutations, check that they fit, run nothing")
    parser.add_argument("--seconds", type=float, default=120, help="time limit of one mutation's tests (%(default)s)")
    parser.add_argument("--mutations", type=Path, default=ROOT / "tools" / "mutations.toml", help="the list")
    parser.add_argument("--root", type=Path, default=ROOT, help="the tree, which is not changed")
    given = parser.parse_args()
    try:
        words = given.only or [""]
        chosen = [m for m in read(given.mutations) if any(word in m.name or word in m.file for word in words)]
        if not chosen:
            raise MutationError(f"no mutation has {' or '.join(words)} in its name or file; --list shows all")
        if given.list:
            for mutation in chosen:
                mutated(mutation, given.root)
                print(f"{mutation.file:40} {mutation.name}")
            return 0
        return measure(chosen, given.root, given.seconds)
    except MutationError as error:
        print(f"mutate: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
