"""A file that is missing from a wheel or a source archive is named, and so is one too many."""

from tools.check_package import BESIDE, faults

TRACKED = {"sightsound/__init__.py", "sightsound/py.typed"}
WHEEL = TRACKED | {"sightsound-0.1.0.dist-info/METADATA", "sightsound-0.1.0.dist-info/licenses/LICENSE"}
ARCHIVE = TRACKED | BESIDE | {"PKG-INFO", "sightsound.egg-info/SOURCES.txt"}


def test_nothing_is_said_of_a_whole_package() -> None:
    assert faults(WHEEL, ARCHIVE, TRACKED) == []


def test_what_is_missing_is_named() -> None:
    wheel, archive = WHEEL - {"sightsound/py.typed", *(p for p in WHEEL if "LICENSE" in p)}, ARCHIVE - {"README.md"}
    assert faults(wheel, archive, TRACKED) == [
        "missing from the wheel: sightsound/py.typed",
        "missing from the wheel: LICENSE",
        "missing from the source archive: README.md",
    ]


def test_what_is_too_much_is_named() -> None:
    tests = {"tests/test_classifier.py"}
    assert faults(WHEEL | tests, ARCHIVE | tests, TRACKED) == [
        "not wanted in the wheel: tests/test_classifier.py",
        "not wanted in the source archive: tests/test_classifier.py",
    ]
