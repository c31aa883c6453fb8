"""`sightsound train TABLE`: from a table to a run folder with bundle and report."""

from collections.abc import Sequence

from sightsound.cli.common import Parser, metrics_table
from sightsound.config import Config, from_dict

EXAMPLE = """Trains a classifier on a table with the columns image, audio and label (paths and a class; an empty path
means that this sense is missing), or on a folder of class/name.png and class/name.wav.

  sightsound train table.csv --fusion concat --out runs/first
  sightsound train table.csv --out runs/first --resume
  sightsound train photos_and_sounds/ --epochs 20 --image.height 96 --image.width 96
"""


def run(arguments: Sequence[str]) -> None:
    """Parses and trains."""
    parser = Parser("train", "TABLE", EXAMPLE)
    parser.add_argument("table", help="CSV, TSV, Parquet or JSON Lines file, or a folder of classes")
    parser.add_argument("--out", help="run folder; default: a new one under runs/")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(Config, nested_key=None)
    given = parser.given(arguments).as_dict()
    table, out, resume = given.pop("table"), given.pop("out"), given.pop("resume")
    given.pop("config", None)
    from sightsound.api import train

    if resume and not out:
        parser.error("--resume needs --out RUN_FOLDER, the run to go on with")
    classifier = train(table, out=out, resume=resume, config=from_dict(given))
    print(f"\n{metrics_table(classifier.metrics)}")
