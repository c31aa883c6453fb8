"""The functions for Python, which the command line calls too: `train`, `compare` and studies, each with its report.

Each takes a table (or the name of a data set) and a run folder, writes into that folder, and returns the results.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sightsound.classifier import Classifier, Columns, Missing, load
from sightsound.config import Config
from sightsound.config.given import with_options
from sightsound.data.datasets import TableLike, table_for, with_seed
from sightsound.data.sources import SourceOptions
from sightsound.data.table import read_table
from sightsound.errors import ConfigError
from sightsound.progress import Say, say
from sightsound.report.compare import write_comparison
from sightsound.report.generalization import write_generalization
from sightsound.report.robustness import write_robustness
from sightsound.report.training import write_report
from sightsound.run_folder import BUNDLE, folder_for
from sightsound.studies.comparison.candidates import CompareOptions
from sightsound.studies.comparison.run import Comparison, run_comparison
from sightsound.studies.generalization import Fold, run_learning_curve, run_leave_one_group_out
from sightsound.studies.robustness.study import RobustnessOptions, RobustnessStudy, run_robustness
from sightsound.training.run import run_training


def train(
    table: TableLike,
    *,
    source: SourceOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    config: Config | None = None,
    say: Say = say,
    **options: Any,
) -> Classifier:
    """Trains a classifier on a table of images, sounds and labels.

    Args:
        table: CSV, TSV, Parquet or JSON Lines file, folder of classes, DataFrame, or the name of a data set.
        source: for a data set by name: where its files are, and how it is built.
        out: run folder for the bundle, the report and the logs; default: a new one, runs/NAME_OF_TABLE.
        resume: whether to go on with the run in `out`.
        config: all options at once.
        say: called with each line of progress.
        **options: any field of `Config` by name, such as fusion="average", epochs=5 or image={"height": 64}.

    Returns:
        the classifier; `classifier.metrics` has its metrics, OUT/report.html shows them.

    Raises:
        SightsoundError: an error that you can correct; the message says how.
    """
    run, filled = folder_for(table, out), with_options(config, options)
    known = table_for(table, source)
    classifier = run_training(known, filled, run, resume, say)
    report = write_report(classifier, read_table(known, filled.columns), run, _called(table))
    say(f"Bundle: {run / BUNDLE}\nReport: {report}")
    return classifier


def compare(
    table: TableLike,
    *,
    options: CompareOptions | None = None,
    strategies: str | Sequence[str] | None = None,
    balance: str | Sequence[str] | None = None,
    seeds: int | None = None,
    budget: float | None = None,
    fusion: str | None = None,
    source: SourceOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    config: Config | None = None,
    say: Say = say,
    **training: Any,
) -> Comparison:
    """Trains every fusion strategy, or one with every balance, and each modality alone; recommends one.

    Args:
        table: as of `train`.
        source: as of `train`.
        out: as of `train`.
        resume: as of `train`.
        config: as of `train`.
        say: as of `train`.
        options: the strategies, the number of seeds, the time budget and the number of parallel trainings.
        strategies: their names; or "all". This and the next four take the place of those in `options`.
        balance: names, or "all", of balances to compare in place of strategies.
        seeds: the number of trainings of each candidate, with a seed each.
        budget: minutes after which no new training begins.
        fusion: the strategy that is trained with each balance; default: concat.
        **training: any field of `Config` by name, but fusion, schedule and balance.

    Returns:
        metrics, recommendation and the recommended classifier; OUT/compare.html shows them.

    Raises:
        SightsoundError: an error that you can correct; the message says how.
    """
    named: dict[str, Any] = {"strategies": strategies, "balance": balance, "fusion": fusion}
    named = {n: v if v is None or isinstance(v, str) else ",".join(v) for n, v in named.items()}
    named |= {"seeds": seeds, "budget": budget}
    given = {name: value for name, value in named.items() if value is not None}
    if fusion is not None and "balance" not in given and (options is None or options.balance is None):
        raise ConfigError(
            f"fusion={fusion!r} is the strategy that each balance trains, and no balance is given. Give balance='all', "
            f"or strategies={fusion!r}."
        )
    chosen, filled = dataclasses.replace(options or CompareOptions(), **given), with_options(config, training)
    run = folder_for(table, out)
    done = run_comparison(table_for(table, source), filled, chosen, run, resume, say)
    labels = done.classifier.classes_.tolist()
    report = write_comparison(done.study, done.rows, done.found, labels, chosen, run, _called(table))
    say(f"Bundle: {run / BUNDLE}\nReport: {report}")
    return done


def robustness(
    classifier: Classifier | str | Path,
    table: TableLike,
    *,
    options: RobustnessOptions | None = None,
    source: SourceOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    skip_bad_files: bool = False,
    trust: bool = False,
    say: Say = say,
) -> RobustnessStudy:
    """Measures the accuracy of a classifier when files are missing, damaged or contradict each other.

    Args:
        classifier: a classifier, used on its device; or the folder of its bundle.
        table: as of `train`, with labels; its test rows are used, or all rows if it has no test split.
        options: the number of rows, and the seed.
        source: for a data set by name; its seed is that of the classifier's training, so that the splits are equal.
        out: as of `train`.
        resume: as of `train`.
        say: as of `train`.
        skip_bad_files: whether to go on without rows that cannot be used.
        trust: as of `load`.

    Returns:
        all metrics and curves; OUT/robustness.html shows them.

    Raises:
        SightsoundError: an error that you can correct; the message says how.
    """
    run, known = folder_for(table, out), _loaded(classifier, trust)
    rows = table_for(table, with_seed(source, known.config.seed))
    done = run_robustness(known, rows, options or RobustnessOptions(), run, resume, say, skip_bad_files)
    say(f"Report: {write_robustness(done, known.config, _called(table), run)}")
    return done


def leave_one_group_out(
    classifier: Classifier | str | Path,
    table: TableLike,
    *,
    columns: Columns = None,
    missing: Missing = None,
    source: SourceOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    skip_bad_files: bool = False,
    trust: bool = False,
    say: Say = say,
) -> list[Fold]:
    """Trains without each group (speaker, site) in turn and tests on it: generalisation to new groups.

    Args:
        classifier: a classifier whose configuration is used; or the folder of its bundle.
        table: as of `train`, with labels and groups.
        columns: the names of the table's columns; default: those of the classifier's table.
        missing: the policy for what is missing or damaged, or one for each modality; default: the classifier's.
        source: as of `robustness`.
        out: as of `robustness`.
        resume: as of `robustness`.
        skip_bad_files: as of `robustness`.
        trust: as of `robustness`.
        say: as of `robustness`.

    Returns:
        one fold for each group; OUT/generalization.html shows them.

    Raises:
        SightsoundError: an error that you can correct; the message says how.
    """
    run, known = folder_for(table, out), _loaded(classifier, trust).under(missing)
    rows = table_for(table, with_seed(source, known.config.seed))
    folds = run_leave_one_group_out(known, rows, run, resume, say, columns, skip_bad_files)
    say(f"Report: {write_generalization(folds, True, known.config, _called(table), run)}")
    return folds


def learning_curve(
    classifier: Classifier | str | Path,
    table: TableLike,
    *,
    columns: Columns = None,
    missing: Missing = None,
    source: SourceOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    skip_bad_files: bool = False,
    trust: bool = False,
    say: Say = say,
) -> list[Fold]:
    """Trains on increasing shares of the training rows: whether more data would help.

    Args:
        classifier: as of `leave_one_group_out`.
        columns: as of `leave_one_group_out`.
        missing: as of `leave_one_group_out`.
        table: as of `train`, with labels; its test rows, given or drawn, are the same for all shares.
        source: as of `robustness`.
        out: as of `robustness`.
        resume: as of `robustness`.
        skip_bad_files: as of `robustness`.
        trust: as of `robustness`.
        say: as of `robustness`.

    Returns:
        one fold for each share of the training rows; OUT/generalization.html shows them.

    Raises:
        SightsoundError: an error that you can correct; the message says how.
    """
    run, known = folder_for(table, out), _loaded(classifier, trust).under(missing)
    rows = table_for(table, with_seed(source, known.config.seed))
    folds = run_learning_curve(known, rows, run, resume, say, columns, skip_bad_files)
    say(f"Report: {write_generalization(folds, False, known.config, _called(table), run)}")
    return folds


def _loaded(classifier: Classifier | str | Path, trust: bool) -> Classifier:
    return classifier if isinstance(classifier, Classifier) else load(classifier, trust=trust)


def _called(table: TableLike) -> str:
    """Returns the name of a table in reports."""
    return str(table) if isinstance(table, str | Path) else "a DataFrame"
