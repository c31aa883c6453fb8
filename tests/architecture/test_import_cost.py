"""Importing the package and asking for help cost next to nothing."""

import subprocess
import sys
import time
from pathlib import Path


def test_import_brings_no_torch() -> None:
    code = (
        "import sys, sightsound, sightsound.cli; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_help_is_instant() -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sightsound", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.4


def test_help_of_each_verb_brings_no_torch() -> None:
    for verb in ("train", "predict", "evaluate", "inspect", "demo"):
        code = (
            f"import sys\nfrom sightsound import cli\nsys.argv = ['sightsound', '{verb}', '--help']\n"
            "try:\n    cli.main()\nexcept SystemExit:\n    print('torch' in sys.modules)"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        assert out.endswith("False\n"), (verb, out)
        assert f"sightsound {verb} " in out  # an example


HEAVY = ("torch._dynamo", "scipy.stats", "scipy.interpolate", "matplotlib", "sklearn", "torchmetrics")
# each costs half a second or more


def test_answers_and_checks_bring_only_what_they_need(trained: tuple[Path, Path]) -> None:
    """A service and a command pay for what they import at every start."""
    table, bundle = str(trained[0]), str(trained[1] / "bundle")
    code = (
        f"import sys\nfrom sightsound import cli\nfor words in {[['predict', bundle, table], ['inspect', table]]}:\n"
        f"    sys.argv = ['sightsound', *words]\n    try:\n        cli.main()\n    except SystemExit as end:\n"
        f"        print(end.code, [m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("0 [")] == ["0 []"] * 2, done.stderr


def test_training_brings_only_what_it_needs() -> None:
    code = f"import sys, sightsound.api\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
