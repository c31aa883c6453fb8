"""Predictions as a table: a row for each prediction and each clip, beside the user's own columns.

Also predictions as an array of probabilities, and the description of a classifier in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.config import Config
from sightsound.data.cells import writable
from sightsound.data.decode import cut_modality, summary
from sightsound.data.table import Rejected
from sightsound.errors import TableError
from sightsound.types import Prediction

MOST_SHOWN = 10  # class names in a sentence


def flat_columns(config: Config, labels: list[str]) -> list[str]:
    """Returns the columns of a table of predictions, which depend on the classifier alone."""
    modalities = config.modalities
    several, cut = len(modalities) > 1, cut_modality(config)
    policies = [m for m in modalities if getattr(config.missing, m) not in ("ignore", "drop")]
    return [
        "row",
        "predicted",
        "probability",
        *(["disagreement"] if several else []),
        *(["start_seconds", "end_seconds"] if cut else []),
        *[f"{m}_only" for m in modalities if several],
        *[f"{m}_only_probability" for m in modalities if several],
        *[f"{m}_ood_score" for m in modalities],
        *[f"{m}_{what}" for what in ("imputed", "uncertainty", "policy") for m in policies],
        *modalities,
        *[f"p_{label}" for label in labels],
        *[f"{m}_note" for m in modalities],
        *[f"{m}_error" for m in modalities if several],
        "error",
    ]


def flat(row: int, result: Prediction | Rejected) -> list[dict[str, Any]]:
    """Flattens one prediction to rows of `flat_columns`: the whole, then each clip; absent values are left out."""
    if isinstance(result, Rejected):
        return [{"row": row, "error": f"{result.file + ': ' if result.file else ''}{result.reason}"}]
    alone = result.unimodal_labels
    whole = {
        "row": row,
        "predicted": result.label,
        "probability": result.probabilities[result.label or result.withheld],
        "disagreement": result.disagreement,
        **{f"{m}_only": label for m, label in alone.items()},
        **{f"{m}_only_probability": result.per_modality[m][label] for m, label in alone.items()},
        **{f"{m}_ood_score": strange for m, strange in result.ood_score.items()},
        **{f"{m}_imputed": repair.share for m, repair in result.imputed.items()},
        **{f"{m}_uncertainty": repair.uncertainty for m, repair in result.imputed.items()},
        **{f"{m}_policy": repair.policy for m, repair in result.imputed.items()},
        **{m: writable(name) for m, name in result.source.items()},
        **{f"p_{label}": p for label, p in result.probabilities.items()},
        **{f"{m}_note": note for m, note in result.notes.items()},
        **{f"{m}_error": reason for m, reason in result.errors.items()},
    }
    clips = [
        {
            "row": row,
            "predicted": clip.label,
            "probability": clip.probabilities[clip.label],
            "start_seconds": clip.start_seconds,
            "end_seconds": clip.end_seconds,
            **{f"p_{label}": p for label, p in clip.probabilities.items()},
        }
        for clip in result.clips
    ]
    return [whole, *clips]


TEXTS = ("predicted", "_only", "_policy", "_note", "_error", "error")


def flat_frame(
    results: Mapping[int, Prediction | Rejected], config: Config, labels: list[str], given: pd.DataFrame
) -> pd.DataFrame:
    """Builds a table of the user's own columns, then those of `flat_columns`, whose types do not depend on the values.

    Args:
        results: the predictions by row number.
        config: the classifier's configuration.
        labels: class names.
        given: the user's own columns by row number. Our column of the same name as one of theirs is called
            sightsound_NAME (or sightsound_sightsound_NAME); paths, which are among theirs, are not repeated.
    """
    columns = flat_columns(config, labels)
    frame = pd.DataFrame([line for row, result in results.items() for line in flat(row, result)], columns=columns)
    texts = [c for c in columns if c in config.modalities or (c.endswith(TEXTS) and not c.startswith("p_"))]
    frame[texts] = frame[texts].astype(object).where(frame[texts].notna(), "")
    numbers = [c for c in columns if c not in texts and c != "row"]
    frame[numbers] = frame[numbers].astype(float)
    theirs = given.loc[frame["row"]].reset_index(drop=True)
    frame = frame.drop(columns=[m for m in config.modalities if m in theirs])
    names = {}
    for column in frame:
        names[column] = str(column)
        while names[column] in theirs:
            names[column] = f"sightsound_{names[column]}"
    return pd.concat([theirs, frame.rename(columns=names)], axis=1)


def probability_rows(
    results: Mapping[int, Prediction | Rejected], table: str, labels: list[str], skip_bad_files: bool
) -> NDArray[np.float64]:
    """Returns (rows, C) probabilities, which sum to 1 in double precision; NaN for a row that cannot be used.

    Args:
        results: the predictions by row number.
        table: the table's name, for the message.
        labels: class names, in the order of the columns.
        skip_bad_files: whether rows may be left NaN, or answered without a file that cannot be used.

    Raises:
        TableError: a row or a file cannot be used and `skip_bad_files` is False.
    """
    bad = [one for one in results.values() if isinstance(one, Rejected)]
    for row, one in results.items():
        if isinstance(one, Prediction):
            bad += [Rejected(row, "", reason) for reason in one.errors.values()]
    if bad and not skip_bad_files:
        raise TableError(summary(table, bad, advice="Mend them, or go on without them: skip_bad_files=True"))
    found = np.full((len(results), len(labels)), np.nan)
    for place, one in enumerate(results.values()):
        if isinstance(one, Prediction):
            found[place] = [one.probabilities[label] for label in labels]
    total: NDArray[np.float64] = found / found.sum(axis=1, keepdims=True)
    return total


def description(config: Config, labels: list[str], metrics: Mapping[str, Any]) -> list[str]:
    """Describes a classifier in sentences without a full stop: classes, how it is built, its metrics."""
    shown = ", ".join(labels[:MOST_SHOWN]) + (", ..." if len(labels) > MOST_SHOWN else "")
    encoders = " and ".join(f"{m} ({getattr(config, m).encoder})" for m in config.modalities)
    fusion = f"{config.fusion} fusion of {encoders}" if len(config.modalities) > 1 else f"{encoders} only"
    found = [f"{len(labels)} classes: {shown}", fusion]
    if metrics:
        reached = ", ".join(f"{name} {numbers['accuracy']:.4f}" for name, numbers in metrics["subsets"].items())
        found.append(f"Accuracy on {metrics['rows']} rows of the split {metrics['split']!r}: {reached}")
    return found
