"""`sightsound compare TABLE`: which fusion strategy is best for these data, with the evidence."""

from collections.abc import Sequence
from dataclasses import fields

from sightsound.cli.common import Parser, source_of, text_table
from sightsound.config import Config, from_dict
from sightsound.data.sources.base import SourceOptions

EXAMPLE = """Trains both senses, then every fusion strategy on the same data and budget, several times over; recommends
one in words; writes compare.html, compare.csv, compare.json and the winner's bundle.

  sightsound compare table.csv --out runs/compared
  sightsound compare table.csv --strategies concat,product,mmtm --seeds 5 --budget 30 --out runs/compared
  sightsound compare table.csv --out runs/compared --resume
"""
OF_STRATEGIES = {"fusion", "schedule", "balance", "modality_dropout"}


def run(arguments: Sequence[str]) -> None:
    """Parses, compares and prints."""
    parser = Parser("compare", "TABLE", EXAMPLE)
    parser.add_argument("table", help="CSV, TSV, Parquet or JSON Lines file, a folder of classes, or a name")
    parser.add_argument("--strategies", default="all", help="names with commas between, or all (default: all)")
    parser.add_argument("--seeds", type=int, default=3, help="how often everything is trained (default: 3)")
    parser.add_argument("--budget", type=float, help="minutes after which nothing new is begun (default: no limit)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time (default: 1)")
    parser.add_argument("--out", help="run folder; default: a new one under runs/")
    parser.add_argument("--resume", action="store_true", help="go on with the comparison in --out")
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(Config, nested_key=None, skip=OF_STRATEGIES)
    parser.add_class_arguments(SourceOptions, nested_key=None, skip={"seed", "on_bad_file"})
    given = parser.given(arguments).as_dict()
    table, out, resume = given.pop("table"), given.pop("out"), given.pop("resume")
    given.pop("config", None)
    source = source_of(given)
    from sightsound.api import compare
    from sightsound.studies.compare import CompareOptions

    if resume and not out:
        parser.error("--resume needs --out RUN_FOLDER, the comparison to go on with")
    options = CompareOptions(**{f.name: given.pop(f.name) for f in fields(CompareOptions)})
    done = compare(table, source=source, compare=options, out=out, resume=resume, config=from_dict(given))
    head = ["strategy", "family", "training", "accuracy", "95 % interval", "macro F1", "ms for 256", "train s"]
    lines = [
        [
            row.name,
            row.family,
            row.training,
            f"{row.accuracy:.4f}",
            f"{row.accuracy_low:.4f} to {row.accuracy_high:.4f}",
            f"{row.macro_f1:.4f}",
            f"{row.latency_256_ms:.1f}",
            f"{row.train_seconds:.1f}",
        ]
        for row in sorted(done.rows, key=lambda row: -row.accuracy)
    ]
    print(f"\n{text_table([head, *lines])}\n")
    print("\n".join(f"- {line}" for line in done.found.lines))
