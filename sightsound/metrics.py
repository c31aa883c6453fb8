"""Numbers about predicted probabilities (n, C) and true classes (n,), each with a 95 % bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        off = np.bincount(bins[rows], weights=gaps[rows], minlength=CALIBRATION_BINS)
        return {
            **_means(_confusion(pairs[rows], len(labels))),
            "calibration_error": float(np.abs(off).sum() / len(rows)),
        }

    everything = np.arange(len(target))
    result: dict[str, Any] = {"rows": len(target)}
    intervals = _bootstrap(numbers, len(target), seed)
    for name, value in numbers(everything).items():
        result[name] = value
        result[f"{name}_ci"] = intervals[name]
    confusion = _confusion(pairs, len(labels))
    named = zip(labels, *_per_class(confusion), confusion.sum(axis=1).tolist(), strict=True)
    result["per_class"] = {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "rows": n} for label, p, r, f, n in named
    }
    result["confusion"] = confusion.tolist()
    return result


def _confusion(pairs: NDArray[Any], classes: int) -> NDArray[Any]:
    """(C, C) counts, true by row and predicted by column, of true * C + predicted."""
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def _per_class(confusion: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Precision, recall and F1 (C,) each; 0 where nothing is predicted, or nothing is true."""
    right, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return right / np.maximum(predicted, 1), right / np.maximum(true, 1), 2 * right / np.maximum(true + predicted, 1)


def _means(confusion: NDArray[Any]) -> dict[str, float]:
    """Accuracy and macro means of (C, C) counts."""
    occurs = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    precision, recall, f1 = (values[occurs].mean() for values in _per_class(confusion))
    return {
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "macro_precision": float(precision),
        "macro_recall": float(recall),
        "macro_f1": float(f1),
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
