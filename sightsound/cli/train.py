"""`sightsound train TABLE`: from a table to a run folder with bundle and report."""

from collections.abc import Sequence
from typing import Any

from sightsound.cli.common import Parser, run_options
from sightsound.cli.tables import metrics_table
from sightsound.config import from_dict
from sightsound.modalities.base import MODALITIES

EXAMPLE = """Trains a classifier on a table with the columns image, audio and label (paths and a class; an empty path
means that this modality is missing), on a folder of class/name.png and class/name.wav, or on a data set by name.

  sightsound train table.csv --out runs/first
  sightsound train table.csv --out runs/first --resume
  sightsound train photos_and_sounds/ --epochs 20 --image.height 96 --image.width 96
  sightsound train mnist+fsdd --root data/ --pairs 20000
"""

TOGETHER = """Neither modality alone is better than chance. If only both together tell the class, encoders have to learn
from the fused answer: --schedule fusion+joint --balance fused-only. `sightsound compare` finds out."""

RARE = 0.5  # of the rows of the mean class
NEVER_FOUND = """None of the {rows} {split} row(s) of {labels} was recognised. Where a class is rare, accuracy
hides that: more rows of it help most; the recall of each class is in the report."""


def run(arguments: Sequence[str]) -> None:
    """Parses and trains."""
    parser = Parser("train", "TABLE", EXAMPLE)
    given = run_options(parser, arguments)
    from sightsound.api import train
    from sightsound.bundle import describe_decision, describe_guard

    classifier = train(**given.where, config=from_dict(given.options))
    metrics = classifier.metrics
    if metrics["split"] != "test":
        print("\nThere are no test rows. These are the validation rows, by which the training chose: too good.")
    print(f"\n{metrics_table(metrics)}")
    decision = classifier.network.decision.named(classifier.classes_.tolist())
    for sentence in [*describe_decision(decision, metrics), *describe_guard(metrics["guard"])]:
        print(sentence)
    if hint := _hint(metrics, classifier.config.balance):
        print(f"\n{hint}")


def _hint(metrics: dict[str, Any], balance: str) -> str:
    """What to try next, where the numbers say so; else nothing."""
    import numpy as np

    from sightsound.data.cautions import FEWEST_ROWS

    tables = {name: np.array(numbers["confusion"]) for name, numbers in metrics["subsets"].items()}  # true, predicted
    alone = [m for m in MODALITIES if m in tables]
    judged = len(alone) > 1 and min(tables[m].sum(axis=1).min() for m in alone) >= FEWEST_ROWS
    if balance == "detached" and judged and all(metrics["subsets"][m].get("at_chance") for m in alone):
        return TOGETHER
    name, whole = next(iter(tables.items()))
    rows = whole.sum(axis=1)
    never = np.flatnonzero((np.diag(whole) == 0) & (rows > 0) & (rows < RARE * rows.mean()))
    labels = list(metrics["subsets"][name]["per_class"])
    if not len(never):
        return ""
    return NEVER_FOUND.format(
        rows=rows[never].sum(), split=metrics["split"], labels=", ".join(repr(labels[i]) for i in never[:3])
    )
