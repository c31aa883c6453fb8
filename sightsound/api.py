"""`sightsound.train`, `compare`, `robustness` and `generalization`: for Python and the command line, with reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sightsound.classifier import Classifier, Columns, Missing, load
from sightsound.config import Config, check_names, from_dict
from sightsound.data.datasets import table_for, with_seed
from sightsound.data.sources import SourceOptions
from sightsound.data.table import read_table
from sightsound.progress import say
from sightsound.report.compare import write_comparison
from sightsound.report.generalization import write_generalization
from sightsound.report.robustness import write_robustness
from sightsound.report.training import write_report
from sightsound.run_folder import BUNDLE, new_folder
from sightsound.studies.comparison.candidates import CompareOptions
from sightsound.studies.comparison.run import Comparison, run_comparison
from sightsound.studies.generalization import Fold, learning_curve, leave_one_group_out
from sightsound.studies.robustness.study import RobustnessOptions, RobustnessStudy, run_robustness
from sightsound.training.run import train as train_in_folder


def train(
    table: str | Path | pd.DataFrame,
    *,
    source: SourceOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    config: Config | None = None,
    say: Callable[[str], object] = say,
    **options: Any,
) -> Classifier:
    """Trains a classifier on a table of images, sounds and labels.

    Args:
        table: CSV, TSV, Parquet or JSON Lines file, folder of classes, DataFrame, or the name of a data set.
        source: of a data set by name: where its files are, and how it is made.
        out: run folder for the bundle, the report and the logs; default: a new one, runs/NAME_OF_TABLE.
        resume: go on with the run in `out`.
        config: all options at once.
        say: called with each line about what happens.
        **options: any field of `Config` by name, such as fusion="average", epochs=5 or image={"height": 64}.

    Returns:
        the classifier; `classifier.metrics` has its numbers, OUT/report.html shows them.

    Raises:
        SightsoundError: something that you can mend; the message says how.
    """
    filled = _filled(config, options)
    run = Path(out) if out else new_folder(table)
    known = table_for(table, source)
    classifier = train_in_folder(known, filled, run, resume, say)
    report = write_report(classifier, read_table(known, filled.columns), run, _called(table))
    say(f"Bundle: {run / BUNDLE}\nReport: {report}")
    return classifier


def compare(
    table: str | Path | pd.DataFrame,
    *,
    source: SourceOptions | None = None,
    compare: CompareOptions | None = None,
    strategies: str | Sequence[str] | None = None,
    balance: str | Sequence[str] | None = None,
    fusion: str | None = None,
    seeds: int | None = None,
    budget: float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    config: Config | None = None,
    say: Callable[[str], object] = say,
    **options: Any,
) -> Comparison:
    """Trains every fusion strategy, or one by every balance, and both single modalities on a table; recommends one.

    Args:
        table: CSV, TSV, Parquet or JSON Lines file, folder of classes, DataFrame, or the name of a data set.
        source: of a data set by name: where its files are, and how it is made.
        compare: which strategies, how many seeds, how long, how many at the same time.
        strategies: their names; or "all". This and the next four in place of those in `compare`.
        balance: names, or "all", of balances to compare in place of strategies.
        fusion: the strategy that each balance trains; default: concat.
        seeds: how often everything is trained.
        budget: minutes after which nothing new is begun.
        out: run folder; default: a new one, runs/NAME_OF_TABLE.
        resume: go on with the comparison in `out`.
        config: all options at once.
        say: called with each line about what happens.
        **options: any field of `Config` by name, but fusion, schedule and balance.

    Returns:
        numbers, recommendation and the winner; OUT/compare.html shows them.

    Raises:
        SightsoundError: something that you can mend; the message says how.
    """
    given: dict[str, Any] = {"strategies": strategies, "balance": balance, "fusion": fusion}
    given = {n: v if v is None or isinstance(v, str) else ",".join(v) for n, v in given.items()}
    given |= {"seeds": seeds, "budget": budget}
    typed = {name: value for name, value in given.items() if value is not None}
    chosen, filled = dataclasses.replace(compare or CompareOptions(), **typed), _filled(config, options)
    run = Path(out) if out else new_folder(table)
    done = run_comparison(table_for(table, source), filled, chosen, run, resume, say)
    report = write_comparison(done.study, done.rows, done.found, done.classifier.labels, chosen, run, _called(table))
    say(f"Bundle: {run / BUNDLE}\nReport: {report}")
    return done


def robustness(
    bundle: str | Path,
    table: str | Path | pd.DataFrame,
    *,
    source: SourceOptions | None = None,
    robustness: RobustnessOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    skip_bad_files: bool = False,
    trust: bool = False,
    say: Callable[[str], object] = say,
) -> RobustnessStudy:
    """Measures what a classifier is still worth when files are missing, damaged or contradict each other.

    Args:
        bundle: folder of the classifier.
        table: as of `train`, with labels; its test rows count, or all rows if it has no test split.
        source: of a data set by name; its seed is that of the classifier's training, so that the splits are the same.
        robustness: how many rows, and the seed.
        out: folder; default: a new one, runs/NAME_OF_TABLE.
        resume: go on with the study in `out`.
        skip_bad_files: go on without rows that cannot be used.
        trust: as of `load`.
        say: called with each line about what happens.

    Returns:
        all numbers and curves; OUT/robustness.html shows them.

    Raises:
        SightsoundError: something that you can mend; the message says how.
    """
    run = Path(out) if out else new_folder(table)
    options = robustness or RobustnessOptions()
    classifier = load(bundle, trust=trust)
    known = table_for(table, with_seed(source, classifier.config.seed))
    done = run_robustness(classifier, Path(bundle), known, options, run, resume, say, skip_bad_files)
    say(f"Report: {write_robustness(done, classifier.config, _called(table), run)}")
    return done


def generalization(
    bundle: str | Path,
    table: str | Path | pd.DataFrame,
    *,
    source: SourceOptions | None = None,
    by_group: bool,
    columns: Columns = None,
    missing: Missing = None,
    out: str | Path | None = None,
    resume: bool = False,
    skip_bad_files: bool = False,
    trust: bool = False,
    say: Callable[[str], object] = say,
) -> list[Fold]:
    """Trains anew with a classifier's configuration, to see how far it carries.

    Args:
        bundle: folder of the classifier.
        table: as of `train`, with labels.
        source: of a data set by name; its seed is that of the classifier's training, so that the splits are the same.
        by_group: leave each group out in turn, and test on it; else train on more and more rows (a learning curve).
        columns: what the table calls its columns; default: as the classifier's did.
        missing: the policy for what is missing or damaged, or one for each modality; default: the classifier's.
        out: folder; default: a new one, runs/NAME_OF_TABLE.
        resume: go on with the study in `out`.
        skip_bad_files: go on without rows that cannot be used.
        trust: as of `load`.
        say: called with each line about what happens.

    Returns:
        one fold for each group or size; OUT/generalization.html shows them.

    Raises:
        SightsoundError: something that you can mend; the message says how.
    """
    run = Path(out) if out else new_folder(table)
    study = leave_one_group_out if by_group else learning_curve
    classifier = load(bundle, trust=trust).under(missing)
    known = table_for(table, with_seed(source, classifier.config.seed))
    folds = study(classifier, known, run, resume, say, columns, skip_bad_files)
    say(f"Report: {write_generalization(folds, by_group, classifier.config, _called(table), run)}")
    return folds


def _called(table: str | Path | pd.DataFrame) -> str:
    """What a report calls a table."""
    return "a DataFrame" if isinstance(table, pd.DataFrame) else str(table)


def _filled(config: Config | None, options: dict[str, Any]) -> Config:
    """A configuration with some options given by name."""
    base = config or Config()
    check_names(Config, options, "")
    for name, value in options.items():
        if isinstance(value, dict):  # a section given in part keeps its other values
            check_names(type(getattr(base, name)), value, f"{name}.")
            options[name] = dataclasses.replace(getattr(base, name), **value)
    return from_dict({**{f.name: getattr(base, f.name) for f in dataclasses.fields(base)}, **options})
