"""Which strategy is best with few rows a class? Measured on groups that no other measurement here tests on.

For each number of rows a class and each draw, every strategy is trained on the same rows with the same seed, a fifth of
which validate, and tested on other groups. Accuracy, mean of the draws.

    python benchmarks/few_rows_fusion.py ../shared/data/signs/table.csv --leave-out 8 --test-groups 8 \
        --image lite0 --audio speech --rows 5,10,20
    python benchmarks/few_rows_fusion.py digits --image resnet --audio convnet --rows 5,10,20 --draws 2

Every training stays in `--out`; the same command goes on with it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from few_rows import BOTH, drawn

import sightsound as ss

FROZEN = ("lite0", "speech", "yamnet")
MOST_TEST_ROWS = 600


def number_of(group: str) -> tuple[int, str]:
    """Sorts groups with numbers for names by these, others by their names."""
    return (int(group) if group.isdigit() else 0, group)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="with groups; or digits")
    parser.add_argument("--rows", default="5,10,20", help="a class")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--fusion", default="concat,product")
    parser.add_argument("--image", required=True, help="the encoder of images")
    parser.add_argument("--audio", required=True, help="the encoder of sounds")
    parser.add_argument("--leave-out", type=int, default=0, help="groups with the highest numbers that are not read")
    parser.add_argument("--test-groups", type=int, default=20, help="of those that remain, with the highest numbers")
    parser.add_argument("--out", type=Path, default=Path("runs/few_rows_fusion"))
    given = parser.parse_args()
    table = ss.dataset(given.table) if given.table == "digits" else Path(given.table)
    frame = pd.read_csv(table, dtype=str)
    if "split" in frame:
        frame = frame[frame["split"] != "test"]
    for m in ("image", "audio"):
        frame[m] = [str((table.parent / name).resolve()) for name in frame[m]]
    groups = sorted(frame["group"].unique(), key=number_of)
    groups = groups[: len(groups) - given.leave_out]
    frame = frame[frame["group"].isin(groups)]
    frame["split"] = np.where(frame["group"].isin(groups[-given.test_groups :]), "test", "train")
    test = frame[frame["split"] == "test"]
    frame = pd.concat([frame[frame["split"] != "test"], test.sample(min(len(test), MOST_TEST_ROWS), random_state=0)])
    chosen = {"image": given.image, "audio": given.audio}
    encoders = {m: {"encoder": name, "frozen": name in FROZEN} for m, name in chosen.items()}
    names = given.fusion.split(",")
    print(f"rows a class | draws | {' | '.join(names)} | image | audio")
    for rows in map(int, given.rows.split(",")):
        found: dict[str, list[float]] = {}
        for draw in range(given.draws):
            some = drawn(frame.reset_index(drop=True), rows, draw)
            for name in names:
                out = given.out / f"{table.parent.name}-{rows}-{draw}-{name}"
                say = {"say": lambda line: None, "resume": True}
                measured = ss.train(some, out=out, fusion=name, seed=draw, **encoders, **say).metrics["subsets"]
                for subset in (BOTH, "image", "audio"):
                    key = name if subset == BOTH else subset
                    found.setdefault(key, []).append(measured[subset]["accuracy"])
        means = " | ".join(f"{np.mean(found[key]):.3f}" for key in [*names, "image", "audio"])
        print(f"{rows} | {given.draws} | {means}", flush=True)


if __name__ == "__main__":
    main()
