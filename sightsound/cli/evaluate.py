"""`sightsound evaluate BUNDLE TABLE`: numbers for each subset of the senses."""

import json
from collections.abc import Sequence
from pathlib import Path

from sightsound.cli.common import Parser, columns_of, metrics_table
from sightsound.config import ColumnsConfig

EXAMPLE = """Measures a classifier on a table with labels: accuracy, macro F1 and more, with 95 % intervals, for both
senses together and for each alone. If the table has a split column with test rows, only these count.

  sightsound evaluate runs/first/bundle table.csv
  sightsound evaluate runs/first/bundle table.csv --on-bad-file skip --out numbers.json
  sightsound evaluate runs/first/bundle table.csv --abstain-below 0.9
"""


def run(arguments: Sequence[str]) -> None:
    """Parses, measures and prints."""
    parser = Parser("evaluate", "BUNDLE TABLE", EXAMPLE)
    parser.add_argument("bundle", help="folder written by train")
    parser.add_argument("table", help="CSV, TSV, Parquet or JSON Lines file, or a folder of classes")
    parser.add_argument("--on_bad_file", choices=["stop", "skip"], default="stop", help="what to do about bad rows")
    parser.add_argument("--abstain_below", type=float, default=0.0, help="count only answers that are as probable")
    parser.add_argument("--out", help="JSON file for all numbers, also per class, and the confusion")
    parser.add_class_arguments(ColumnsConfig, "columns")
    given = parser.given(arguments)
    from sightsound.pipeline import load

    classifier, skip = load(given.bundle), given.on_bad_file == "skip"
    metrics = classifier.evaluate(given.table, columns_of(given), skip, given.abstain_below)
    print(metrics_table(metrics))
    for name, numbers in metrics["subsets"].items():
        if "abstaining" in numbers:
            left = numbers["abstaining"]
            of_these = "" if left["accuracy"] is None else f", of which {left['accuracy']:.4f} are right"
            print(f"{name}: {left['coverage']:.4f} of the rows are answered{of_these}")
    if given.out:
        Path(given.out).write_text(json.dumps(metrics, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"Everything: {given.out}")
