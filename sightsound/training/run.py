"""The training procedure from table to bundle, inside one run folder that can be resumed after any stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sightsound.classifier import Classifier, load
from sightsound.config import Config, imputing_policies
from sightsound.config.parts import part_in_words
from sightsound.data.clusters import clusters_of
from sightsound.data.decode import over_time
from sightsound.data.table import read_table
from sightsound.data.text import without_formulas
from sightsound.hardware import device_of, tuned_process
from sightsound.inference.subsets import answer_rows, measure_answers
from sightsound.missing import IMPUTERS, Imputers, impute_by
from sightsound.network.build import check_parts, resolved_options
from sightsound.network.classifier import ClassifierNetwork
from sightsound.run_folder import BUNDLE, NOTES, claim, open_run, request_of, with_files, write_errors, write_whole
from sightsound.training.decision import check_aims, check_validated, fit_decision
from sightsound.training.encoder_choice import choose_encoders
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import fit
from sightsound.training.held_out import fit_held_out, validation_rows
from sightsound.training.imputers import fit_imputers
from sightsound.training.prepare import Prepared, prepare
from sightsound.training.refit import heads_again, refit

DIGITS = 6  # of probabilities in predictions.csv: those of rare classes are small


def run_training(
    source: str | Path | pd.DataFrame, config: Config, run: Path, resume: bool, say: Callable[[str], object]
) -> Classifier:
    """Trains a classifier and writes everything about it into the run folder.

    Args:
        source: the table.
        config: the configuration as the user gave it.
        run: a new folder; or, with `resume`, the folder of a run of the same table and configuration.
        resume: whether to go on where that run stopped. A finished one is loaded.
        say: called with each line for the user.

    Returns:
        the classifier, with the metrics of the test rows (of the validation rows if there are no test rows).

    Raises:
        TableError, ConfigError: the table or the configuration cannot be trained on.
        RunError: the folder cannot be written, is in use, or is another run's.
    """
    device_of(config.accelerator)
    table = read_table(source, config.columns)
    request = request_of(table, config)
    with open_run(run, request, resume):
        if (run / BUNDLE).exists():
            check_parts(config)  # the user of the same run has named these modules, and so trusts them
            return load(run / BUNDLE)
        with tuned_process(), write_errors(run):
            check_aims(table, config)
            prepared = prepare(table, choose_encoders(table, config, run, say), run)
            check_validated(prepared)
            begin(prepared, run, request, say)
            say(describe(prepared))
            return _trained(prepared, run, say)


def _trained(prepared: Prepared, run: Path, say: Callable[[str], object]) -> Classifier:
    """Trains, tests and saves."""
    network = on_cached(prepared.network, prepared.cached)
    fit(network, prepared.config, prepared.rows, run)
    network.to(device_of(prepared.config.accelerator))
    held = validation_rows(prepared)
    crossed = fit_held_out(network, held, prepared.config.guard == "on")
    fit_decision(network, prepared, crossed, say)
    prepared.network.decision = network.decision
    refitted = refit(network, prepared, run)
    policies = [*IMPUTERS, *imputing_policies(prepared.config).values()]
    imputers = fit_imputers(network, prepared.rows["train"], dict.fromkeys(policies))
    classifier = _tested(prepared, network, imputers, run, refitted).to("cpu")
    classifier.save(run / BUNDLE)
    return classifier


def begin(prepared: Prepared, run: Path, request: dict[str, Any], say: Callable[[str], object]) -> None:
    """Prints warnings about the table, claims the folder for this run, and stores them in it for the report.

    Raises:
        RunError: the files have changed since the resumed run was begun.
    """
    request = with_files(run, request, prepared.files)
    for warning in prepared.warnings:
        say(f"Note: {warning}")
    claim(run, prepared.config, request)
    write_whole(run / NOTES, json.dumps(prepared.warnings, indent=1))


def describe(prepared: Prepared) -> str:
    """Describes what is about to be trained, in two or three lines."""
    config, rows = prepared.config, prepared.rows
    counts = ", ".join(f"{len(rows[part])} {part}" for part in rows)
    size = sum(p.numel() for p in prepared.network.parameters())
    fusion = part_in_words(config.fusion, config.fusion_options)
    again = ", ".join(heads_again(prepared))
    said = f"\nIn the end, heads of frozen encoders ({again}) are trained on the validation rows too." if again else ""
    return (
        f"{len(prepared.labels)} classes; rows: {counts}.\n"
        f"{' + '.join(config.modalities)}, fusion {fusion}, schedule {config.schedule}: {size:,} parameters, "
        f"at most {config.epochs} epochs in {config.precision}.{said}"
    )


def _tested(
    prepared: Prepared, cached: ClassifierNetwork, imputers: dict[str, Imputers], run: Path, refitted: list[str]
) -> Classifier:
    """Reads the test rows, once; writes `predictions.csv`."""
    split = "test" if len(prepared.rows["test"]) else "val"
    network, rows, labels = prepared.network.eval(), prepared.rows[split], np.array(prepared.labels)
    frame = prepared.table.part(split).frame
    between = over_time(prepared.table.part(split), prepared.config)
    impute = impute_by(imputers, imputing_policies(prepared.config))
    answered = answer_rows(cached.eval(), rows, frame["row"].to_numpy(), between, impute)
    frame = frame.drop_duplicates("row").set_index("row").loc[answered.row]
    fused, most = answered.probabilities[tuple(network.modalities)], answered.predicted()
    probability = fused[np.arange(len(most)), most].round(DIGITS)
    columns = {"label": frame["label"], "predicted": labels[most], "probability": probability}
    for modality in network.modalities:
        unimodal, has = answered.probabilities[(modality,)], answered.has[modality]
        most = answered.predicted((modality,))
        columns[f"{modality}_only"] = np.where(has, labels[most], "")
        of_answer = unimodal[np.arange(len(most)), most].round(DIGITS)
        columns[f"{modality}_only_probability"] = np.where(has, of_answer, np.nan)
    columns |= {m: [name and prepared.table.display_name(name) for name in frame[m]] for m in network.modalities}
    columns |= {f"p_{label}": of_class.round(DIGITS) for label, of_class in zip(labels, fused.T, strict=True)}
    without_formulas(pd.DataFrame(columns).rename_axis("row").reset_index()).to_csv(
        run / "predictions.csv", index=False
    )
    target = np.searchsorted(labels, frame["label"].to_numpy(dtype=str))  # labels are sorted
    clusters = clusters_of(prepared.table, network.modalities, answered.row)
    measured = measure_answers(answered, target, prepared.labels, clusters)
    fitted = {"guard": network.calibration.guard_shares(), "refitted": refitted}
    metrics = {"split": split, "table": prepared.given, **fitted, **measured}
    return Classifier(network, resolved_options(prepared.config, network), prepared.labels, metrics, imputers)
