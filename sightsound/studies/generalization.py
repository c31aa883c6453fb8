"""Measures how a classifier generalises: to unseen groups (speakers, sites), and with fewer training rows.

Both train again with a bundle's configuration, once for each group left out or each size, in run folders of their own.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sightsound.classifier import Classifier, Columns
from sightsound.config import ColumnsConfig, Config
from sightsound.data.prepare import check
from sightsound.data.splits import SHARES, draw, split
from sightsound.data.table import Table, read_table
from sightsound.errors import TableError
from sightsound.run_folder import REQUEST, claim, open_run, request_of, write_errors, write_whole
from sightsound.training.prepare import MOST_EPOCHS
from sightsound.training.run import run_training

SIZES = (0.1, 0.2, 0.4, 0.7, 1.0)  # shares of the training rows
TRAIN_ROWS = 2000  # training rows that are enough to measure the training accuracy
VALIDATION = SHARES["val"] / (SHARES["val"] + SHARES["train"])  # share of the remaining rows


class Fold(NamedTuple):
    """One training and its test.

    Attributes:
        name: the group that was left out, or the share of the training rows.
        trained, tested: the numbers of training and test rows.
        test: metrics of the test rows, per subset as in `metrics.json`.
        train: metrics of at most 2,000 training rows, in the same form.
    """

    name: str
    trained: int
    tested: int
    test: dict[str, Any]
    train: dict[str, Any]


def run_leave_one_group_out(
    classifier: Classifier,
    source: str | Path | pd.DataFrame,
    run: Path,
    resume: bool,
    say: Callable[[str], object],
    columns: Columns = None,
    skip_bad_files: bool = False,
) -> list[Fold]:
    """Tests on each group a training on all others; validation rows are drawn from these at random.

    Args:
        classifier: the classifier whose configuration is used.
        source: the table; its splits are ignored.
        run: a new folder; or, with `resume`, that of the same study.
        resume: whether to go on with what is in the folder.
        say: called with each line for the user.
        columns: the names of the table's columns; default: those of the classifier's table.
        skip_bad_files: whether to go on without rows that cannot be used.

    Raises:
        TableError: there are no two groups, or a row cannot be used.
        RunError: the folder cannot be written, or is another study's.
    """
    table = read_table(source, classifier.columns(columns), assumed=classifier.config.columns)
    groups = sorted(set(table.frame["group"]) - {""})
    if len(groups) < 2:
        raise TableError(
            f"{table.name}: to leave one group out there must be two or more, and there are {len(groups)}. The column "
            "says which rows belong together: --columns.group NAME"
        )
    config, seed = _config(classifier, skip_bad_files), classifier.config.seed
    folds = []
    with _begun(run, table, {"study": "groups"}, config, resume):
        for number, group in enumerate(groups, start=1):
            say(f"\nGroup {number} of {len(groups)}: {group}")
            frame = table.frame.copy()
            others = frame["group"] != group
            frame["split"] = "test"
            ungrouped = frame[others].assign(group="")
            frame.loc[others, "split"] = draw(ungrouped, {"train": 1 - VALIDATION, "val": VALIDATION}, seed)
            if (frame["time"] == "").all():  # otherwise rows are interpolated within their groups
                frame["group"] = ""  # otherwise the split would be reported to cut them
            folds.append(_fold(group, table.with_frame(frame), config, run / f"group-{number}", say))
    return folds


def run_learning_curve(
    classifier: Classifier,
    source: str | Path | pd.DataFrame,
    run: Path,
    resume: bool,
    say: Callable[[str], object],
    columns: Columns = None,
    skip_bad_files: bool = False,
) -> list[Fold]:
    """Trains on a tenth up to all of the training rows, each for the same number of steps.

    The smaller shares are parts of the larger ones; validation and test rows stay the same. Arguments and errors are
    those of `run_leave_one_group_out`.
    """
    table = read_table(source, classifier.columns(columns), assumed=classifier.config.columns)
    config, seed = _config(classifier, skip_bad_files), classifier.config.seed
    drawn = table.with_frame(table.frame.assign(split="")) if classifier.config.group_split else table
    frame = split(drawn, seed).frame
    if not (frame["split"] == "test").any():
        raise TableError(f"{table.name}: a learning curve is about test rows, and there are none (column split).")
    train_rows = frame[frame["split"] == "train"]
    # from each class in turn, so that each share has all classes
    shuffled = train_rows.sample(frac=1, random_state=seed)
    order = shuffled.groupby("label").cumcount().sort_values(kind="stable").index
    folds = []
    with _begun(run, table, {"study": "sizes"}, config, resume):
        for share in SIZES:
            say(f"\n{share:.0%} of the training rows")
            kept = frame.drop(order[max(round(share * len(order)), frame["label"].nunique()) :])
            epochs = min(math.ceil((config.epochs or MOST_EPOCHS) / share), MOST_EPOCHS)
            with_epochs = dataclasses.replace(config, epochs=epochs)
            folds.append(_fold(f"{share:g}", table.with_frame(kept), with_epochs, run / f"share-{share:g}", say))
    return folds


@contextmanager
def _begun(run: Path, table: Table, study: dict[str, str], config: Config, resume: bool) -> Iterator[None]:
    """Checks all rows and files and makes the folder; or checks that it is this study's."""
    request = request_of(table, config)
    request["config"] |= study
    with open_run(run, request, resume), write_errors(run):
        if not (run / REQUEST).exists():
            check(table, config, run)  # before the folder is claimed: the next attempt may skip bad files
            claim(run, config, request)
        yield


def _config(classifier: Classifier, skip_bad_files: bool) -> Config:
    # the study draws the splits itself
    config = dataclasses.replace(classifier.config, columns=ColumnsConfig(), group_split=False)
    return dataclasses.replace(config, on_bad_file="skip" if skip_bad_files else "stop")


def _fold(name: str, table: Table, config: Config, run: Path, say: Callable[[str], object]) -> Fold:
    frame = table.frame.drop(columns="row").astype(object)
    for m in config.modalities:
        frame[m] = pd.Series([table.cell(value) for value in frame[m]], frame.index, dtype=object)
    done = run / "fold.json"
    if done.exists():
        say("done already")
        return Fold(*json.loads(done.read_text()))
    try:
        classifier = run_training(frame, config, run, resume=True, say=say)
    except TableError as error:
        raise TableError(f"{table.name}, without {name}: {error}") from error
    known = frame[frame["split"] == "train"]
    some = known.sample(min(len(known), TRAIN_ROWS), random_state=0).assign(split="")
    train_metrics = classifier.evaluate(some, skip_bad_files=True)
    fold = Fold(name, len(known), classifier.metrics["rows"], classifier.metrics["subsets"], train_metrics["subsets"])
    write_whole(done, json.dumps(fold))
    return fold


class MeanInterval(NamedTuple):
    """A mean over folds, and its 95 % interval by Student's t; the folds are the sample, not their rows."""

    value: float
    low: float
    high: float


def mean_of(values: list[float]) -> MeanInterval:
    """Averages one number for each fold; with one fold the interval is the whole range."""
    from scipy import stats  # here, since importing it takes half a second

    mean = float(np.mean(values))
    if len(values) < 2:
        return MeanInterval(mean, 0.0, 1.0)
    half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return MeanInterval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


def table_of(folds: list[Fold]) -> pd.DataFrame:
    """Tabulates for each fold and subset the accuracy with its interval, macro F1, and the training accuracy."""
    rows = []
    for fold in folds:
        for subset, numbers in fold.test.items():
            low, high = numbers["accuracy_ci"]
            known = fold.train.get(subset, {}).get("accuracy", math.nan)
            rows.append(
                {
                    "name": fold.name,
                    "trained": fold.trained,
                    "tested": numbers["rows"],
                    "modalities": subset,
                    "accuracy": numbers["accuracy"],
                    "low": low,
                    "high": high,
                    "macro_f1": numbers["macro_f1"],
                    "train_accuracy": known,
                    "gap": known - numbers["accuracy"],
                }
            )
    return pd.DataFrame(rows)
