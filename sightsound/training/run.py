"""The training procedure from table to bundle, inside one run folder that can be gone on with after any stop."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from safetensors import SafetensorError

from sightsound.answers import answer_rows, measure_answers
from sightsound.build import import_own
from sightsound.config import Config, filling_policies
from sightsound.data.table import Table, read_table
from sightsound.errors import RunError
from sightsound.inference import over_time
from sightsound.missing import IMPUTERS, Imputers, filler
from sightsound.pipeline import Classifier, load
from sightsound.text import without_formulas
from sightsound.training.calibrate import calibrate
from sightsound.training.fit import fit
from sightsound.training.hardware import tuned_process
from sightsound.training.impute import learnt
from sightsound.training.kept import shortened
from sightsound.training.prepare import Prepared, prepare
from sightsound.translator_config import TranslatorConfig

BUNDLE = "bundle"
REQUEST = "request.json"
ENOUGH_BYTES = 200_000_000  # free space below which a run is not begun


def train(
    source: str | Path | pd.DataFrame, config: Config, run: Path, resume: bool, say: Callable[[str], object]
) -> Classifier:
    """Trains a classifier and writes everything about it into the run folder.

    Args:
        source: the table.
        config: what the user asked for.
        run: a new folder; or, with `resume`, the folder of a run of the same table and configuration.
        resume: go on where that run stopped. A finished one is loaded.
        say: called with each line for the user.

    Returns:
        the classifier, with the metrics of the test rows (of the validation rows if there are no test rows).

    Raises:
        TableError, ConfigError: what was given cannot be trained on.
        RunError: the folder cannot be written, is in use, or is another run's.
    """
    table = read_table(source, config.columns)
    open_run(run, request_of(table, config), resume)
    if (run / BUNDLE).exists():
        import_own(config)  # whoever asks for the same run has named them, and so trusts them
        return load(run / BUNDLE)
    with tuned_process(), writing(run):
        prepared = prepare(table, config, run)
        begin(prepared, run, request_of(table, config), say)
        say(describe(prepared))
        with shortened(prepared.network, prepared.kept):
            fit(prepared.network, prepared.config, prepared.rows, run)
            calibrate(prepared.network, prepared.rows["val"])
            policies = [*IMPUTERS, *filling_policies(prepared.config).values()]
            imputers = learnt(prepared.network, prepared.rows["train"], dict.fromkeys(policies))
            classifier = _tested(prepared, imputers, run)
        classifier.save(run / BUNDLE)
    return classifier


@contextmanager
def writing(run: Path) -> Iterator[None]:
    """Turns what the system says about disk and permission into a RunError."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise RunError(f"{run}: cannot be written: {error}. Mend that, then go on with --resume.") from error


def begin(prepared: Prepared, run: Path, request: dict[str, Any], say: Callable[[str], object]) -> None:
    """Says what was noticed in the table, and makes the folder this run's."""
    for warning in prepared.warnings:
        say(f"Note: {warning}")
    claim(run, prepared.config, request)


def claim(run: Path, config: Config | TranslatorConfig, request: dict[str, Any]) -> None:
    """Writes `config.yaml` and `request.json`; from here on the folder is this run's."""
    (run / "config.yaml").write_text(yaml.safe_dump(plain(config), sort_keys=False))
    partial = run / f"{REQUEST}.partial"
    partial.write_text(json.dumps(request, indent=1))
    partial.replace(run / REQUEST)


def describe(prepared: Prepared) -> str:
    """What is about to be trained, in two lines."""
    config, rows = prepared.config, prepared.rows
    counts = ", ".join(f"{len(rows[part])} {part}" for part in rows)
    size = sum(p.numel() for p in prepared.network.parameters())
    return (
        f"{len(prepared.labels)} classes; rows: {counts}.\n"
        f"{' + '.join(config.modalities)}, fusion {config.fusion}, schedule {config.schedule}: {size:,} parameters, "
        f"at most {config.epochs} epochs in {config.precision}."
    )


def _tested(prepared: Prepared, imputers: dict[str, Imputers], run: Path) -> Classifier:
    """Reads the test rows, once; writes `predictions.csv`."""
    split = "test" if len(prepared.rows["test"]) else "val"
    network, rows, labels = prepared.network.eval(), prepared.rows[split], np.array(prepared.labels)
    frame = prepared.table.part(split).frame
    between = over_time(prepared.table.part(split), prepared.config)
    fill = filler(imputers, filling_policies(prepared.config))
    answered = answer_rows(network, rows, frame["row"].to_numpy(), between, fill)
    frame = frame.drop_duplicates("row").set_index("row").loc[answered.row]
    fused = answered.probabilities[tuple(network.modalities)]
    columns = {"label": frame["label"], "predicted": labels[fused.argmax(1)], "probability": fused.max(1).round(4)}
    for modality in network.modalities:
        said = labels[answered.probabilities[(modality,)].argmax(1)]
        columns[f"{modality}_alone"] = np.where(answered.has[modality], said, "")
    columns |= {m: [name and prepared.table.shown(name) for name in frame[m]] for m in network.modalities}
    columns |= {f"p_{label}": of_class.round(4) for label, of_class in zip(labels, fused.T, strict=True)}
    without_formulas(pd.DataFrame(columns).rename_axis("row").reset_index()).to_csv(
        run / "predictions.csv", index=False
    )
    target = np.searchsorted(labels, frame["label"].to_numpy(dtype=str))  # labels are sorted
    metrics = {"split": split, **measure_answers(answered, target, prepared.labels)}
    config = dataclasses.replace(prepared.config, joins=network.joins)
    return Classifier(network, config, prepared.labels, metrics, imputers)


def plain(config: Config | TranslatorConfig) -> dict[str, Any]:
    """The configuration as dicts, lists and scalars."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return values


def request_of(table: Table, config: Config | TranslatorConfig) -> dict[str, Any]:
    """What makes two calls the same run."""
    content = pd.util.hash_pandas_object(table.frame).to_numpy().tobytes()
    return {"table": table.name, "content": hashlib.sha256(content).hexdigest(), "config": plain(config)}


def open_run(run: Path, request: dict[str, Any], resume: bool) -> None:
    """Makes the run folder, or checks that it is the one to go on with."""
    known = run / REQUEST
    if known.exists() and resume:
        before = json.loads(known.read_text())
        differing = [name for name in request["config"] if before["config"].get(name) != request["config"][name]]
        differing += ["the table's content"] if before["content"] != request["content"] else []
        if differing:
            raise RunError(
                f"{run} is a run with other settings ({', '.join(differing)} differ). Repeat the command it was "
                f"begun with, or give another --out. Its settings: {known}"
            )
        return
    if run.exists() and (not run.is_dir() or any(not _is_left_over(path) for path in run.iterdir())):
        raise RunError(f"{run} is there already. Give another --out, or --resume to go on with the run in it.")
    try:
        run.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(run).free
    except OSError as error:
        raise RunError(f"{run}: the run folder cannot be written: {error}. Give another --out.") from error
    if free < ENOUGH_BYTES:
        raise RunError(f"{run}: only {free / 1e6:.0f} MB are free there; a run needs {ENOUGH_BYTES / 1e6:.0f} MB.")


def _is_left_over(path: Path) -> bool:
    """Whether a file is what a run leaves that stopped before its training began."""
    return path.suffix == ".partial" or path.name in ("rejected.csv", "splits.csv", "config.yaml")


def new_folder(table: str | Path | pd.DataFrame) -> Path:
    """runs/NAME, or the first of runs/NAME-2, runs/NAME-3, ... that is free."""
    name = "dataframe" if isinstance(table, pd.DataFrame) else Path(table).stem.replace(":", "_") or "run"
    number, folder = 1, Path("runs") / name
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    return folder
