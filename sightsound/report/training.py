"""Writes `report.html` of a run: numbers, learning curves, confusion matrices and samples to look at and listen to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from sightsound.bundle import describe_guard
from sightsound.classifier import Classifier
from sightsound.config import Config
from sightsound.data.clusters import resampled_over
from sightsound.data.table import Table
from sightsound.report.figures import (
    confusion_figure,
    curves_figure,
    image_uri,
    sound_uri,
    spectrogram_uri,
    trust_figure,
)
from sightsound.report.page import write_page
from sightsound.training.loop import LOG
from sightsound.training.schedule import phases
from sightsound.types import Prediction

SAMPLES = 12
COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "calibration_error": "calibration error",
}


def write_report(classifier: Classifier, table: Table, run: Path) -> Path:
    """Writes the report of a finished run.

    Args:
        classifier: with its metrics.
        table: the one it was trained on.
        run: the run folder, with `predictions.csv` and `logs/`.

    Returns:
        the path of `report.html`.
    """
    subsets, labels = classifier.metrics["subsets"], classifier.classes_.tolist()
    return write_page(
        run / "report.html",
        name=run.name,
        config=classifier.config,
        labels=labels,
        metrics=classifier.metrics,
        guarded=describe_guard(classifier.metrics.get("guard")),
        resampled_over=resampled_over(classifier.metrics.get("clusters")),
        columns=COLUMNS,
        per_class={name: pd.DataFrame(numbers["per_class"]).T for name, numbers in subsets.items()},
        curves=curves_figure(_history(run, classifier.config)),
        confusions={name: confusion_figure(numbers["confusion"], labels) for name, numbers in subsets.items()},
        trust=trust_figure(subsets),
        samples=[_sample(classifier, table, row) for row in _chosen(run)],
    )


def _history(run: Path, config: Config) -> dict[str, pd.DataFrame]:
    """Per stage, in the order of the schedule, the logged numbers of each epoch; without those whose log is gone."""
    logs = {part.name: run / "logs" / part.name / LOG for part in phases(config)}
    return {name: pd.read_csv(log, index_col="epoch") for name, log in logs.items() if log.exists()}


def _chosen(run: Path) -> list[int]:
    """The rows of the samples to show: up to half of them wrong ones, drawn by a fixed seed."""
    rows = pd.read_csv(run / "predictions.csv", index_col="row", dtype=str, keep_default_na=False)
    rows.index = rows.index.astype(int)
    wrong = rows[rows["label"] != rows["predicted"]]
    wrong = wrong.sample(min(len(wrong), SAMPLES // 2), random_state=0)
    right = rows[rows["label"] == rows["predicted"]]
    right = right.sample(min(len(right), SAMPLES - len(wrong)), random_state=0)
    return [*wrong.index.tolist(), *right.index.tolist()]


def _sample(classifier: Classifier, table: Table, row: int) -> dict[str, Any]:
    """Everything the page shows of one row."""
    files = {m: str(table.frame.loc[row, m]) for m in classifier.config.modalities}
    given = {m: table.source(file) for m, file in files.items() if file}
    prediction: Prediction = classifier.predict(given.get("image"), given.get("audio"))
    sample: dict[str, Any] = {"row": row, "label": table.frame.loc[row, "label"], "prediction": prediction}
    sample["unimodal"] = {m: max(said.items(), key=lambda item: item[1]) for m, said in prediction.per_modality.items()}
    if "image" in given:
        sample["image"] = image_uri(classifier, given["image"])
    if "audio" in given:
        sample["sound"] = sound_uri(classifier, given["audio"])
        sample["spectrogram"] = spectrogram_uri(classifier, given["audio"])
    return sample
