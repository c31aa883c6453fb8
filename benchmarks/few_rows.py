"""How good are the defaults with few rows a class, beside a logistic regression on frozen pretrained embeddings?

Tests on the table's test rows, or on the groups with the highest numbers where it has none. For each number of rows a
class and each draw: a training with all defaults, which takes a fifth of the rows for validation, and logistic
regressions on all of these rows, over the embeddings of lite0 and speech, standardised; both modalities by the product
of the two. Accuracy, mean of the draws and the lowest.

    python benchmarks/few_rows.py ../shared/data/signs/table.csv --rows 5,10,20 --draws 5
    python benchmarks/few_rows.py mnist+fsdd --root ../shared/data --rows 5,10,20 --draws 5

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
from sightsound.data.datasets import table_for
from sightsound.data.table import read_table

BOTH = "image+audio"
VALIDATION = 5  # one of so many rows
DRAWN_FROM = 3000  # rows at most, whose embeddings are computed


def rows_of(given: argparse.Namespace) -> pd.DataFrame:
    """All rows, with whole paths and an index from 0; `split` is test or train."""
    source = ss.SourceOptions(root=given.root)
    table = read_table(table_for(given.table, source), ss.ColumnsConfig())
    frame = table.frame[["image", "audio", "label", "split", "group"]]
    for m in ("image", "audio"):
        frame = frame.assign(**{m: [str(table.path(name).resolve()) for name in frame[m]]})
    if (frame["split"] == "test").any():
        test = frame[frame["split"] == "test"].sample(frac=1, random_state=0).head(given.test_rows)
    else:
        groups = sorted(frame["group"].unique(), key=int)[-given.test_groups :]
        test = frame[frame["group"].isin(groups)]
    left = frame.drop(test.index)
    left = left[left["split"] != "test"]
    if len(left) > DRAWN_FROM:
        left = left.sample(DRAWN_FROM, random_state=0)
    return pd.concat([left.assign(split="train"), test.assign(split="test")]).sort_index().reset_index(drop=True)


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
    parser.add_argument("table", help="a file, or a data set by name")
    parser.add_argument("--root", help="the folder of a named data set")
    parser.add_argument("--rows", default="5,10,20", help="a class")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--test-groups", type=int, default=8, help="where the table names no test rows")
    parser.add_argument("--test-rows", type=int, default=1000, help="at most, where it does")
    parser.add_argument("--fusion", default="auto", help="the strategy in place of the default one")
    parser.add_argument("--out", type=Path, default=Path("runs/few_rows"))
    given = parser.parse_args()
    frame = rows_of(given)
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
