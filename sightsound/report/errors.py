"""The error browser of a report: the wrongly predicted test rows, with their unimodal predictions.

`predictions.csv` and the table in, rows to look at and listen to out; bounded in rows and in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pandas as pd

from sightsound.config import Config
from sightsound.data.table import Table
from sightsound.data.text import without_formulas
from sightsound.errors import FileError
from sightsound.modalities.base import modality
from sightsound.modalities.media import Shown

MEDIA_ROWS, MEDIA_BYTES = 60, 6_000_000  # wrong rows with images and sounds, and what these take at most in the page
MEDIA_WORK = 300_000_000  # pixels of images and bytes of sounds that are read for them at most: some seconds
TEXT_ROWS = 1000  # further wrong rows, as text
RIGHT_ROWS = 6  # beside them, to compare with


class Said(NamedTuple):
    """What one modality predicts; `probability` is None in runs of older versions."""

    modality: str
    label: str
    probability: float | None
    right: bool


class File(NamedTuple):
    """A file of a row: its name in the table, a link from the page ("" if it stands in the table itself).

    `shown` is None where it is not shown, and a text where it cannot be.
    """

    modality: str
    name: str
    link: str
    shown: Shown | str | None


class Answer(NamedTuple):
    """One test row.

    Attributes:
        row: its number in the table.
        label, predicted: true class and fused prediction.
        probability: of the prediction.
        said: the unimodal prediction of each present modality.
        files: the files of each present modality.
        faults: the kinds of fault by which the row can be filtered.
    """

    row: int
    label: str
    predicted: str
    probability: float
    said: list[Said]
    files: list[File]
    faults: str


class Errors(NamedTuple):
    """What the browser shows.

    Attributes:
        wrong: the number of wrongly predicted rows.
        shown: those with images and sounds, the most probable first.
        listed: those as text.
        right: some correctly predicted rows.
    """

    wrong: int
    shown: list[Answer]
    listed: list[Answer]
    right: list[Answer]


def browse(run: Path, table: Table, config: Config, labels: Sequence[str]) -> Errors:
    """The wrong rows of `predictions.csv` in a run folder, those with the highest probability first.

    Args:
        run: the run folder, in which the page will stand.
        table: that was trained on, with the files.
        config: of the classifier.
        labels: class names.
    """
    only = [f"{m}_only" for m in config.modalities]
    wanted = {"row", "label", "predicted", "probability", *only, *(f"{column}_probability" for column in only)}
    rows = pd.read_csv(
        run / "predictions.csv", index_col="row", usecols=wanted.__contains__, dtype=str, keep_default_na=False
    )
    rows.index = rows.index.astype(int)
    as_written = without_formulas(pd.DataFrame({"label": list(labels)}))["label"]
    quoted = {written: label for written, label in zip(as_written, labels, strict=True) if written != label}
    for column in ("label", "predicted", *only):
        rows[column] = rows[column].replace(quoted) if quoted else rows[column]
    rows["probability"] = rows["probability"].astype(float)
    of_wrong = rows[rows["label"] != rows["predicted"]].sort_values("probability", ascending=False, kind="stable")
    of_right = rows[rows["label"] == rows["predicted"]]
    of_right = of_right.sample(min(len(of_right), RIGHT_ROWS), random_state=0)
    right = [_answer(row, of_right, run, table, config, True) for row in of_right.index]
    left, work, shown, listed = MEDIA_BYTES, MEDIA_WORK, list[Answer](), list[Answer]()
    for row in of_wrong.index[: MEDIA_ROWS + TEXT_ROWS]:
        with_media = len(shown) < MEDIA_ROWS and left > 0 and work > 0
        answer = _answer(row, of_wrong, run, table, config, with_media)
        media = [file.shown for file in answer.files if isinstance(file.shown, Shown)]
        left, work = left - sum(one.size for one in media), work - sum(one.work for one in media)
        (shown if with_media else listed).append(answer)
    return Errors(len(of_wrong), shown, listed, right)


def _answer(row: int, rows: pd.DataFrame, run: Path, table: Table, config: Config, with_media: bool) -> Answer:
    cells: dict[str, Any] = {str(name): value for name, value in rows.loc[row].items()}
    said = []
    for m in config.modalities:
        label, probability = cells[f"{m}_only"], cells.get(f"{m}_only_probability")
        if label:
            said.append(Said(m, label, float(probability) if probability else None, label == cells["label"]))
    values = {m: str(table.frame.loc[row, m]) for m in config.modalities}
    files = [_file(m, value, run, table, config, with_media) for m, value in values.items() if value]
    if cells["label"] == cells["predicted"]:
        faults = "right"
    else:
        named = [f"{one.modality}-right" for one in said if one.right]
        faults = " ".join(["wrong", *(named or ["none-right"])])
    return Answer(row, cells["label"], cells["predicted"], cells["probability"], said, files, faults)


def _file(m: str, value: str, run: Path, table: Table, config: Config, with_media: bool) -> File:
    source, shown = table.source(value), None
    if with_media:
        try:
            shown = modality(m).show(source, config)
        except FileError as error:  # gone since it was tested
            return File(m, value, "", str(error))
    return File(m, value, link(source, run) if isinstance(source, Path) else "", shown)


def link(path: Path, folder: Path) -> str:
    """A file as seen from a page in a folder; the whole path where there is no way between them."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))
    except ValueError:  # on another drive
        return path.absolute().as_uri()
