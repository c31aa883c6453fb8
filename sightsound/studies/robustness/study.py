"""Measures a classifier when files are missing, damaged, or contradict each other: `sightsound robustness`.

The files of a table are decoded once; every condition then changes the decoded rows, and the network predicts with both
modalities and with the changed one alone. Each condition is written to disk as soon as it is measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.classifier import Classifier
from sightsound.data.clusters import clusters_of
from sightsound.data.decode import cut_modality, prepare_rows, summary
from sightsound.data.table import Rejected, Table
from sightsound.errors import ConfigError, TableError
from sightsound.inference.subsets import Answered, answer_rows
from sightsound.modalities.base import modality
from sightsound.modalities.corruptions import SEVERITIES
from sightsound.progress import progress_bar
from sightsound.run_folder import ask, content_of, open_run, plain, with_files, write_errors
from sightsound.studies.robustness.conditions import CLEAN, CONTRADICTION, EITHER, Condition, Decoded
from sightsound.studies.robustness.curves import RobustnessCurve, curves
from sightsound.studies.robustness.measure import (
    Measurement,
    after_losing,
    measure_condition,
    read,
    to_line,
    with_intervals,
)
from sightsound.types import INTERPOLATIONS

LOST_SHARES = (0.1, 0.3, 0.5, 0.7)
SHARES = [i / 10 for i in range(11)]
MEASURED = "conditions.jsonl"


@dataclass(frozen=True)
class RobustnessOptions:
    """What a robustness study is made of."""

    rows: int = 2000
    """At most so many rows, drawn by chance."""
    seed: int = 0
    """Of the rows and of everything that is drawn to damage them."""


class RobustnessStudy(NamedTuple):
    """A finished study: all measurements, clean first, and the curves; `rows` is the number of measured rows."""

    measured: list[Measurement]
    curves: list[RobustnessCurve]
    rows: int


def run_robustness(
    classifier: Classifier,
    table: str | Path | pd.DataFrame,
    options: RobustnessOptions,
    run: Path,
    resume: bool,
    say: Callable[[str], object],
    skip_bad_files: bool = False,
) -> RobustnessStudy:
    """Measures a classifier on the complete test rows of a table (all rows if it has no test split).

    Only the first clip of a longer sound is used.

    Args:
        classifier: the classifier to measure, on its present device.
        table: a table with labels.
        options: how many rows, and the seed.
        run: a new folder; or, with `resume`, that of a study of the same classifier, table and options.
        resume: whether to go on with what is in the folder.
        say: called with each line for the user.
        skip_bad_files: whether to go on without rows that cannot be used.

    Raises:
        TableError: there is no complete row; or a row cannot be used and `skip_bad_files` is False.
        ConfigError: options are out of range.
        RunError: the folder cannot be written, or is another study's.
    """
    if options.rows < 1:
        raise ConfigError(f"--rows is {options.rows}; it must be at least 1.")
    rows, _, rejected = classifier.labelled_rows(table)
    request = {"table": rows.name, "content": rows.digest(), "config": _asked(classifier, options)}
    decoded, unreadable = decoded_rows(classifier, rows, options)
    if (rejected := rejected + unreadable) and not skip_bad_files:
        raise TableError(summary(rows.name, rejected))
    with open_run(run, request, resume), write_errors(run):
        ask(run, with_files(run, request, content_of(decoded.rows)))
        say(f"{len(decoded.target)} rows that have {' and '.join(classifier.network.modalities)}.")
        clean = answer_rows(classifier.network, decoded.rows, decoded.numbers)
        found = measure_all(classifier, decoded, clean, run, say, options.seed)
    alone = {m: float((clean.predicted((m,)) == decoded.target).mean()) for m in clean.has}
    return RobustnessStudy(found, curves(found, alone), len(decoded.target))


def _asked(classifier: Classifier, options: RobustnessOptions) -> dict[str, Any]:
    """Returns what identifies a study of a table: the options, and the classifier's configuration and weights."""
    made_of = hashlib.sha256(json.dumps([plain(classifier.config), classifier.classes_.tolist()]).encode())
    for part in (classifier.network, *classifier.imputers.values()):
        for name, values in part.state_dict().items():
            made_of.update(name.encode())
            made_of.update(values.cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return {"classifier": made_of.hexdigest(), **dataclasses.asdict(options)}


def decoded_rows(classifier: Classifier, table: Table, options: RobustnessOptions) -> tuple[Decoded, list[Rejected]]:
    """Decodes complete rows into memory; also returns those whose files cannot be read."""
    modalities = list(classifier.config.modalities)
    frame = table.frame[(table.frame[modalities] != "").all(axis=1)]
    if not len(frame):
        raise TableError(f"{table.name}: no row has {' and '.join(modalities)}, so there is nothing to damage.")
    if len(frame) > options.rows:
        frame = frame.sample(options.rows, random_state=options.seed).sort_index()
    config = classifier.config
    if cut := cut_modality(config):
        config = dataclasses.replace(config, **{cut: dataclasses.replace(getattr(config, cut), step_seconds=None)})
    rows, unreadable = prepare_rows(table.with_frame(frame), config, classifier.classes_.tolist())
    if not len(rows) or rows.target is None:
        raise TableError(summary(table.name, unreadable))
    numbers = frame["row"].to_numpy()[rows.rows.numpy()]
    clusters = clusters_of(table, modalities, numbers)
    return Decoded(rows, rows.target[rows.rows].numpy(), numbers, clusters), unreadable


def conditions(modalities: tuple[str, ...], imputers: Iterable[str]) -> list[Condition]:
    """Returns all conditions for a classifier of these modalities with imputers of these policies."""
    found = [Condition(CLEAN)]
    if len(modalities) > 1:
        for kind in ("missing", "missing by class"):
            for policy in ("ignore", *imputers):
                found += [Condition(kind, m, share, policy) for m in (*modalities, EITHER) for share in SHARES[1:]]
        found.append(Condition(CONTRADICTION, modalities[-1], 1.0))
    for m in modalities:
        how = modality(m)
        if how.lost_part:
            policies = ("ignore", *INTERPOLATIONS)
            found += [Condition(how.lost_part, m, share, policy) for policy in policies for share in LOST_SHARES]
        found += [Condition(kind, m, severity) for kind in how.corruptions for severity in SEVERITIES]
    return found


def measure_all(
    classifier: Classifier, decoded: Decoded, clean: Answered, folder: Path, say: Callable[[str], object], seed: int
) -> list[Measurement]:
    """Measures the conditions that the folder does not hold yet.

    Args:
        classifier: the classifier to measure.
        decoded: complete rows.
        clean: the predictions for these rows unchanged.
        folder: the folder of `conditions.jsonl`; conditions in this file are not measured again.
        say: called with each line for the user.
        seed: the seed of all random draws.
    """
    file = folder / MEASURED
    known = {one.condition: one for one in read(file)}
    wanted = conditions(tuple(classifier.network.modalities), classifier.imputers)
    if len(np.unique(decoded.target)) == 1:
        say("All rows are of one class, so no sound can be exchanged for one of another.")
        wanted = [condition for condition in wanted if condition.kind != CONTRADICTION]
    left = [condition for condition in wanted if condition not in known]
    measured = _Measure(classifier, decoded, clean, seed)
    if known:
        say(f"{len(known)} of {len(wanted)} conditions are measured already.")
    with progress_bar("robustness", len(left), "condition") as bar, file.open("w", encoding="utf-8") as out:
        out.writelines(map(to_line, known.values()))  # without a truncated line
        for condition in left:
            known[condition] = measured(condition)
            out.write(to_line(known[condition]))
            out.flush()
            bar.update()
    return [known[condition] for condition in wanted]


class _Measure:
    """Measures one condition after another; computes once what several of them need."""

    def __init__(self, classifier: Classifier, decoded: Decoded, clean: Answered, seed: int) -> None:
        self.classifier, self.decoded, self.clean, self.seed = classifier, decoded, clean, seed
        self.without: dict[str, dict[str, NDArray[Any]]] = {}
        self.ignored: dict[Condition, NDArray[np.float64]] = {}

    def __call__(self, condition: Condition) -> Measurement:
        one, right = self._one(condition)
        plain = condition._replace(policy="ignore")
        if condition.policy == "ignore":
            self.ignored[condition] = right
        elif condition.policy and plain not in self.ignored:  # measured before the study was stopped
            self.ignored[plain] = self._one(plain)[1]
        ignored = self.ignored[plain] if condition.policy not in ("", "ignore") else None
        return with_intervals(one, right, ignored, self.decoded.clusters)

    def _one(self, condition: Condition) -> tuple[Measurement, NDArray[np.float64]]:
        policy = condition.policy
        if condition.kind.startswith("missing") and policy not in self.without:
            self.without[policy] = after_losing(self.classifier, self.decoded, self.clean, policy)
        without = self.without.get(policy, {})
        return measure_condition(self.classifier, self.decoded, self.clean, without, condition, self.seed)
