"""`sightsound train TABLE`: from a table to a run folder with bundle and report."""

from collections.abc import Sequence

from sightsound.cli.common import Parser, metrics_table, run_options
from sightsound.config import from_dict

EXAMPLE = """Trains a classifier on a table with the columns image, audio and label (paths and a class; an empty path
means that this sense is missing), on a folder of class/name.png and class/name.wav, or on a data set by name.

  sightsound train table.csv --fusion concat --out runs/first
  sightsound train table.csv --out runs/first --resume
  sightsound train photos_and_sounds/ --epochs 20 --image.height 96 --image.width 96
  sightsound train mnist+fsdd --root data/ --pairs 20000
"""


def run(arguments: Sequence[str]) -> None:
    """Parses and trains."""
    parser = Parser("train", "TABLE", EXAMPLE)
    given = run_options(parser, arguments)
    from sightsound.api import train

    classifier = train(**given.where, config=from_dict(given.options))
    print(f"\n{metrics_table(classifier.metrics)}")
