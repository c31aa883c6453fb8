"""`sightsound predict BUNDLE`: the class of an image, a sound, a pair, or of each row of a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsound.cli.common import Parser, columns_of, missing_arguments, missing_of, text_table, trust_argument
from sightsound.config import ColumnsConfig

if TYPE_CHECKING:
    import pandas as pd

    from sightsound.data.table import Rejected
    from sightsound.types import Prediction

EXAMPLE = """Classifies files, and says what each sense alone would have said. A row of a table that cannot be used gets
the reason in the column "error" and no class. Of a sound cut into clips there is a line for the whole and one for
each clip, with its start and end in seconds. "conflict" says how much the senses disagree, from 0 to 1;
"strangeness" which share of the validation rows was less strange. What is missing or damaged is treated as --missing
says; "repaired" says which share of a file was filled in (1: the whole sense), "uncertainty" how unsure that is.

  sightsound predict runs/first/bundle --image 7.png --audio seven.wav
  sightsound predict runs/first/bundle --audio seven.wav --format json
  sightsound predict runs/first/bundle table.csv --abstain-below 0.8 --out answers.parquet
  sightsound predict runs/first/bundle table.csv --missing gaussian --out answers.csv
"""
FORMATS = ["text", "json", "csv", "parquet"]


def run(arguments: Sequence[str]) -> None:
    """Parses, predicts and prints or writes."""
    parser = Parser("predict", "BUNDLE [TABLE]", EXAMPLE)
    parser.add_argument("bundle", help="folder written by train")
    parser.add_argument("table", nargs="?", help="classify every row of this table")
    parser.add_argument("--image", help="image file")
    parser.add_argument("--audio", help="sound file")
    parser.add_argument("--abstain_below", type=float, default=0.0, help="give no label where it is less probable")
    missing_arguments(parser)
    trust_argument(parser)
    parser.add_argument(
        "--format", choices=FORMATS, help="default: by the ending of --out, else text; json is JSON Lines"
    )
    parser.add_argument("--out", help="file to write to, in place of the screen")
    parser.add_class_arguments(ColumnsConfig, "columns")
    given = parser.given(arguments)
    if (given.table is None) == (given.image is None and given.audio is None):
        parser.error("give either a table, or --image and/or --audio")
    ending = {".csv": "csv", ".parquet": "parquet", ".json": "json", ".jsonl": "json"}
    form = given.format or ending.get(Path(given.out or "").suffix, "text")
    if form == "parquet" and not given.out:
        parser.error("Parquet is not for the screen; give --out FILE.parquet")
    from sightsound.pipeline import load

    classifier = load(given.bundle, trust=given.trust)
    classifier = classifier.under(missing_of(given))
    if given.table is None:
        results: list[Prediction | Rejected] = [classifier.predict(given.image, given.audio, given.abstain_below)]
    else:
        results = classifier.predict_table(given.table, columns_of(given), given.abstain_below)
    write(results, form, given.out)


def write(results: list[Prediction | Rejected], form: str, out: str | None) -> None:
    """Writes the answers in one of `FORMATS` to a file, or to the screen."""
    import pandas as pd

    frame = pd.DataFrame([line for row, result in enumerate(results, start=1) for line in flat(row, result)])
    if form == "parquet":
        frame.to_parquet(out, index=False)
        return
    if form == "csv":
        text = frame.to_csv(index=False)
    elif form == "json":
        text = "".join(json.dumps(record(result), ensure_ascii=False) + "\n" for result in results)
    else:
        text = readable(frame) + "\n"
    if out:
        Path(out).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def record(result: Prediction | Rejected) -> dict[str, Any]:
    """One answer with its structure, for JSON."""
    from sightsound.data.table import Rejected

    if isinstance(result, Rejected):
        return {"error": result.reason, "file": result.file, "row": result.row}
    repaired = {m: one._asdict() for m, one in result.repaired.items()}
    return {**result._asdict(), "repaired": repaired, "clips": [clip._asdict() for clip in result.clips]}


def flat(row: int, result: Prediction | Rejected) -> list[dict[str, Any]]:
    """One answer as rows of columns, for CSV and Parquet: the whole, then each clip."""
    from sightsound.data.table import Rejected

    if isinstance(result, Rejected):
        return [{"row": row, "label": "", "error": f"{result.file + ': ' if result.file else ''}{result.reason}"}]
    alone = {f"{m}_alone": max(said, key=lambda label: said[label]) for m, said in result.per_modality.items()}
    whole = {
        "row": row,
        "label": result.label,
        "probability": max(result.probabilities.values()),
        "conflict": result.conflict,
        **({"start_seconds": None, "end_seconds": None} if result.clips else {}),
        **alone,
        **{f"{m}_alone_probability": result.per_modality[m][alone[f"{m}_alone"]] for m in result.per_modality},
        **{f"{m}_strangeness": result.strangeness[m] for m in result.present},
        **{f"{m}_repaired": result.repaired[m].share for m in result.repaired},
        **{f"{m}_uncertainty": result.repaired[m].uncertainty for m in result.repaired},
        **{f"{m}_policy": result.repaired[m].policy for m in result.repaired},
        **{m: result.source[m] for m in result.present},
        **{f"p_{label}": p for label, p in result.probabilities.items()},
        "error": "",
    }
    clips = [
        {
            "row": row,
            "label": clip.label,
            "probability": clip.probabilities[clip.label],
            "start_seconds": clip.start_seconds,
            "end_seconds": clip.end_seconds,
            **{f"p_{label}": p for label, p in clip.probabilities.items()},
            "error": "",
        }
        for clip in result.clips
    ]
    return [whole, *clips]


def readable(frame: pd.DataFrame) -> str:
    """The columns that a person wants to see."""
    columns = [c for c in frame if not str(c).startswith("p_")]
    shown = frame[columns].astype(object).fillna("")
    if not shown["error"].any():
        shown = shown.drop(columns="error")
    rows = [[f"{x:.3f}" if isinstance(x, float) else x for x in row] for row in shown.itertuples(index=False)]
    return text_table([[str(c).replace("_", " ") for c in shown], *rows])
