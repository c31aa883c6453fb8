"""The tree is what DESIGN and CONTRIBUTING say: imports go down the tiers, files stay short."""

import ast
from pathlib import Path

import pytest

import sightsound

ROOT = Path(sightsound.__file__).parent
REPOSITORY = ROOT.parent
FILES = sorted(ROOT.rglob("*.py"))

# A part imports only parts of a lower tier; files and folders of one tier don't import each other.
TIERS = {
    "types": 0,
    "errors": 0,
    "progress": 0,
    "hardware": 1,
    "config": 1,
    "registry": 1,
    "missing": 1,
    "data": 2,
    "features": 2,
    "encoders": 2,
    "fusion": 2,
    "bundle": 3,
    "run_folder": 3,
    "network": 4,
    "inference": 5,
    "classifier": 6,
    "training": 7,
    "studies": 8,
    "report": 9,
    "api": 10,
    "translation": 10,
    "cli": 11,
    "__main__": 12,
}
WINGS = {"translation"}  # nothing but the command line and the lazy root imports these


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names of everything a file imports, inside functions and type-checking blocks too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_the_tiers(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    for name in imported(path):
        if not name.startswith("sightsound"):
            continue
        other = name.split(".")[1]
        if other == "__version__":
            continue
        assert other not in WINGS or part in {other, "cli"}, f"{path} imports {name}"
        assert other in TIERS, f"{path} imports {name} from the package root"
        assert other == part or TIERS[other] < TIERS[part], f"{part} may not import {other}"


def test_every_part_has_a_tier() -> None:
    assert {part_of(path) for path in FILES} - {"__init__"} == set(TIERS)


@pytest.mark.parametrize("folder", ["sightsound", "tests", "benchmarks", "examples", "tools"])
def test_no_file_is_over_300_lines(folder: str) -> None:
    for path in (REPOSITORY / folder).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path


READERS = {f"data/{name}.py" for name in ("images", "depth", "values", "sounds", "interpolated")}  # behind `data.files`


def test_only_the_readers_open_images_and_sounds() -> None:
    # these write them, and read what they have written, or the data set's own
    writers = ("report/media.py", "data/sources/", "studies/robustness/corruptions.py")
    for path in FILES:
        where = str(path.relative_to(ROOT))
        if where not in READERS and not where.startswith(writers):
            assert not {"PIL.Image", "soundfile"} & imported(path), where


def test_every_file_begins_by_saying_what_it_does() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), path
