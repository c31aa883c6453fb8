"""The demo as a user runs it: both modalities win by far, and the second time it is there at once."""

import json
import time
from pathlib import Path

from sightsound.report.errors import MEDIA_ROWS
from tests.processes import python


def test_demo(tmp_path: Path) -> None:
    command = ["-m", "sightsound", "demo", "--epochs", "5", "--out", tmp_path / "demo"]
    done = python(*command, whole_networks=True)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "demo" / "run"
    assert f"Report: {run / 'report.html'}" in done.stdout
    subsets = json.loads((run / "bundle" / "metrics.json").read_text())["subsets"]
    both, image, audio = (subsets[name]["accuracy"] for name in ("image+audio", "image", "audio"))
    assert 0.80 <= image <= 0.92 and 0.80 <= audio <= 0.92
    assert both >= max(image, audio) + 0.04
    page = (run / "report.html").read_text()
    wrong = round((1 - both) * 1078)
    assert f"{wrong} wrong rows of 1,078" in page
    assert page.count("<article") == page.count("<audio") == min(wrong, MEDIA_ROWS) + 6
    assert page.count('<figure class="chart') == 3 + 1 + 2 + 2
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page  # needs no network
    start = time.perf_counter()
    again = python(*command, whole_networks=True)
    assert again.returncode == 0 and time.perf_counter() - start < 30
    assert again.stdout.split("modalities")[1] == done.stdout.split("modalities")[1]
