"""Trains a candidate for the encoder of a modality on this modality alone, and measures it on validation rows."""

from __future__ import annotations

import dataclasses
import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from sightsound.config import NO_CHANGES, Config
from sightsound.data.clusters import clusters_of, components
from sightsound.data.splits import draw
from sightsound.data.table import Table
from sightsound.hardware import device_of
from sightsound.inference.metrics import measure
from sightsound.inference.subsets import answer_rows
from sightsound.modalities.base import modality
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import fit
from sightsound.training.loop import Watcher
from sightsound.training.prepare import Prepared, prepare
from sightsound.training.schedule import Phase
from sightsound.training.stage import F1

TRAINING_ROWS, ROWS_A_CLASS = 600, 30  # at most, for frozen encoders: their heads need no more to be compared
VALIDATION_ROWS = 400
FEW_ROWS = 50  # validation rows, below which training rows have to help to decide
FOLDS = 3  # of the cross-validation that does it
SMALL_SHARE = 0.5  # of the epochs, for the small network on many rows
JUDGED_FROM = 0.4  # share of its epochs, before which it may not have lost
TIMED_ROWS, TIMES = 16, 3
NORMAL_95 = 1.96  # standard errors on each side of a 95 % interval
INTERPOLATED = ("linear", "gaussian")  # policies that do not need another modality


class Candidate(NamedTuple):
    """An encoder that was tried, or why it was not.

    Attributes:
        modality, encoder: names.
        frozen: whether it stays as it is; the others are trained from nothing.
        macro_f1: of the validation rows, with its 95 % interval `low` to `high` over clusters.
        standard_error: of macro F1, over rows: over few groups it would be so large that all candidates tie.
        training_rows, validation_rows: how many it was trained and measured on; of folds the mean, and the sum.
        training_seconds: of its trainings, with the embeddings that were not cached.
        parameters: of the encoder.
        latency_ms: to embed one file on the processor, among 16.
        chosen: whether it is the one.
        note: why it was not tried, or ended early.
        folds: of the cross-validation, or 1 where it was measured on the validation rows.
    """

    modality: str
    encoder: str
    frozen: bool
    macro_f1: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    standard_error: float = float("nan")
    training_rows: int = 0
    validation_rows: int = 0
    training_seconds: float = float("nan")
    parameters: int = 0
    latency_ms: float = float("nan")
    chosen: bool = False
    note: str = ""
    folds: int = 1


def with_encoder(options: Any, one: Candidate) -> Any:
    """Returns a modality's options with the encoder of a candidate."""
    return dataclasses.replace(options, encoder=one.encoder, frozen=one.frozen)


class Trials(NamedTuple):
    """What the trials of one modality share: the table, what `prepare` made of it, and the folder of the trainings."""

    modality: str
    table: Table
    config: Config
    prepared: Prepared
    folder: Path

    @property
    def sizes(self) -> Any:
        """The modality's options with sizes from the whole table."""
        return getattr(self.prepared.config, self.modality)

    def result_of(self, one: Candidate, rival: Candidate | None) -> Candidate:
        """Trains a candidate and measures it; `rival` is the best of those before.

        With few validation rows this is a cross-validation over training and validation rows: each of them is
        answered by a network that has not learned from it.
        """
        begin, labels = time.perf_counter(), self.prepared.labels
        crossed, parts = self._parts(one.frozen)
        if rival and crossed:  # one fold tells less than all of them
            rival = rival._replace(standard_error=rival.standard_error * math.sqrt(len(parts)))
        fits = [self._fitted(one, rival, part, f", fold {i}" * crossed) for i, part in enumerate(parts, 1)]
        rows = np.concatenate([of.row for of in fits])
        said = np.concatenate([of.probabilities for of in fits])
        classes = self.prepared.table.frame.drop_duplicates("row").set_index("row")["label"]
        target = np.searchsorted(labels, classes.loc[rows].to_numpy(dtype=str))  # labels are sorted
        clustered = measure(said, target, labels, clusters_of(self.prepared.table, [self.modality], rows))
        low, high = measure(said, target, labels)["macro_f1_ci"]
        return one._replace(
            macro_f1=clustered["macro_f1"],
            low=clustered["macro_f1_ci"][0],
            high=clustered["macro_f1_ci"][1],
            standard_error=(high - low) / (2 * NORMAL_95),
            training_rows=round(float(np.mean([of.training_rows for of in fits]))),
            validation_rows=len(rows),
            training_seconds=time.perf_counter() - begin,
            parameters=sum(x.numel() for x in fits[0].network.encoders[self.modality].parameters()),
            latency_ms=_latency_ms(fits[0].network, fits[0].config, self.modality),
            note="; ".join(of.ended for of in fits if of.ended),
            folds=FOLDS if crossed else 1,
        )

    def _fitted(self, one: Candidate, rival: Candidate | None, table: Table, which: str) -> Fitted:
        """Trains a candidate on the training rows of a table, and answers its validation rows; `which` is the fold."""
        m, folder = self.modality, self.folder / f"{one.modality}-{one.encoder}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = modality(m).with_clips_of(with_encoder(getattr(self.config, m), one), self.sizes)
        config = _alone(self.config, m, options)
        if isinstance(config.class_weights, dict):  # of classes that are in no row of this fold too
            there = set(table.frame["label"])
            weights = {label: weight for label, weight in config.class_weights.items() if label in there}
            config = dataclasses.replace(config, class_weights=weights)
        ready = prepare(table, config, folder)
        config, network = ready.config, on_cached(ready.network, ready.cached)
        race = None
        if not one.frozen:
            if not which:  # the epochs of so few rows that they are divided into folds are short
                config = dataclasses.replace(config, epochs=math.ceil((config.epochs or 1) * SMALL_SHARE))
            race = Race(rival, config.epochs or 1, to_win=not which) if rival else None
        phase, counted = Phase(f"{m} by {one.encoder}{which}", (m,), ("",)), Count()
        fit(network, config, ready.rows, folder, [counted, *([race] if race else [])], [phase])
        network.to(device_of(config.accelerator)).eval()
        parts = ready.table.part("train").frame["row"], ready.table.part("val").frame["row"]
        answered = answer_rows(network, ready.rows["val"], parts[1].to_numpy())
        said = np.zeros((len(answered.row), len(self.prepared.labels)))
        said[:, np.searchsorted(self.prepared.labels, ready.labels)] = answered.probabilities[(m,)]
        ended = race.ended if race else ""
        if not ended and counted.epochs < (config.epochs or 1):
            ended = f"ended after {counted.epochs} of {config.epochs} epochs, without improvement"
        ended += which if ended else ""
        return Fitted(ready.network.cpu(), ready.config, answered.row, said, parts[0].nunique(), ended)

    def _parts(self, frozen: bool) -> tuple[bool, list[Table]]:
        """Returns whether this is a cross-validation, and the table of each of its trainings.

        With few validation rows these are the folds over training and validation rows; else it is the table with its
        split. Rows of one group or file are in one fold. Of many rows the first fold holds enough.
        """
        usable = self.prepared.table.frame.drop_duplicates("row").set_index("row")["split"]
        frame = self.table.frame
        frame = frame[frame["row"].isin(usable.index) & (frame[self.modality] != "")]
        frame = frame.assign(split=usable.loc[frame["row"]].to_numpy())
        frame = frame[frame["split"] != "test"]
        most = max(TRAINING_ROWS, ROWS_A_CLASS * len(self.prepared.labels)) if frozen else None
        together = clusters_of(self.prepared.table, [self.modality], frame["row"].to_numpy())
        if (frame["split"] == "val").sum() >= FEW_ROWS or together.number < FOLDS:
            return False, [self._some(frame, most)]
        codes = pd.Series(components(together.codes), frame.index)
        shared = codes.map(codes.value_counts()) > 1
        grouped = frame.assign(group=codes.astype(str).where(shared, ""))
        drawn = draw(grouped, {str(i): 1 / FOLDS for i in range(FOLDS)}, self.prepared.config.seed)
        folds = range(FOLDS if len(frame) <= TRAINING_ROWS else 1)
        return True, [self._some(frame.assign(split=np.where(drawn == str(i), "val", "train")), most) for i in folds]

    def _some(self, frame: pd.DataFrame, most: int | None) -> Table:
        """Selects training rows, `most` of them or all, and validation rows.

        Each class that the training rows have is there in proportion, and with one row at least.
        """
        parts: list[pd.DataFrame] = []
        rng = np.random.default_rng(self.prepared.config.seed)
        for split, some in (("train", most), ("val", VALIDATION_ROWS)):
            known = frame["label"].isin(parts[0]["label"] if parts else frame["label"])
            part = frame[(frame["split"] == split) & known].sample(frac=1, random_state=rng)
            by_class = part.groupby("label")["row"]
            place = by_class.cumcount() / by_class.transform("size")
            parts.append(part.loc[place.sort_values(kind="stable").index[:some]])
        return self.table.with_frame(pd.concat(parts).sort_values("row"))


class Fitted(NamedTuple):
    """A candidate's network, what it says of its validation rows, and how it was trained.

    Attributes:
        network: of decoded files, on the processor.
        config: the resolved configuration of its training.
        row: (n,) numbers of the validation rows.
        probabilities: (n, C) of all classes of the table.
        training_rows: how many rows it has learned from.
        ended: why its training ended early.
    """

    network: ClassifierNetwork
    config: Config
    row: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    training_rows: int
    ended: str


class Count(Watcher):
    """Counts the epochs of a training, which ends before its last where patience is at its end."""

    def __init__(self) -> None:
        self.epochs = 0

    def after_epoch(self, network: nn.Module, numbers: Mapping[str, float]) -> bool:
        """See the base class."""
        self.epochs += 1
        return False


class Race(Watcher):
    """Ends the training of the small network once it is decided whether it is better than its rival.

    It has won where it is better by a standard error. It has lost where it would still be worse by as much if it went
    on to improve, in each epoch that is left, as in the second half of its epochs so far.

    Args:
        rival: the best of the pretrained encoders.
        epochs: of the whole training.
        to_win: whether it ends once it has won; not in a fold, whose answers are joined with those of others.
    """

    def __init__(self, rival: Candidate, epochs: int, to_win: bool = True) -> None:
        self.rival, self.epochs, self.to_win = rival, epochs, to_win
        self.best: list[float] = []  # macro F1 so far, after each epoch
        self.ended = ""

    def after_epoch(self, network: nn.Module, numbers: Mapping[str, float]) -> bool:
        """See the base class."""
        self.best.append(max([numbers[F1], *self.best]))
        done, now = len(self.best), self.best[-1]
        half = done // 2
        slope = (now - self.best[half - 1]) / (done - half) if half else 1.0
        expected = now + slope * (self.epochs - done)
        if done == self.epochs:
            return True
        if self.to_win and now > self.rival.macro_f1 + self.rival.standard_error:
            self.ended = f"ended early, better than {self.rival.encoder} after {done} of {self.epochs} epochs"
        elif done >= JUDGED_FROM * self.epochs and expected < self.rival.macro_f1 - self.rival.standard_error:
            self.ended = f"ended early, too far behind {self.rival.encoder} after {done} of {self.epochs} epochs"
        return bool(self.ended)


def _alone(config: Config, m: str, options: Any) -> Config:
    """Returns the configuration of a training on one modality, in a split that is already drawn."""
    policies = dataclasses.asdict(config.missing)
    ignored = {name: "ignore" for name, policy in policies.items() if policy not in INTERPOLATED}
    missing = dataclasses.replace(config.missing, **ignored)
    plain: dict[str, Any] = {"fusion": "concat", "fusion_options": {}, "schedule": "joint", "balance": "detached"}
    others = {o: dataclasses.replace(getattr(config, o), encoder_options={}) for o in config.modalities}
    plain |= {**others, "modalities": (m,), m: options, "missing": missing}
    plain |= {"group_split": False, "modality_dropout": 0.0}
    if options.frozen:  # views of so many files would take most of the time
        plain["augment"] = NO_CHANGES
    return dataclasses.replace(config, **plain)


@torch.inference_mode()
def _latency_ms(network: ClassifierNetwork, config: Config, m: str) -> float:
    """Returns the time per file to compute features and embeddings of 16 files, the least of three times."""
    embed = nn.Sequential(network.features[m], network.standardize[m], network.encoders[m]).eval()
    blank = modality(m).blank(getattr(config, m))
    rows = blank[None].repeat(TIMED_ROWS, *[1] * blank.dim())
    seconds = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        embed(rows)
        seconds.append(time.perf_counter() - begin)
    return 1000 * min(seconds) / TIMED_ROWS
