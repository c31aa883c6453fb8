"""`sightsound robustness BUNDLE TABLE`: accuracy when files are missing, damaged, or contradict each other."""

from collections.abc import Sequence

from sightsound.cli.common import Parser, source_arguments, source_of, trust_argument
from sightsound.cli.tables import text_table

EXAMPLE = """Takes files away and damages them, more and more, and measures what is still right: missing
modalities in tenths of the rows under each policy, lost pixels and frames, 8 corruptions of images and 11 of sounds in
five severities, and sounds of another class. Writes robustness.html and robustness.csv.

  sightsound robustness runs/first/bundle table.csv --out runs/robust
  sightsound robustness runs/first/bundle table.csv --rows 500 --out runs/robust
  sightsound robustness runs/first/bundle table.csv --out runs/robust --resume
"""


def run(arguments: Sequence[str]) -> None:
    """Parses, measures and prints."""
    parser = Parser("robustness", "BUNDLE TABLE", EXAMPLE)
    parser.add_argument("bundle", help="folder written by train or compare")
    parser.add_argument("table", help="CSV, TSV, Excel, Parquet or JSON file, a folder of classes, or a name")
    parser.add_argument("--rows", type=int, default=2000, help="at most so many rows, drawn by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the rows and of everything that is drawn")
    parser.add_argument("--on_bad_file", choices=["stop", "skip"], default="stop", help="what to do about bad rows")
    parser.add_argument("--out", help="folder; default: a new one under runs/")
    parser.add_argument("--resume", action="store_true", help="go on with the study in --out")
    source_arguments(parser)
    trust_argument(parser)
    given = parser.parse(arguments)
    if given.resume and not given.out:
        parser.error("--resume needs --out FOLDER, the study to go on with")
    from sightsound.api import robustness
    from sightsound.studies.robustness.study import RobustnessOptions

    options = RobustnessOptions(given.rows, given.seed)
    skip = given.on_bad_file == "skip"
    done = robustness(
        given.bundle,
        given.table,
        source=source_of(given),
        options=options,
        out=given.out,
        resume=given.resume,
        skip_bad_files=skip,
        trust=given.trust,
    )
    rows = [
        [
            curve.kind,
            curve.modality,
            curve.policy,
            f"{curve.relative:.4f}",
            f"{curve.effective:+.4f}",
            f"{min(curve.accuracy):.4f}",
        ]
        for curve in sorted(done.curves, key=lambda curve: curve.relative)
    ]
    print(f"\n{text_table([['what', 'of', 'policy', 'relative', 'effective', 'at worst'], *rows])}")
