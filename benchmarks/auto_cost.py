"""What do the encoders that are chosen by measurement cost, beside the same ones by name?

Each data set is trained twice in processes of their own, with caches of their own: with all defaults, and with the
encoders that these chose. Seconds are of the processor, user and system together; memory is the largest resident one.

    python benchmarks/auto_cost.py digits "mnist+fsdd --root ../shared/data --pairs 3000" \
        "fsdd --root ../shared/data/fsdd --modalities audio" "../shared/data/signs/table.csv --group-split"
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import sightsound as ss


class Trained(NamedTuple):
    """What a training took, and what it gave."""

    seconds: float
    megabytes: float
    accuracy: float
    encoders: dict[str, tuple[str, bool]]


def trained(arguments: list[str], folder: Path) -> Trained:
    """Trains in a process of its own."""
    environment = os.environ | {"SIGHTSOUND_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "sightsound", "train", *arguments, "--out", str(folder / "run")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read() if process.stderr else ""
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(said)
    classifier = ss.load(folder / "run" / "bundle")
    encoders = {m: getattr(classifier.config, m) for m in classifier.config.modalities}
    accuracy = next(iter(classifier.metrics["subsets"].values()))["accuracy"]
    names = {m: (options.encoder, options.frozen) for m, options in encoders.items()}
    return Trained(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, accuracy, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="the arguments of a training, as one text each")
    given = parser.parse_args()
    print("data | encoders | seconds: auto, named, ratio | megabytes: auto, named | accuracy: auto, named")
    for text in given.data:
        with tempfile.TemporaryDirectory() as folder:
            auto = trained(shlex.split(text), Path(folder) / "auto")
            named = [f"--{m}.encoder={name}" for m, (name, _) in auto.encoders.items()]
            named += [f"--{m}.frozen" for m, (_, frozen) in auto.encoders.items() if frozen]
            by_name = trained(shlex.split(text) + named, Path(folder) / "named")
        encoders = ", ".join(name for name, _ in auto.encoders.values())
        ratio = auto.seconds / by_name.seconds
        print(
            f"{text.split()[0]} | {encoders} | {auto.seconds:.0f}, {by_name.seconds:.0f}, {ratio:.2f} | "
            f"{auto.megabytes:.0f}, {by_name.megabytes:.0f} | {auto.accuracy:.4f}, {by_name.accuracy:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
