"""Without an extra everything else works, and the user reads which one to install; each import is blocked for real."""

import subprocess
import sys
from pathlib import Path

import pytest

LOGS = """
from pathlib import Path
from sightsound.training.loop import Log
for stage in ("image", "joint"):
    with Log(Path(sys.argv[1]) / stage, 0) as log:
        log.write([{"epoch": 0, "train_loss": 0.5}])
"""


def without(module: str, code: str, *words: object) -> "subprocess.CompletedProcess[str]":
    """What the code says in a process of its own that cannot import the module."""
    code = f"import sys\nsys.modules[{module!r}] = None\n{code}"
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)


def test_without_tensorboard_the_numbers_are_kept_and_the_missing_log_is_said_once(tmp_path: Path) -> None:
    done = without("tensorboard", LOGS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "No TensorBoard log is written" in done.stderr
    assert done.stderr.count('pip install "sightsound[tensorboard]"') == 1
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["image/metrics.csv", "joint/metrics.csv"]


def test_with_tensorboard_its_log_is_written_and_nothing_is_said(tmp_path: Path) -> None:
    done = without("no_such_module", LOGS, tmp_path)
    assert done.returncode == 0 and "TensorBoard" not in done.stderr
    assert len(list(tmp_path.rglob("events.out.tfevents*"))) == 2


READ = {
    "video": "from sightsound.data.containers import _av as read; name = 'a.m4a'",
    "excel": "from sightsound.data.formats import _excel; from pathlib import Path; "
    "read = lambda name: _excel(Path(name), None, None); name = 'a.xlsx'",
    "hub": "from sightsound.data.sources.hub import _load as read; name = 'a/b'",
    "pretrained": "from sightsound.encoders.pretrained import _transformers; read = lambda name: _transformers(); "
    "name = ''",
    "embedded": "from sightsound.encoders.embedded import _weights; from sightsound.encoders.speech import Speech; "
    "read = lambda name: _weights(Speech((76, 32)), name); name = 'speech'",
}
MODULE = {"video": "av", "excel": "openpyxl", "hub": "datasets", "pretrained": "transformers", "embedded": "onnx"}


@pytest.mark.parametrize("extra", READ)
@pytest.mark.parametrize("raised", ["", "ImportError", "AttributeError"])
def test_an_extra_that_is_missing_or_fails_is_named_with_its_own_reason(
    extra: str, raised: str, tmp_path: Path
) -> None:
    module = MODULE[extra]
    (tmp_path / f"{module}.py").write_text(f"raise {raised}('libsome.so: cannot open')" if raised else "")
    code = f"sys.path.insert(0, {str(tmp_path)!r})\n" + ("" if raised else f"sys.modules[{module!r}] = None\n")
    code += f"from sightsound.errors import SightsoundError\n{READ[extra]}\n"
    code += "try:\n    read(name)\nexcept SightsoundError as error:\n    print(error)"
    done = without("no_such_module", code)
    assert done.returncode == 0, done.stderr
    if raised:
        assert f"needs the extra '{extra}', which fails with {raised}: libsome.so: cannot open." in done.stdout
        assert f'pip install --force-reinstall "sightsound[{extra}]"' in done.stdout
    else:
        assert f'needs an extra: pip install "sightsound[{extra}]" (import of {module}' in done.stdout
