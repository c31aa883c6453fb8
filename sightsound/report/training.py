"""Writes `report.html` of a run: numbers, learning curves, confusion matrices, classes, and a browser of wrong rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from sightsound.bundle import METRICS, describe_decision, describe_guard, describe_refit
from sightsound.classifier import Classifier
from sightsound.config import Config
from sightsound.data.clusters import resampled_over
from sightsound.data.table import Table
from sightsound.data.text import without_formulas
from sightsound.report.charts import Lines
from sightsound.report.errors import browse
from sightsound.report.figures import confusion, coverage, curves_of_classes, learning_curves, reliability
from sightsound.report.page import kind_of, short_name, version, when, write_page
from sightsound.run_folder import BUNDLE, read_notes
from sightsound.training.encoder_choice import doubt, measured_candidates
from sightsound.training.loop import LOG
from sightsound.training.schedule import phases
from sightsound.types import SPLITS

COLUMNS = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "average_precision": "average precision",
    "calibration_error": "calibration error",
}


def write_report(classifier: Classifier, table: Table, run: Path, name: str = "") -> Path:
    """Writes the report of a finished run.

    Args:
        classifier: with its metrics.
        table: the one it was trained on.
        run: the run folder, with `predictions.csv` and `logs/`.
        name: what the user called the table, such as a data set by its name; default: the table's.

    Returns:
        the path of `report.html`.
    """
    config, metrics, labels = classifier.config, classifier.metrics, classifier.classes_.tolist()
    subsets, counts = metrics["subsets"], class_counts(run, table)
    return write_page(
        run / "report.html",
        title=f"{kind_of(config)}, on {short_name(name or table.name)}",
        about=_about(classifier, name or table.name, counts, run),
        config=config,
        labels=labels,
        place={label: i for i, label in enumerate(labels)},
        metrics=metrics,
        headline=headline(metrics),
        refitted=describe_refit(metrics.get("refitted", [])),
        decided=describe_decision(classifier.network.decision.named(labels), metrics),
        guarded=describe_guard(metrics.get("guard")),
        resampled_over=resampled_over(metrics.get("clusters")),
        columns=COLUMNS,
        counts=counts,
        encoders=measured_candidates(run),
        doubt=doubt,
        notes=read_notes(run),
        curves=learning_curves(history(run, config)),
        reliability=reliability(subsets),
        coverage=coverage(subsets),
        precision_recall=precision_recall(run, labels),
        confusions=[confusion(name, numbers, labels) for name, numbers in subsets.items()],
        errors=browse(run, table, config, labels),
    )


def history(run: Path, config: Config) -> dict[str, pd.DataFrame]:
    """Per phase, in the order of the schedule, the logged numbers of each epoch; without those whose log is gone."""
    logs = {part.name: run / "logs" / part.name / LOG for part in phases(config)}
    return {name: pd.read_csv(log, index_col="epoch") for name, log in logs.items() if log.exists()}


def precision_recall(run: Path, labels: list[str]) -> Lines:
    """Draws the curves of the classes that are told worst from the others, by the answers in a run folder."""
    answers = pd.read_csv(run / "predictions.csv", dtype={"label": str}, keep_default_na=False)
    probabilities = answers[[f"p_{label}" for label in labels]].to_numpy()
    written = without_formulas(pd.DataFrame({"label": labels}))["label"].tolist()
    return curves_of_classes(pd.Index(written).get_indexer(answers["label"]), probabilities, labels)


def class_counts(run: Path, table: Table) -> pd.DataFrame:
    """Rows of each class in each split, by class; from `splits.csv` of a run folder, if it is there."""
    rows = table.frame.drop_duplicates("row").set_index("row")
    if (run / "splits.csv").exists():
        splits = pd.read_csv(run / "splits.csv").drop_duplicates("row").set_index("row")["split"]
        rows = rows.loc[splits.index].assign(split=splits)
    return pd.crosstab(rows["label"], rows["split"]).reindex(columns=list(SPLITS), fill_value=0)


def _about(classifier: Classifier, table: str, counts: pd.DataFrame, run: Path) -> list[str]:
    config, rows = classifier.config, counts.sum()
    trained = when(run / BUNDLE / METRICS)
    several = f"schedule {config.schedule}, balance {config.balance}, " if len(config.modalities) > 1 else ""
    how = f"{several}seed {config.seed}"
    return [
        f"Trained on {rows['train']:,} rows of {len(classifier.classes_)} classes in {table}, with {rows['val']:,} "
        f"validation rows; {how}.",
        f"{trained}, {version()}.",
    ]


def headline(metrics: dict[str, Any]) -> str:
    """States the classifier's metrics in a sentence or two."""
    parts = []
    for name, numbers in metrics["subsets"].items():
        low, high = numbers["accuracy_ci"]
        what = {"as given": "what each row has"}.get(name, name if "+" in name else f"{name} only")
        parts.append(f"{100 * numbers['accuracy']:.1f} % with {what} ({100 * low:.1f} to {100 * high:.1f} %)")
    known = "test" if metrics["split"] == "test" else "validation"
    lines = [f"Right answers on {metrics['rows']:,} {known} rows: {', '.join(parts)}."]
    if known == "validation":
        lines.append("There were no test rows; validation rows chose the epoch, which makes these numbers too good.")
    chance = [name for name, numbers in metrics["subsets"].items() if numbers.get("at_chance")]
    if chance:
        lines.append(f"Not significantly better than naming the most frequent class: {', '.join(chance)}.")
    return " ".join(lines)
