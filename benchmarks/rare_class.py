"""How much of a rare class is found, with and without favour for rare classes?

The embedded digits, of which one class (that of the seed's number) is thinned out, in training and validation rows, to
one row in so many. Test rows stay, so that there are enough of that class; but in precision and macro F1 they count as
if it were as rare there. The same network is asked three times: for the most probable class; under
`--logit-adjustment auto`; and for the recall at the precision that it has by the most probable class, anywhere on its
curve of precision and recall.

    python benchmarks/rare_class.py --one-in 50,200 --seeds 5

Every training stays in `--out`; the same command goes on with it.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import sightsound as ss
from sightsound.data.datasets import table_for
from sightsound.data.table import read_table


def thinned(rare: str, one_in: int, seed: int) -> pd.DataFrame:
    """The embedded digits with whole paths, and one class made rare."""
    table = read_table(table_for("digits", ss.SourceOptions()), ss.ColumnsConfig())
    frame = table.frame[["image", "audio", "label", "split", "group"]]
    for m in ("image", "audio"):
        frame = frame.assign(**{m: [str(table.path(name).resolve()) for name in frame[m]]})
    dropped = []
    for split in ("train", "val"):
        part = frame[frame["split"] == split]
        kept = max(round((part["label"] != rare).sum() / one_in), 1)
        dropped += part[part["label"] == rare].sample(frac=1, random_state=seed).index[kept:].tolist()
    return frame.drop(dropped)


def scores(target: np.ndarray, predicted: np.ndarray, rare: int, weight: np.ndarray) -> tuple[float, float, float]:
    """Recall and precision of the rare class, and macro F1, of weighted rows."""
    right = target == predicted
    each = []
    for k in np.unique(target):
        true, said = weight[target == k].sum(), weight[predicted == k].sum()
        each.append(2 * weight[(target == k) & right].sum() / (true + said))
    of_rare, said = target == rare, predicted == rare
    precision = weight[of_rare & said].sum() / weight[said].sum() if said.any() else 1.0
    return float(right[of_rare].mean()), float(precision), float(np.mean(each))


def recall_at(precision: float, target: np.ndarray, probability: np.ndarray, rare: int, weight: np.ndarray) -> float:
    """The highest recall of the rare class at a precision at least."""
    order = np.argsort(-probability, kind="stable")
    true = (target == rare)[order]
    shares = np.cumsum(true * weight[order]) / np.cumsum(weight[order])
    recalls = np.cumsum(true) / true.sum()
    return float(recalls[shares >= precision - 1e-9].max(initial=0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one-in", default="50,200", help="rows of the other classes for each of the rare one")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--class-weights", default="none", choices=["none", "balanced"])
    parser.add_argument("--out", type=Path, default=Path("runs/rare_class"))
    given = parser.parse_args()
    print("one in | seed | most probable: recall, precision, macro F1 | auto: the same | recall at that precision")
    for one_in in map(int, given.one_in.split(",")):
        found = []
        for seed in range(given.seeds):
            label = str(seed % 10)
            frame = thinned(label, one_in, seed)
            options = {"logit_adjustment": "auto", "class_weights": given.class_weights, "seed": seed}
            encoders = {"image": {"encoder": "resnet"}, "audio": {"encoder": "convnet"}}
            out = given.out / f"{given.class_weights}-{one_in}-{seed}"
            classifier = ss.train(frame, out=out, resume=True, say=lambda line: None, **options, **encoders)
            said = pd.read_csv(out / "predictions.csv", dtype={"label": str, "predicted": str})
            labels = classifier.classes_.tolist()
            probabilities = said[[f"p_{name}" for name in labels]].to_numpy()
            target, rare = pd.Index(labels).get_indexer(said["label"]), labels.index(label)
            weight = np.where(target == rare, (target != rare).sum() / one_in / (target == rare).sum(), 1.0)
            plain = scores(target, probabilities.argmax(1), rare, weight)
            favoured = scores(target, pd.Index(labels).get_indexer(said["predicted"]), rare, weight)
            found.append([*plain, *favoured, recall_at(plain[1], target, probabilities[:, rare], rare, weight)])
            print(f"{one_in} | {seed} | {' | '.join(f'{value:.3f}' for value in found[-1])}", flush=True)
        print(f"{one_in} | mean | {' | '.join(f'{value:.3f}' for value in np.mean(found, axis=0))}", flush=True)


if __name__ == "__main__":
    main()
