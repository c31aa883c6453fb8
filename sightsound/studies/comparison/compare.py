"""Compares every fusion strategy and both unimodal models on one table, at one budget, for `sightsound compare`.

The unimodal models are trained once for each seed. Where the modalities are independent given the class, every strategy
is then trained on their frozen encoders, and the most promising ones are finetuned in rounds, each with half as many
(successive halving, Jamieson & Talwalkar, 2016). Where they are dependent, or one modality is at chance, encoders that
were trained separately are not enough: all parts are trained jointly. Validation rows select; test rows are read once,
at the end. Balances are compared as strategies are: each trains the same strategy jointly, from the same first weights.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray

from sightsound.data.clusters import Clusters, clusters_of
from sightsound.data.dataset import Rows
from sightsound.errors import ConfigError, RunError, TrainingError
from sightsound.hardware import tune_process
from sightsound.inference.metrics import at_chance, macro_means
from sightsound.inference.subsets import Answered
from sightsound.modalities.base import modality
from sightsound.network.build import build_network
from sightsound.progress import progress_bar
from sightsound.studies.comparison.candidates import CompareOptions, Trial, choose_candidates, family
from sightsound.studies.comparison.cost import Cost, costs
from sightsound.studies.comparison.dependence import Dependence, conditional_dependence
from sightsound.studies.comparison.said import targets
from sightsound.studies.comparison.trials import TOGETHER, UNIMODAL, Seed
from sightsound.training.held_out import validation_rows
from sightsound.training.prepare import Prepared
from sightsound.types import Batch

FIRST_ROUND = 4  # one in so many strategies is finetuned in the first round
BALANCED = "Each balance trains {} jointly, from the same first weights and for at most as many epochs."
UNIMODAL_TRIAL = Trial("vote", "frozen")  # has no parameters: its predictions with one modality are the unimodal ones


class Compared(NamedTuple):
    """The results of one strategy, or of one balance.

    Attributes:
        name, family: its name, and the family of the strategy.
        trial: how the version that was best on validation rows was trained.
        score: macro F1 on validation rows, mean over the seeds.
        val, test: per seed, its predictions for the validation and the test rows.
        seconds: the time of its own training, mean over the seeds.
    """

    name: str
    family: str
    trial: Trial
    score: float
    val: list[Answered]
    test: list[Answered]
    seconds: float


class ComparisonStudy(NamedTuple):
    """A whole comparison.

    Attributes:
        seeds: the seeds with all that was trained.
        compared: the results by strategy, best on validation rows first.
        unimodal: the results of both modalities without fusion, of which the unimodal predictions are used.
        costs: the cost in use of each strategy and of each unimodal network.
        target: per split (n,), the classes of the validation and of the test rows.
        clusters: per split, which of these rows belong together.
        unimodal_seconds: the time of training both modalities, mean over the seeds.
        dependence: the dependence of the modalities given the class, or None where it cannot be measured.
        joint: why all parts were trained jointly, or "" where they were not.
        left_out: strategies that the budget did not reach.
        failed: strategy -> why its training, or a part of it, failed.
    """

    seeds: list[Seed]
    compared: dict[str, Compared]
    unimodal: Compared
    costs: dict[str, Cost]
    target: dict[str, NDArray[np.int64]]
    clusters: dict[str, Clusters]
    unimodal_seconds: float
    dependence: Dependence | None
    joint: str
    left_out: list[str]
    failed: dict[str, str] = {}


def train_candidates(
    prepared: Prepared, options: CompareOptions, folder: Path, say: Callable[[str], object]
) -> ComparisonStudy:
    """Trains and tests all candidates; what is complete in the folder is not trained again.

    Args:
        prepared: the table, with two modalities.
        options: which strategies or balances, how often.
        folder: the folder of all trainings.
        say: called with each line for the user.

    Raises:
        ConfigError: an unknown strategy.
        RunError: the budget did not reach any strategy.
    """
    names = choose_candidates(options, prepared.config)
    end = time.monotonic() + 60 * options.budget if options.budget else float("inf")
    seeds: list[Seed] = []
    for number in range(options.seeds):
        seed = Seed(prepared, number, folder / f"seed-{number}")
        if seeds and time.monotonic() > end and not seed.is_finished(UNIMODAL_TRIAL):
            say(f"The budget allows for {len(seeds)} of {options.seeds} seeds.")
            break
        say(f"seed {number}: both modalities, each alone")
        seed.result_of(UNIMODAL_TRIAL)
        seeds.append(seed)
    dependence = _dependence(prepared, seeds[0].embeddings)
    joint = BALANCED.format(options.fusion) if options.balance else _reason(seeds, dependence)
    say(joint or "Each modality alone says something about the class: strategies are trained on frozen encoders.")
    field = Field(seeds, options.jobs, end, say)
    if options.balance:
        field.run([Trial(options.fusion, "balanced", balance=name) for name in names])
    elif joint:
        field.run([Trial(name, "frozen" if family(name) == "decision" else "joint") for name in names])
        if seeds[0].blind:  # the best strategy's encoders may show a dependence that separately trained ones do not
            best = max(field.scores, key=lambda trial: field.scores[trial], default=UNIMODAL_TRIAL)
            embedded = seeds[0].embedded_by(best) if best.way == "joint" else None
            dependence = _dependence(prepared, embedded) if embedded else None
    else:
        field.run([Trial(name, "frozen") for name in names])
        _finetune(field, [name for name in names if family(name) != "decision"])
    return _tested(field, names, dependence, joint)


def _blind(seed: Seed, modality: str) -> bool:
    """Returns whether a modality alone is at chance."""
    answered = seed.result_of(UNIMODAL_TRIAL).val
    rows = answered.has[modality]
    target = targets(seed.prepared, "val", answered)[rows]
    right = answered.probabilities[(modality,)][rows].argmax(1) == target
    return at_chance(right, target, clusters_of(seed.prepared.table, seed.modalities, answered.row).at(rows))


def _dependence(prepared: Prepared, embedded: Mapping[str, Rows]) -> Dependence | None:
    """Measures the dependence of embeddings of the training and the validation rows."""
    held = validation_rows(prepared)
    clusters = held.clusters.at(held.number)  # the cluster of each clip
    return conditional_dependence(embedded["train"], embedded["val"], clusters, len(prepared.labels))


def _reason(seeds: Sequence[Seed], dependence: Dependence | None) -> str:
    """Returns why all parts must be trained jointly, or ""."""
    blind = [m for m in seeds[0].modalities if all(_blind(seed, m) for seed in seeds)]
    for seed in seeds:
        seed.blind = bool(blind)
    if blind:
        which = f"{' nor '.join(blind)} alone says anything" if len(blind) > 1 else f"{blind[0]} alone says nothing"
        return f"{'Neither ' if len(blind) > 1 else ''}{which} about the class: everything is trained jointly."
    if dependence and dependence.found:
        share = f"{100 * dependence.accuracy:.1f} %"
        return (
            f"The modalities have more in common than the class ({share} of pairs told): everything is trained jointly."
        )
    return ""


class Field:
    """All trials so far, in all seeds."""

    def __init__(self, seeds: list[Seed], jobs: int, end: float, say: Callable[[str], object]) -> None:
        self.seeds, self.jobs, self.end, self.say = seeds, jobs, end, say
        self.scores: dict[Trial, float] = {}
        self.failed: dict[str, str] = {}  # strategy -> why

    def run(self, trials: Sequence[Trial]) -> None:
        """Trains each in every seed, as far as the budget allows; a trial counts when all its seeds are done."""
        for trial in trials:
            if time.monotonic() > self.end and not all(seed.is_finished(trial) for seed in self.seeds):
                self.say(f"{trial.name}: the budget is used up")
                continue
            self.say(f"{trial.name}: {trial.way}")
            try:
                if self.jobs > 1:
                    Parallel(self.jobs)(delayed(_try)(seed, trial, self.jobs) for seed in self.seeds)
                self.scores[trial] = float(np.mean([self._score(seed, trial) for seed in self.seeds]))
            except (TrainingError, ConfigError) as error:  # the other candidates may succeed
                self.failed[trial.name] = str(error)
                self.say(f"{trial.name}: failed. {error}")

    def _score(self, seed: Seed, trial: Trial) -> float:
        answered = seed.result_of(trial).val
        pairs = targets(seed.prepared, "val", answered) * len(seed.prepared.labels)
        pairs += answered.probabilities[seed.modalities].argmax(1)
        return macro_means(pairs, len(seed.prepared.labels))["macro_f1"]

    def best(self, name: str) -> Trial | None:
        """Returns the strategy's version that is best on validation rows; among equals the cheapest."""
        own = [trial for trial in self.scores if trial.name == name]
        return max(own, key=lambda trial: self.scores[trial], default=None)


def _try(seed: Seed, trial: Trial, jobs: int) -> None:
    """Trains a trial in a process of its own; its result is then on disk."""
    tune_process()
    torch.set_num_threads(max((os.cpu_count() or 1) // jobs, 1))
    seed.result_of(trial)


def _finetune(field: Field, names: list[str]) -> None:
    """Finetunes by successive halving, twice the epochs in each round; what gained nothing is dropped."""
    ranked = sorted(names, key=lambda name: -field.scores.get(Trial(name, "frozen"), -1.0))
    left = [name for name in ranked if Trial(name, "frozen") in field.scores][: max(len(names) // FIRST_ROUND, 1)]
    number = 1
    while left:
        trials = [Trial(name, "finetuned", number) for name in left]
        field.run(trials)
        gained = [t for t in trials if field.scores.get(t, -1.0) > field.scores[t.before()]]
        left = [t.strategy for t in sorted(gained, key=lambda t: -field.scores[t])][: len(left) // 2]
        number += 1


def _tested(field: Field, names: list[str], dependence: Dependence | None, joint: str) -> ComparisonStudy:
    """Predicts and measures the test rows."""
    prepared = field.seeds[0].prepared
    ranked = sorted((t for n in names if (t := field.best(n))), key=lambda trial: -field.scores[trial])
    if not ranked and field.failed:
        name, reason = next(iter(field.failed.items()))
        raise TrainingError(f"No strategy could be trained; {name}: {reason}")
    if not ranked:
        raise RunError("The budget was used up before any strategy was trained. Go on with --resume and more --budget.")
    compared = {}
    with progress_bar("testing", len(ranked), "strategy") as bar:
        for trial in ranked:
            compared[trial.name] = _compared(field, trial)
            bar.update()
    unimodal = _compared(field, UNIMODAL_TRIAL)
    said = {"val": unimodal.val[0], "test": unimodal.test[0]}
    target = {split: targets(prepared, split, of_split) for split, of_split in said.items()}
    modalities = prepared.config.modalities
    clusters = {split: clusters_of(prepared.table, modalities, one.row) for split, one in said.items()}
    seconds = float(np.mean([seed.seconds(UNIMODAL) for seed in field.seeds]))
    left_out = [name for name in names if name not in compared and name not in field.failed]
    networks = {name: field.seeds[0].network(one.trial) for name, one in compared.items()}
    for m in modalities:
        networks[m] = build_network(dataclasses.replace(prepared.config, modalities=(m,)), len(prepared.labels))
    found = costs(networks, _example(prepared))
    return ComparisonStudy(
        field.seeds, compared, unimodal, found, target, clusters, seconds, dependence, joint, left_out, field.failed
    )


def _compared(field: Field, trial: Trial) -> Compared:
    return Compared(
        trial.name,
        family(trial.strategy),
        trial,
        field.scores.get(trial, float("nan")),
        [seed.result_of(trial).val for seed in field.seeds],
        [seed.test(trial) for seed in field.seeds],
        float(np.mean([_own_seconds(seed, trial) for seed in field.seeds])),
    )


def _own_seconds(seed: Seed, trial: Trial) -> float:
    """Returns the training time of the trial and of those it continues, without that of the modalities."""
    own = seed.seconds(trial.folder) + (seed.seconds(TOGETHER) if trial.way == "joint" else 0)
    return own + _own_seconds(seed, trial.before()) if trial.way == "finetuned" else own


def _example(prepared: Prepared) -> Batch:
    """Builds a row of silence and black, of the size of all rows."""
    inputs = {m: modality(m).blank(getattr(prepared.config, m))[None] for m in prepared.config.modalities}
    return Batch(inputs, {m: torch.ones(1, dtype=torch.bool) for m in inputs})
