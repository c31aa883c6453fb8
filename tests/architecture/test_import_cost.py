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


def test_an_answer_brings_only_what_it_needs(trained: tuple[Path, Path]) -> None:
    """Each of these costs half a second or more; a service and a command pay for it at every start."""
    table, run = trained
    code = (
        "import sys, sightsound as ss\n"
        f"ss.load({str(run / 'bundle')!r}).predict(image={str(table.parent / 'low-0.png')!r})\n"
        "print([m for m in ('torch._dynamo', 'scipy.stats', 'lightning', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
