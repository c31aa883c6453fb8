"""`sightsound train TABLE`: from a table to a run folder with bundle and report."""

from collections.abc import Sequence

from sightsound.cli.common import Parser, metrics_table, source_of
from sightsound.config import Config, from_dict
from sightsound.data.sources.base import SourceOptions

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
    parser.add_argument("table", help="CSV, TSV, Parquet or JSON Lines file, a folder of classes, or a name")
    parser.add_argument("--out", help="run folder; default: a new one under runs/")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(Config, nested_key=None)
    parser.add_class_arguments(SourceOptions, nested_key=None, skip={"seed", "on_bad_file"})
    given = parser.given(arguments).as_dict()
    table, out, resume = given.pop("table"), given.pop("out"), given.pop("resume")
    given.pop("config", None)
    source = source_of(given)
    from sightsound.api import train

    if resume and not out:
        parser.error("--resume needs --out RUN_FOLDER, the run to go on with")
    classifier = train(table, source=source, out=out, resume=resume, config=from_dict(given))
    print(f"\n{metrics_table(classifier.metrics)}")
