"""`sightsound train TABLE`: from a table to a run folder with bundle and report."""

from collections.abc import Sequence
from typing import Any

from sightsound.cli.common import Parser, metrics_table, run_options
from sightsound.config import from_dict
from sightsound.types import MODALITIES

EXAMPLE = """Trains a classifier on a table with the columns image, audio and label (paths and a class; an empty path
means that this sense is missing), on a folder of class/name.png and class/name.wav, or on a data set by name.

  sightsound train table.csv --fusion concat --out runs/first
  sightsound train table.csv --out runs/first --resume
  sightsound train photos_and_sounds/ --epochs 20 --image.height 96 --image.width 96
  sightsound train mnist+fsdd --root data/ --pairs 20000
"""

HINT = """Neither sense alone is better than chance. If only both together tell the class, encoders have to learn from
the fused answer: --schedule fusion+joint --balance none. `sightsound compare` finds out."""


def run(arguments: Sequence[str]) -> None:
    """Parses and trains."""
    parser = Parser("train", "TABLE", EXAMPLE)
    given = run_options(parser, arguments)
    from sightsound.api import train

    classifier = train(**given.where, config=from_dict(given.options))
    print(f"\n{metrics_table(classifier.metrics)}")
    if classifier.config.balance == "apart" and _nothing_alone(classifier.metrics):
        print(f"\n{HINT}")


def _nothing_alone(metrics: dict[str, Any]) -> bool:
    """Whether two senses were there and neither alone says anything about the class."""
    import numpy as np

    from sightsound.metrics import at_chance

    tables = [np.array(metrics["subsets"][m]["confusion"]) for m in MODALITIES if m in metrics["subsets"]]
    return len(tables) > 1 and all(at_chance(int(np.trace(table)), table.sum(axis=1)) for table in tables)
