"""The package root: every public name is there at run time and for a type checker, and none of them is Any."""

import ast
import inspect
import re
import subprocess
import sys
import typing
from importlib import import_module
from pathlib import Path

import pytest

import sightsound as ss
from sightsound import errors

ROOT = Path(ss.__file__).parent
NAMES = sorted(set(ss.__all__) - {"__version__"})
SETTINGS = """
[mypy]
strict = True
follow_imports = silent
[mypy-torch.*,pandas.*,scipy.*,sklearn.*,PIL.*,matplotlib.*,transformers.*]
follow_imports = skip
follow_imports_for_stubs = True
"""
PROGRAM = """
from typing import assert_type

import sightsound as ss


class Mine(ss.Fusion):
    pass


classifier = ss.train("table.csv", fusion="concat", epochs=3)
assert_type(classifier, ss.Classifier)
answer = classifier.predict(image="7.png")
assert_type(answer, ss.Prediction)
assert_type(answer.label, str)
assert_type(answer.clips, tuple[ss.Clip, ...])
assert_type(answer.imputed, dict[str, ss.Imputation])
comparison = ss.compare("table.csv", seeds=2, options=ss.CompareOptions(jobs=2))
assert_type(comparison.study, ss.ComparisonStudy)
assert_type(comparison.rows, list[ss.ComparisonRow])
assert_type(comparison.found, ss.Recommendation)
study = ss.robustness(classifier, "table.csv")
assert_type(study.curves, list[ss.RobustnessCurve])
assert_type(study.measured[0].condition, ss.Condition)
assert_type(ss.learning_curve("my.bundle", "table.csv"), list[ss.Fold])
assert_type(ss.translate(image="7.png", mode="sonify"), list[list[ss.Translation]])
assert_type(ss.load_translator("my.bundle"), ss.Translator)
"""


def typed_imports() -> dict[str, str]:
    """Name -> module, as the root's block for type checkers says."""
    found = {}
    for block in ast.parse((ROOT / "__init__.py").read_text()).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for line in block.body:
                assert isinstance(line, ast.ImportFrom)
                for alias in line.names:
                    assert alias.asname == alias.name  # else strict type checkers take it for private
                    found[alias.name] = str(line.module)
    return found


def checked(program: str, folder: Path) -> str:
    """What mypy --strict says of a user's file."""
    (folder / "program.py").write_text(program)
    (folder / "mypy.ini").write_text(SETTINGS)
    words = ["--config-file", "mypy.ini", "--cache-dir", "cache", "program.py"]
    found = {"MYPYPATH": str(ROOT.parent), "PATH": ""}
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=folder, env=found, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.stdout


def test_type_checkers_see_the_names_of_the_lazy_table() -> None:
    assert typed_imports() == {name: f"sightsound.{place}" for name, place in ss._PLACES.items()}


def test_each_name_is_loaded_from_where_it_is_defined() -> None:
    for name in NAMES:
        place = f"sightsound.{ss._PLACES[name]}"
        assert getattr(ss, name) is getattr(import_module(place), name)
        found = getattr(ss, name)
        assert place == (found.__name__.rpartition(".")[0] if inspect.ismodule(found) else found.__module__)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = ss.trian


def test_a_strict_type_checker_knows_every_name(tmp_path: Path) -> None:
    revealed = "".join(f"reveal_type(ss.{name})\n" for name in NAMES)
    said = checked(f"{PROGRAM}{revealed}ss.trian\n", tmp_path)
    problems = [line for line in said.splitlines() if ": error:" in line]
    assert len(problems) == 1 and '"trian"' in problems[0], said
    types = re.findall(r'Revealed type is "(.*)"', said)
    assert len(types) == len(NAMES) and "Any" not in types, said


def test_errors_results_and_base_classes_are_public() -> None:
    family = {name for name, of in vars(errors).items() if isinstance(of, type) and issubclass(of, ss.SightsoundError)}
    assert len(family) > 5 and family <= set(NAMES)
    assert {"Fusion", "Combined", "Encoder", "Imputer", "Vocoder"} <= set(NAMES)
    for name in NAMES:
        if inspect.isfunction(given := getattr(ss, name)):
            for kind in ours(typing.get_type_hints(given)["return"]):
                assert kind.__name__ in NAMES, f"{name} returns {kind}"


def ours(hint: object) -> list[type]:
    """The classes of the package within a type."""
    inside = [found for one in typing.get_args(hint) for found in ours(one)]
    own = isinstance(hint, type) and hint.__module__.startswith("sightsound")
    return [*inside, hint] if own and isinstance(hint, type) else inside
