"""Writes a table's predictions to a file, part by part: memory stays flat, and a stopped call can be resumed.

Parts are in OUT.parts/ until all are complete; then they are joined to OUT, which is never incomplete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sightsound.classifier import Classifier
from sightsound.data.cells import is_empty
from sightsound.data.table import Rejected, Table
from sightsound.data.text import without_formulas
from sightsound.errors import RunError
from sightsound.inference.answer_table import flat_frame
from sightsound.progress import notice
from sightsound.run_folder import REQUEST, alone_in, ask, is_free
from sightsound.types import Prediction

FORMS = {".csv": "csv", ".parquet": "parquet", ".json": "json", ".jsonl": "json"}  # ending -> format
FIRST = "000000"  # the name of the first part
Answers = Mapping[int, Prediction | Rejected]


def predict_to_file(
    classifier: Classifier,
    rows: Table,
    out: Path,
    form: str,
    abstain_below: float = 0.0,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
) -> list[Rejected]:
    """Writes the predictions for all rows of a table.

    Args:
        classifier: the classifier with its missing-data policies.
        rows: what `Classifier.rows_to_predict` returns.
        out: the file.
        form: csv, parquet or json (a line for each prediction).
        abstain_below: no label is given where the largest probability is below this.
        resume: whether to go on with the parts of a stopped call.
        about: what else must be equal in a resumed call.

    Returns:
        the rows without a prediction, and the files that could not be used.

    Raises:
        RunError: the file cannot be written, or the parts there are those of another call.
    """
    parts = out.with_name(f"{out.name}.parts")
    request = {"table": rows.name, "content": rows.digest(), "form": form, "abstain_below": abstain_below}
    request |= about or {}
    try:
        if parts.exists() and not (parts / REQUEST).exists() and not is_free(parts):
            raise RunError(f"{parts}: something else is there already. Give another --out.")
        parts.mkdir(exist_ok=True)
        with alone_in(parts):
            done = _begin(parts, request, resume)
            bad = [one for part in done for one in _known(part)]
            for number, answers in enumerate(classifier.predict_parts(rows, abstain_below, len(done)), start=len(done)):
                bad += _write(classifier, rows, answers, parts / f"{number:06d}", form)
            _join(sorted(parts.glob("*.done")), out, form)
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error}. What was answered goes on with --resume.") from error
    shutil.rmtree(parts, ignore_errors=True)
    return bad


def _begin(parts: Path, request: Mapping[str, Any], resume: bool) -> list[Path]:
    """Returns the complete parts; removes those of another call where nothing is resumed."""
    known = _request(parts / REQUEST)
    if resume and known not in (None, request):
        raise RunError(
            f"{parts} belongs to a call with another table or other options. Delete it, or repeat that call."
        )
    if known and not resume:
        notice(f"{parts} is left of a call that was stopped. It is begun anew; --resume would have gone on.")
        for left in sorted(parts.glob("[0-9]*"), reverse=True):  # so that the rest has no gap if this is stopped
            left.unlink()
    ask(parts, dict(request))
    done = sorted(parts.glob("*.done"))
    if done:
        notice(f"Going on after {len(done)} part(s) that are answered already.")
    return done


def _request(mark: Path) -> Any:
    """Reads the request of the existing parts; None where nothing was begun."""
    try:
        return json.loads(mark.read_text()) if mark.exists() else None
    except ValueError:
        return "damaged"


def _known(part: Path) -> list[Rejected]:
    """Reads what could not be used in a complete part. Raises RunError if it was changed since."""
    try:
        return [Rejected(**one) for one in json.loads(_reasons(part).read_text())]
    except (OSError, ValueError, TypeError) as error:
        raise RunError(
            f"{part.parent}: part {part.stem} is damaged ({error}). Begin anew, without --resume."
        ) from error


def _reasons(part: Path) -> Path:
    return part.with_suffix(".reasons")


def rejected_rows(answers: Answers) -> Iterable[Rejected]:
    """Yields the rows without a prediction, and the unusable files of rows with one."""
    for row, one in answers.items():
        if isinstance(one, Rejected):
            yield one
        else:
            for m, reason in one.errors.items():
                yield Rejected(row, "", f"{reason}; answered without it", m)


def _write(classifier: Classifier, rows: Table, answers: Answers, part: Path, form: str) -> list[Rejected]:
    """Writes a part, and last its mark; returns what could not be used."""
    bad = list(rejected_rows(answers))
    if form == "json":
        part.with_suffix(".json").write_text(
            json_lines(answers, rows.given), encoding="utf-8", errors="backslashreplace"
        )
    else:
        frame = flat_frame(answers, classifier.config, classifier.classes_.tolist(), rows.given)
        if form == "parquet":
            for column in frame.select_dtypes(object):  # of any types; a column of Parquet has one
                frame[column] = [None if is_empty(value) else str(value) for value in frame[column]]
            frame.to_parquet(part.with_suffix(".parquet"), index=False)
        else:
            without_formulas(frame).to_csv(part.with_suffix(".csv"), index=False, header=part.name == FIRST)
    _reasons(part).write_text(json.dumps([vars(one) for one in bad]))
    part.with_suffix(".done").touch()
    return bad


@contextmanager
def write_beside(out: Path) -> Iterator[Path]:
    """A context with a path beside a file, which is renamed to it at the end. Raises RunError if that fails."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        yield partial
        partial.replace(out)
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _join(done: list[Path], out: Path, form: str) -> None:
    """Joins all parts to one file."""
    with write_beside(out) as partial:
        _joined([mark.with_suffix(f".{form}") for mark in done], partial, form)


def _joined(files: list[Path], partial: Path, form: str) -> None:
    if form == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.unify_schemas([pq.read_schema(file) for file in files], promote_options="permissive")
        with pq.ParquetWriter(partial, schema) as writer:
            for file in files:
                writer.write_table(pq.read_table(file).cast(schema))
    else:
        with partial.open("wb") as joined:
            for file in files:
                with file.open("rb") as content:
                    shutil.copyfileobj(content, joined)


def json_lines(answers: Answers, given: pd.DataFrame | None = None) -> str:
    """Formats a line of JSON for each prediction, with, under `given`, the table's own columns."""
    lines = []
    for row, one in answers.items():
        theirs = {} if given is None else {"given": {str(k): _plain(v) for k, v in given.loc[row].items()}}
        lines.append(json.dumps({"row": row, **record(one), **theirs}, ensure_ascii=False) + "\n")
    return "".join(lines)


def _plain(value: Any) -> Any:
    """Converts a cell of the user's table to JSON."""
    if is_empty(value):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, bool | int | float | str) else str(value)


def record(result: Prediction | Rejected) -> dict[str, Any]:
    """Converts one prediction to a nested dictionary."""
    if isinstance(result, Rejected):
        return {"error": result.reason, "file": result.file}
    imputed = {m: one._asdict() for m, one in result.imputed.items()}
    return {**result._asdict(), "imputed": imputed, "clips": [clip._asdict() for clip in result.clips]}
