"""`sightsound predict BUNDLE`: the class of an image, a sound, a pair, or of each row of a table or folder."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

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
from sightsound.cli.tables import text_table, withheld_alarms
from sightsound.config import columns_type, mask_columns
from sightsound.modalities.base import MODALITIES, modality

if TYPE_CHECKING:
    import pandas as pd

    from sightsound.classifier import Classifier
    from sightsound.data.table import Rejected, Table

EXAMPLE = """Classifies files, and reports each modality's unimodal prediction. Of a table all columns are kept, and the
answers stand beside them: "predicted", "probability", p_CLASS for each class. A row that cannot be used has the reason
in the column "error" and no class; one of which one file can be used gets its answer from this, and the reason in
"image_error" or "audio_error". Of a sound cut into clips there is a line for the whole and one for each clip, with its
start and end in seconds. "disagreement" says how much the modalities disagree, from 0 to 1; "ood_score" which share of
the validation rows look less unusual. What is missing or damaged is treated as --missing says; "imputed" says which
share of a file was filled in (1: the whole modality), "uncertainty" how unsure that is.

  sightsound predict runs/first/bundle --image 7.png --audio seven.wav
  sightsound predict runs/first/bundle --audio seven.wav --format json
  sightsound predict runs/first/bundle table.csv --abstain-below 0.8 --out answers.parquet
  sightsound predict runs/first/bundle table.csv --missing gaussian --out answers.csv
  sightsound predict runs/first/bundle table.csv --out answers.csv --resume
  sightsound predict runs/first/bundle new_files/ --out answers.csv
"""
FORMATS = ["text", "json", "csv", "parquet"]


def run(arguments: Sequence[str]) -> None:
    """Parses, predicts and prints or writes."""
    parser = Parser("predict", "BUNDLE [TABLE]", EXAMPLE)
    parser.add_argument("bundle", help="folder written by train")
    parser.add_argument("table", nargs="?", help="classify every row of this table, or all files of this folder")
    for name in MODALITIES:
        parser.add_argument(f"--{name}", help=f"{name} file")
    parser.add_argument("--abstain_below", type=float, default=0.0, help="give no label where it is less probable")
    missing_arguments(parser)
    trust_argument(parser)
    parser.add_argument(
        "--format", choices=FORMATS, help="default: by the ending of --out, else text; json is JSON Lines"
    )
    parser.add_argument("--out", help=".csv, .parquet, .json or .jsonl file to write to, in place of the screen")
    parser.add_argument("--resume", action="store_true", help="go on with --out where a stopped call left off")
    parser.add_class_arguments(columns_type(), "columns")
    source_arguments(parser)
    given = parser.parse(arguments)
    if (given.table is None) == (not files_given(given)):
        parser.error(f"give either a table, or {' and/or '.join(f'--{m}' for m in MODALITIES)}")
    if given.resume and not (given.out and given.table):
        parser.error("--resume needs a table and --out FILE, the file to go on with")
    out, form = where(parser, given)
    from sightsound.classifier import load

    classifier = load(given.bundle, trust=given.trust).under(missing_of(given))
    if note := withheld_alarms(classifier, given.abstain_below):
        print(note, file=sys.stderr)
    if given.table is None:
        one(classifier, given, form, out)
    else:
        table(classifier, given, form, out)


def files_given(given: Namespace) -> dict[str, str]:
    """Returns the single files that were typed, by modality."""
    return {m: given[m] for m in MODALITIES if given[m] is not None}


def where(parser: Parser, given: Namespace) -> tuple[Path | None, str]:
    """Returns the file to write to, if there is one, and the format."""
    from sightsound.cli.prediction_file import FORMS

    if not given.out:
        if given.format == "parquet":
            parser.error("Parquet is not for the screen; give --out FILE.parquet")
        return None, given.format or "text"
    inputs = [path for path in (given.bundle, given.table, *files_given(given).values()) if path]
    out = output_path(given.out, inputs, None if given.format else FORMS)
    return out, given.format or FORMS[out.suffix.lower()]


def one(classifier: Classifier, given: Namespace, form: str, out: Path | None) -> None:
    """Predicts an image, a sound, or a pair."""
    import pandas as pd

    from sightsound.cli.prediction_file import json_lines, write_beside
    from sightsound.data.text import without_formulas
    from sightsound.inference.answer_table import flat_frame

    answers = {1: classifier.predict(**files_given(given), abstain_below=given.abstain_below)}
    frame = flat_frame(answers, classifier.config, classifier.classes_.tolist(), pd.DataFrame(index=[1]))
    if form == "parquet" and out:
        with write_beside(out) as partial:
            frame.to_parquet(partial, index=False)
        return
    texts = {
        "json": lambda: json_lines(answers),
        "csv": lambda: without_formulas(frame).to_csv(index=False),
        "text": lambda: readable(frame) + "\n",
    }
    if out:
        with write_beside(out) as partial:
            partial.write_text(texts[form](), encoding="utf-8", errors="backslashreplace")
    else:
        sys.stdout.write(texts[form]())


def table(classifier: Classifier, given: Namespace, form: str, out: Path | None) -> None:
    """Predicts every row of a table; reports at the end which have no prediction."""
    from sightsound.bundle.files import SUMS
    from sightsound.cli.prediction_file import predict_to_file, write_beside
    from sightsound.data.datasets import table_for, with_seed
    from sightsound.data.decode import summary
    from sightsound.progress import notice

    source = table_for(given.table, with_seed(source_of(given), classifier.config.seed))
    rows = classifier.rows_to_predict(source, columns_of(given))
    if out and out.exists():
        output_path(given.out, files_of(rows), None)
    if out is None:
        bad = to_screen(classifier, rows, form, given.abstain_below)
    elif form == "text":
        with (
            write_beside(out) as partial,
            partial.open("w", encoding="utf-8", errors="backslashreplace") as file,
            redirect_stdout(file),
        ):
            bad = to_screen(classifier, rows, form, given.abstain_below)
    else:
        sums = hashlib.sha256((Path(given.bundle) / SUMS).read_bytes()).hexdigest()
        about = {"bundle": sums, "missing": vars(classifier.config.missing)}
        bad = predict_to_file(classifier, rows, out, form, given.abstain_below, given.resume, about)
        print(f"{len(rows.frame)} rows: {out}")
    if bad:
        notice(summary(rows.name, bad, "could not be used, or not whole", advice=""))


def to_screen(classifier: Classifier, rows: Table, form: str, abstain_below: float) -> list[Rejected]:
    """Prints predictions as they come; text only at the end, since columns are as wide as their widest cell."""
    import pandas as pd

    from sightsound.cli.prediction_file import json_lines, rejected_rows
    from sightsound.data.text import without_formulas
    from sightsound.inference.answer_table import flat_frame

    bad: list[Rejected] = []
    shown = []
    for number, answers in enumerate(classifier.predict_parts(rows, abstain_below)):
        bad += rejected_rows(answers)
        if form == "json":
            sys.stdout.write(json_lines(answers, rows.given))
            continue
        frame = flat_frame(answers, classifier.config, classifier.classes_.tolist(), rows.given)
        if form == "csv":
            sys.stdout.write(without_formulas(frame).to_csv(index=False, header=number == 0))
        else:
            shown.append(frame.drop(columns=[c for c in frame if str(c).startswith("p_")]))
    if shown:
        print(readable(pd.concat(shown, ignore_index=True)))
    return bad


def files_of(rows: Table) -> list[Path]:
    """Lists every file that a table names."""
    columns = [m for m in MODALITIES if not modality(m).in_cells]
    names = [name for m in (*columns, *mask_columns().values()) for name in rows.frame[m].unique() if name]
    return [path for name in names if isinstance(path := rows.source(name), Path)]


def readable(frame: pd.DataFrame) -> str:
    """Formats the columns of interest to people."""
    columns = [c for c in frame if not str(c).startswith("p_") and (frame[c].notna() & (frame[c] != "")).any()]
    shown = frame[columns].astype(object).where(frame[columns].notna(), "")
    rows = [[f"{x:.3f}" if isinstance(x, float) else x for x in row] for row in shown.itertuples(index=False)]
    return text_table([[str(c).replace("_", " ") for c in shown], *rows])
