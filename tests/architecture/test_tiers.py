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
    "registry": 1,
    "hardware": 1,
    "downloads": 1,
    "modalities.base": 1,  # what one is, and the names of all; the rest of the folder is found through it
    "config": 2,
    "missing": 2,
    "data": 3,
    "features": 3,
    "encoders": 3,
    "fusion": 3,
    "modalities": 4,
    "bundle": 5,
    "run_folder": 5,
    "network": 6,
    "inference": 7,
    "classifier": 8,
    "training": 9,
    "studies": 10,
    "report": 11,
    "api": 12,
    "translation": 12,
    "estimator": 13,
    "cli": 13,
    "__main__": 14,
}
WINGS = {"translation"}  # nothing but the command line and the lazy root imports these


def part_of(path: Path) -> str:
    return part_named(".".join(path.relative_to(ROOT).with_suffix("").parts))


def part_named(name: str) -> str:
    """The part that a module is in, or is."""
    first, second = [*name.split("."), ""][:2]
    return f"{first}.{second}" if f"{first}.{second}" in TIERS else first


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
        other = part_named(name.partition(".")[2])
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
    writers = ("modalities/media.py", "data/sources/", "modalities/corruptions.py")
    for path in FILES:
        where = str(path.relative_to(ROOT))
        if where not in READERS and not where.startswith(writers):
            assert not {"PIL.Image", "soundfile"} & imported(path), where


def test_every_file_begins_by_saying_what_it_does() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), path
