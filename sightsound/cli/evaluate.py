"""`sightsound evaluate BUNDLE TABLE`: metrics for each subset of the modalities."""

import json
import sys
from collections.abc import Sequence

from jsonargparse import Namespace

from sightsound.cli.common import (
    Parser,
    columns_of,
    missing_arguments,
    missing_of,
    output_path,
    source_arguments,
    source_of,
    trust_argument,
)
from sightsound.cli.tables import metrics_table, text_table, withheld_alarms
from sightsound.config import columns_type

EXAMPLE = """Measures a classifier on a table with labels: accuracy, macro F1 and more, with 95 % intervals, for both
modalities together and for each one. If the table has a split column with test rows, only these count.

  sightsound evaluate runs/first/bundle table.csv
  sightsound evaluate runs/first/bundle table.csv --on-bad-file skip --out numbers.json
  sightsound evaluate runs/first/bundle table.csv --abstain-below 0.9
  sightsound evaluate runs/first/bundle table.csv --missing predict
  sightsound evaluate runs/first/bundle table.csv --leave-one-group-out --out runs/groups
  sightsound evaluate runs/first/bundle table.csv --learning-curve --out runs/sizes

The last two train anew with the same configuration: once without each group (speaker, site), which is then tested, or
on more and more of the training rows. They write generalization.html and .csv, and go on with --resume.
"""


def run(arguments: Sequence[str]) -> None:
    """Parses, measures and prints."""
    parser = Parser("evaluate", "BUNDLE TABLE", EXAMPLE)
    parser.add_argument("bundle", help="folder written by train")
    parser.add_argument("table", help="CSV, TSV, Excel, Parquet or JSON file, a folder of classes, or a name")
    parser.add_argument("--on_bad_file", choices=["stop", "skip"], default="stop", help="what to do about bad rows")
    parser.add_argument("--abstain_below", type=float, default=0.0, help="count only answers that are as probable")
    parser.add_argument("--leave_one_group_out", action="store_true", help="train without each group, test on it")
    parser.add_argument("--learning_curve", action="store_true", help="train on more and more rows")
    parser.add_argument("--out", help="JSON file for all numbers; of the two trainings: a folder, new or with --resume")
    parser.add_argument("--resume", action="store_true", help="go on with the trainings in --out")
    missing_arguments(parser)
    source_arguments(parser)
    trust_argument(parser)
    parser.add_class_arguments(columns_type(), "columns")
    given = parser.parse(arguments)
    if given.leave_one_group_out and given.learning_curve:
        parser.error("--leave-one-group-out and --learning-curve are two studies; give one of them")
    if given.leave_one_group_out or given.learning_curve:
        train_anew(given)
    else:
        measure(given)


def train_anew(given: Namespace) -> None:
    """Trains once for each group or size."""
    from sightsound.api import learning_curve, leave_one_group_out
    from sightsound.report.generalization import means
    from sightsound.studies.generalization import table_of

    study = leave_one_group_out if given.leave_one_group_out else learning_curve
    folds = study(
        given.bundle,
        given.table,
        source=source_of(given),
        columns=columns_of(given),
        missing=missing_of(given),
        out=given.out,
        resume=given.resume,
        skip_bad_files=given.on_bad_file == "skip",
        trust=given.trust,
    )
    table = table_of(folds)
    head = [
        "left out" if given.leave_one_group_out else "share",
        "modalities",
        "rows",
        "accuracy",
        "95 % interval",
        "gap",
    ]
    rows = [
        [r.name, r.modalities, r.tested, f"{r.accuracy:.4f}", f"{r.low:.4f} to {r.high:.4f}", f"{r.gap:+.4f}"]
        for r in table.itertuples(index=False)
    ]
    if given.leave_one_group_out:
        rows += [
            ["mean", subset, "", f"{mean.value:.4f}", f"{mean.low:.4f} to {mean.high:.4f}", ""]
            for subset, mean in means(table).items()
        ]
    print(f"\n{text_table([head, *rows])}")


def measure(given: Namespace) -> None:
    """Measures the classifier without training."""
    from sightsound.bundle import describe_decision
    from sightsound.classifier import load
    from sightsound.data.datasets import table_for, with_seed
    from sightsound.errors import RunError

    out = output_path(given.out, [given.bundle, given.table], [".json"]) if given.out else None  # before the work
    classifier, skip = load(given.bundle, trust=given.trust).under(missing_of(given)), given.on_bad_file == "skip"
    table = table_for(given.table, with_seed(source_of(given), classifier.config.seed))
    if note := withheld_alarms(classifier, given.abstain_below):
        print(note, file=sys.stderr)
    metrics = classifier.evaluate(table, columns_of(given), skip, given.abstain_below)
    print(metrics_table(metrics))
    for sentence in describe_decision(classifier.network.decision.named(classifier.classes_.tolist()), metrics):
        print(sentence)
    if "left_out" in metrics:
        print(f"{metrics['left_out']} row(s) without all modalities are left out, as the policy drop says.")
    for name, numbers in metrics["subsets"].items():
        if "abstaining" in numbers:
            left = numbers["abstaining"]
            of_these = "" if left["accuracy"] is None else f", of which {left['accuracy']:.4f} are right"
            print(f"{name}: {left['coverage']:.4f} of the rows are answered{of_these}")
    if out:
        try:
            out.write_text(json.dumps(metrics, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise RunError(f"{out}: cannot be written: {error}. Give another --out.") from error
        print(f"Everything: {out}")
