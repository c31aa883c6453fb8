"""What interpolation gives back of lost sound: its accuracy alone, under each policy, over several draws of the gaps.

    python benchmarks/lost_frames.py BUNDLE TABLE --draws 6 --rows 600

Frames of 10 ms are lost in bursts of 50 ms; every policy is told which. "given back" is the share of what zeros lose.
Prints JSON lines.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import sightsound as ss
from sightsound.inference.subsets import answer_rows
from sightsound.studies.robustness.conditions import Condition, lose_parts
from sightsound.studies.robustness.study import RobustnessOptions, decoded_rows

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("bundle", type=Path)
parser.add_argument("table")
parser.add_argument("--draws", type=int, default=6)
parser.add_argument("--rows", type=int, default=600)


def main() -> None:
    given = parser.parse_args()
    classifier = ss.load(given.bundle)
    table, _, _ = classifier.labelled_rows(given.table)
    decoded, _ = decoded_rows(classifier, table, RobustnessOptions(given.rows))
    options = classifier.config.audio

    def accuracy(rows) -> float:
        said = answer_rows(classifier.network, rows, decoded.numbers).probabilities[("audio",)]
        return float((said.argmax(1) == decoded.target).mean())

    clean = accuracy(decoded.rows)
    for share in (0.3, 0.5):
        found = {}
        for policy in ("ignore", "linear", "gaussian"):
            condition = Condition("lost frames", "audio", share, policy)
            draws = [np.random.default_rng([draw, 7]) for draw in range(given.draws)]
            found[policy] = float(np.mean([accuracy(lose_parts(decoded, condition, options, rng)) for rng in draws]))
        for policy, value in found.items():
            back = (value - found["ignore"]) / (clean - found["ignore"])
            print(
                json.dumps(
                    {"share": share, "policy": policy, "accuracy": round(value, 4), "given_back": round(back, 2)}
                )
            )


if __name__ == "__main__":
    main()
