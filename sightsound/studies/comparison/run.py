"""Runs a comparison inside one run folder: begins or resumes it, recommends, saves the winner as a bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sightsound.bundle import describe_refit
from sightsound.classifier import Classifier
from sightsound.config import Config, imputing_policies
from sightsound.data.table import Table, read_table
from sightsound.errors import ConfigError, TableError
from sightsound.fusion import strategy_of
from sightsound.hardware import device_of, tuned_process
from sightsound.inference.subsets import measure_answers
from sightsound.missing import IMPUTERS
from sightsound.modalities.base import MODALITIES, is_left_open
from sightsound.network.build import resolved_options
from sightsound.run_folder import BUNDLE, REQUEST, open_run, request_of, write_errors
from sightsound.studies.comparison.candidates import FUSION, CompareOptions, choose_candidates
from sightsound.studies.comparison.compare import ComparisonStudy, train_candidates
from sightsound.studies.comparison.recommend import Recommendation, recommend
from sightsound.studies.comparison.summary import ComparisonRow, rows
from sightsound.training.decision import check_aims, check_validated, decision_for
from sightsound.training.encoder_choice import FILE as ENCODERS
from sightsound.training.encoder_choice import choose_encoders, with_small_encoders
from sightsound.training.feature_cache import on_cached
from sightsound.training.imputers import fit_imputers
from sightsound.training.prepare import Prepared, prepare
from sightsound.training.run import begin

EXCHANGING = "mmtm"  # any strategy that needs the encoders' inputs, and not their embeddings


class Comparison(NamedTuple):
    """A finished comparison: its numbers, the recommendation, and the winner.

    Attributes:
        study: all predictions.
        rows: a row for each strategy (or balance) and each unimodal model.
        found: the recommendation.
        classifier: the one recommended for accuracy, of the seed that was best on validation rows.
    """

    study: ComparisonStudy
    rows: list[ComparisonRow]
    found: Recommendation
    classifier: Classifier


def run_comparison(
    source: str | Path | pd.DataFrame,
    config: Config,
    options: CompareOptions,
    run: Path,
    resume: bool,
    say: Callable[[str], object],
) -> Comparison:
    """Compares strategies, or balances, on a table; writes the winner's bundle into the run folder.

    Args:
        source: the table.
        config: the configuration that all trainings share; its fusion, schedule and balance are ignored.
        options: which strategies or balances, how often.
        run: a new folder; or, with `resume`, that of a comparison of the same table and configuration, which may now
            have other strategies, more seeds, or another budget.
        resume: whether to go on with what is in the folder.
        say: called with each line for the user.

    Raises:
        TableError, ConfigError: the table or the configuration does not allow a comparison.
        RunError: the folder cannot be written, or is another run's.
    """
    if config.fusion_options:
        raise ConfigError(
            "fusion_options are those of one strategy, and a comparison trains each with its defaults. Leave them "
            "away; `train` takes them."
        )
    choose_candidates(options, config)  # wrong names are refused before the table is read
    if len(config.modalities) < 2:
        raise ConfigError("A comparison needs both modalities; with one there is nothing to fuse.")
    if imputing_policies(config):
        raise ConfigError("A comparison fills in nothing: --missing can be ignore, drop, linear or gaussian.")
    config = dataclasses.replace(config, fusion=FUSION, fusion_options={}, schedule="joint", balance="auxiliary")
    device_of(config.accelerator)
    table = read_table(source, config.columns)
    request = request_of(table, config)
    with open_run(run, request, resume), tuned_process(), write_errors(run):
        check_aims(table, config)
        config, options = _with_encoders(table, config, options, run, say)
        names = choose_candidates(options, config)
        prepared = prepare(table, config, run)
        _check(prepared)
        check_validated(prepared)
        begin(prepared, run, request, say)
        say(_announced(prepared, len(names), options))
        study = train_candidates(prepared, options, run, say)
        numbers = rows(study, len(prepared.labels))
        found = recommend(study, numbers)
        classifier = _winner(prepared, study, found.accuracy, say)
        classifier.save(run / BUNDLE)
        for sentence in describe_refit(classifier.metrics["refitted"]):
            say(f"The bundle differs from the table here. {sentence}")
        if classifier.network.decision:
            say(
                "The table compares the most probable classes; thresholds and logit adjustment are the bundle's alone, "
                "whose card and metrics are measured with them."
            )
    return Comparison(study, numbers, found, classifier)


def _with_encoders(
    table: Table, config: Config, options: CompareOptions, run: Path, say: Callable[[str], object]
) -> tuple[Config, CompareOptions]:
    """Returns the configuration with an encoder for each modality, and the options with what is compared on them.

    Encoders that are left open are chosen as `train` chooses them. On frozen ones "all" strategies are those that do
    not exchange between the encoders, since these would have to run in every epoch. Where such a strategy is named, and
    for balances, which are about how encoders are trained, small networks are taken.

    Raises:
        ConfigError: a comparison that was begun on frozen encoders is to go on with balances, or with strategies that
            exchange.
    """
    names = choose_candidates(options, config)
    exchanging = [name for name in names if not options.balance and strategy_of(name).exchanges()]
    begun = (run / REQUEST).exists()
    small = bool(options.balance or (exchanging and options.strategies != "all"))
    small = not (run / ENCODERS).exists() if begun else small
    left_open = [m for m in config.modalities if is_left_open(getattr(config, m))]
    if small:
        chosen = with_small_encoders(config)
        if left_open:
            what = "balances" if options.balance else f"strategies that exchange between them ({', '.join(exchanging)})"
            why = "this comparison was begun on them" if begun else f"{what} need to train them"
            say(f"Small networks are taken as encoders: {why}.")
    else:  # each is trained apart, whatever the balance of the strategies
        chosen = choose_encoders(table, dataclasses.replace(config, balance="detached"), run, say)
        chosen = dataclasses.replace(chosen, balance=config.balance)
    frozen = any(getattr(chosen, m).frozen for m in left_open)
    if (options.balance or exchanging) and not frozen:
        return dataclasses.replace(chosen, fusion=EXCHANGING), options
    if options.balance or (exchanging and options.strategies != "all"):
        raise ConfigError(
            f"{', '.join(names if options.balance else exchanging)}: cannot be compared on frozen encoders, with which "
            "this comparison was begun. Begin another one with another --out."
        )
    if exchanging:
        say(
            f"Left out: {', '.join(exchanging)}. They exchange between the encoders, which then run in every epoch. "
            "Named with --strategies, they are compared on small networks."
        )
    some = ",".join(name for name in names if name not in exchanging)
    return chosen, dataclasses.replace(options, strategies=some)


def _check(prepared: Prepared) -> None:
    """Raises ConfigError or TableError where the table does not allow a comparison."""
    if len(prepared.config.modalities) < 2:
        [there] = prepared.config.modalities
        columns = " and ".join(repr(getattr(prepared.config.columns, m)) for m in MODALITIES if m != there)
        raise ConfigError(
            f"There is nothing to fuse: only {there} is there, and no row has anything in the column {columns}. "
            f"Name it with {' or '.join(f'--columns.{m} NAME' for m in MODALITIES if m != there)}."
        )
    if not len(prepared.rows["test"]):
        raise TableError(f"{prepared.table.name}: a comparison is about test rows, and there are none (column split).")


def _announced(prepared: Prepared, strategies: int, options: CompareOptions) -> str:
    counts = ", ".join(f"{len(rows)} {part}" for part, rows in prepared.rows.items())
    kind = f"balances of {options.fusion}" if options.balance else "strategies"
    return (
        f"{len(prepared.labels)} classes; rows: {counts}.\n{strategies} {kind}, {options.seeds} seed(s), at most "
        f"{prepared.config.epochs} epochs in {prepared.config.precision}."
    )


def _winner(prepared: Prepared, study: ComparisonStudy, name: str, say: Callable[[str], object]) -> Classifier:
    """Builds the classifier of a strategy from its best seed, with the thresholds that are asked for."""
    one = study.compared[name]
    modalities = tuple(prepared.config.modalities)
    right = [(said.probabilities[modalities].argmax(1) == study.target["val"]).mean() for said in one.val]
    best = int(np.argmax(right))
    seed = study.seeds[best]
    network = seed.refitted_network(one.trial)
    network.decision, said = decision_for(prepared, one.val[best])
    for line in said:
        say(line)
    config = resolved_options(seed.config_of(one.trial), network)
    metrics = {
        "split": "test",
        "table": prepared.given,
        "guard": network.calibration.guard_shares(),
        "refitted": seed.refitted_heads(one.trial),
        **measure_answers(
            seed.answers_of(network, one.trial, "test"), study.target["test"], prepared.labels, study.clusters["test"]
        ),
    }
    cached = on_cached(network, prepared.cached)
    imputers = fit_imputers(cached, prepared.rows["train"], IMPUTERS)
    return Classifier(network, config, prepared.labels, metrics, imputers)
