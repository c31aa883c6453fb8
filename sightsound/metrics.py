"""Numbers about predicted probabilities (n, C) and true classes (n,), each with a 95 % bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

RESAMPLES = 1000
CALIBRATION_BINS = 15


def measure(probabilities: NDArray[Any], target: NDArray[Any], labels: list[str], seed: int = 0) -> dict[str, Any]:
    """All numbers of one subset of modalities, in the shape of `metrics.json`.

    Macro means go over the classes that occur among the true or the predicted ones, as in scikit-learn. The
    calibration error is the expected one over 15 bins of equal width (Guo et al., 2017).

    Args:
        probabilities: (n, C), n at least 1.
        target: (n,) class indices.
        labels: C names.
        seed: of the bootstrap over rows.
    """
    predicted = probabilities.argmax(axis=1)
    pairs = target * len(labels) + predicted
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = (predicted == target) - confidence

    def numbers(rows: NDArray[Any]) -> dict[str, float]:
        confusion = np.bincount(pairs[rows], minlength=len(labels) ** 2).reshape(len(labels), len(labels))
        off = np.bincount(bins[rows], weights=gaps[rows], minlength=CALIBRATION_BINS)
        return {**_from_confusion(confusion), "calibration_error": float(np.abs(off).sum() / len(rows))}

    everything = np.arange(len(target))
    result: dict[str, Any] = {"rows": len(target)}
    intervals = _bootstrap(numbers, len(target), seed)
    for name, value in numbers(everything).items():
        result[name] = value
        result[f"{name}_ci"] = intervals[name]
    per_class = precision_recall_fscore_support(target, predicted, labels=range(len(labels)), zero_division=0)
    result["per_class"] = {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": int(n)}
        for label, p, r, f, n in zip(labels, *per_class, strict=True)
    }
    result["confusion"] = confusion_matrix(target, predicted, labels=range(len(labels))).tolist()
    return result


def _from_confusion(confusion: NDArray[Any]) -> dict[str, float]:
    """Accuracy and macro means of (C, C) counts, true by row; quick enough to call a thousand times."""
    right, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = (true + predicted) > 0
    right, true, predicted = right[occurs], true[occurs], predicted[occurs]
    return {
        "accuracy": float(right.sum() / true.sum()),
        "macro_precision": float((right / np.maximum(predicted, 1)).mean()),
        "macro_recall": float((right / np.maximum(true, 1)).mean()),
        "macro_f1": float((2 * right / (true + predicted)).mean()),
    }


def _bootstrap(
    numbers: Callable[[NDArray[Any]], dict[str, float]], rows: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of each number over resampled rows (Efron & Tibshirani, 1993)."""
    rng = np.random.default_rng(seed)
    draws = [numbers(rng.integers(0, rows, rows)) for _ in range(RESAMPLES)]
    return {
        name: (float(low), float(high))
        for name in draws[0]
        for low, high in [np.percentile([draw[name] for draw in draws], [2.5, 97.5])]
    }
