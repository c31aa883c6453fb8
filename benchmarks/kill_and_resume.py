"""SIGKILL at ten random moments of one training: does --resume always go on, and to the same result?

python benchmarks/kill_and_resume.py --kills 10
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sightsound as ss
from sightsound.data.sources import digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = digits.write(folder / "data")

        def begin(run: Path, *more: str) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "sightsound", "train", str(table), "--out", str(run), "--epochs", "20"]
            return subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        start = time.perf_counter()
        if begin(folder / "whole").wait():
            raise SystemExit("the training fails without a kill")
        seconds = time.perf_counter() - start
        expected = json.loads((folder / "whole" / "bundle" / "metrics.json").read_text())
        runs, moments, codes = [folder / "killed-0"], [], []
        while len(moments) < given.kills:
            process = begin(runs[-1], "--resume")
            time.sleep(rng.uniform(2, 0.7 * seconds))
            process.send_signal(signal.SIGKILL)
            code = process.wait()
            if (runs[-1] / "bundle").exists():
                ss.load(runs[-1] / "bundle")  # if it is there it is whole
            if code == 0:  # done before the kill
                codes.append(code)
                runs.append(folder / f"killed-{len(runs)}")
            else:
                moments.append(len(list(runs[-1].glob("checkpoints/*/last.ckpt"))) > 0)
        codes.append(begin(runs[-1], "--resume").wait())
        ended = [json.loads((run / "bundle" / "metrics.json").read_text()) for run in runs]
        print(
            json.dumps(
                {
                    "kills": len(moments),
                    "of these after the first checkpoint": sum(moments),
                    "runs": len(runs),
                    "exit codes": codes,
                    "accuracy without a kill": expected["subsets"]["image+audio"]["accuracy"],
                    "accuracy": [metrics["subsets"]["image+audio"]["accuracy"] for metrics in ended],
                    "all numbers equal": all(metrics == expected for metrics in ended),
                }
            )
        )


if __name__ == "__main__":
    main()
