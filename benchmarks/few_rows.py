"""How good are the defaults with few rows a class, beside a logistic regression on frozen pretrained embeddings?

Tests on the groups with the highest numbers. For each number of rows a class and each draw: a training with all
defaults, which takes a fifth of the rows for validation, and logistic regressions on all of these rows, over the
embeddings of lite0 and speech, standardised; both modalities by the product of the two. Accuracy, mean of the draws and
the lowest.

    python benchmarks/few_rows.py ../shared/data/signs/table.csv --rows 5,10,20 --draws 5

Every training stays in `--out`; the same command goes on with it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sightsound as ss

BOTH = "image+audio"
VALIDATION = 5  # one of so many rows


def drawn(frame: pd.DataFrame, rows: int, draw: int) -> pd.DataFrame:
    """So many rows a class, the first of which validate, and all test rows; rows keep their index."""
    some = frame[frame["split"] != "test"].groupby("label").sample(rows, random_state=draw)
    validating = some.groupby("label").head(-(-rows // VALIDATION)).index
    some = some.assign(split=["val" if i in validating else "train" for i in some.index])
    return pd.concat([some, frame[frame["split"] == "test"]])


def regressed(frame: pd.DataFrame, embeddings: dict[str, np.ndarray]) -> dict[str, float]:
    """Accuracy of logistic regressions, for each modality and by the product of their probabilities."""
    known, test = frame["split"] != "test", frame["split"] == "test"
    said, label = {}, frame["label"].to_numpy()
    for m, values in embeddings.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        model.fit(values[frame.index[known]], label[known])
        said[m] = model.predict_proba(values[frame.index[test]])
    said[BOTH] = np.prod(list(said.values()), axis=0)
    return {name: float((model.classes_[p.argmax(1)] == label[test]).mean()) for name, p in said.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--rows", default="5,10,20", help="a class")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--test-groups", type=int, default=8)
    parser.add_argument("--fusion", default="auto", help="the strategy in place of the default one")
    parser.add_argument("--out", type=Path, default=Path("runs/few_rows"))
    given = parser.parse_args()
    frame = pd.read_csv(given.table, dtype=str)
    for m in ("image", "audio"):
        frame[m] = [str((given.table.parent / name).resolve()) for name in frame[m]]
    groups = sorted(frame["group"].unique(), key=int)[-given.test_groups :]
    frame["split"] = np.where(frame["group"].isin(groups), "test", "train")
    quiet = {"say": lambda line: None, "resume": True}
    frozen = {"image": {"encoder": "lite0", "frozen": True}, "audio": {"encoder": "speech", "frozen": True}}
    encoders = ss.train(drawn(frame, 10, 0), out=given.out / "encoders", epochs=1, **frozen, **quiet)
    embeddings = encoders.embed(frame.drop(columns="split"))
    print("rows a class | draws | what | defaults: mean, lowest | regression: mean, lowest | encoders")
    for rows in map(int, given.rows.split(",")):
        ours, theirs, names = [], [], []
        for draw in range(given.draws):
            some = drawn(frame, rows, draw)
            run = ss.train(some, out=given.out / f"{rows}-{draw}", seed=draw, fusion=given.fusion, **quiet)
            ours.append({name: run.metrics["subsets"][name]["accuracy"] for name in ("image", "audio", BOTH)})
            theirs.append(regressed(some, embeddings))
            names.append(f"{run.config.image.encoder}+{run.config.audio.encoder}")
        for name in ("image", "audio", BOTH):
            sides = [[one[name] for one in side] for side in (ours, theirs)]
            numbers = " | ".join(f"{np.mean(side):.3f}, {min(side):.3f}" for side in sides)
            print(f"{rows} | {given.draws} | {name} | {numbers} | {' '.join(sorted(set(names)))}", flush=True)


if __name__ == "__main__":
    main()
