"""Metrics of predicted probabilities (n, C) and true classes (n,), with 95 % intervals over clusters of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsound.data.clusters import Clusters, effective_rows

RESAMPLES = 1000
CALIBRATION_BINS = 15
SURELY = 0.001  # significance level of being better than chance
LARGEST_CONFUSIONS = 2**21  # counts of all confusion matrices that are held at a time


def measure(
    probabilities: NDArray[Any],
    target: NDArray[Any],
    labels: list[str],
    clusters: Clusters | None = None,
    predicted: NDArray[Any] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Computes all metrics of one subset of modalities, in the structure of `metrics.json`.

    Macro means go over the classes that occur among the true or the predicted ones, as in scikit-learn. The
    calibration error is the expected one over 15 bins of equal width (Guo et al., 2017); it has no interval, since it
    is biased upwards by sampling and a bootstrap adds that bias once more. "at_chance" says whether they are no better
    than naming the most frequent class. "reliability" has for each bin [mean confidence, share that is right,
    rows]; "coverage" for each tenth of the rows, the surest first, [share of the rows, accuracy over them, least
    confidence among them] (El-Yaniv & Wiener, 2010).

    Of each class, "average_precision" is the area under the curve of precision over recall (None where no row is
    true), and recall and precision have intervals by `share_interval` (None where they are over no rows).

    Args:
        probabilities: (n, C), n at least 1.
        target: (n,) class indices.
        labels: C names.
        clusters: which rows belong together; None: each row is a cluster of its own.
        predicted: (n,) class indices of the answers; default: the most probable classes.
        seed: the seed of the bootstrap over clusters.
        resamples: the number of bootstrap resamples.
    """
    clusters = clusters or Clusters.of_rows(len(target))
    predicted = probabilities.argmax(axis=1) if predicted is None else predicted
    pairs = target * len(labels) + predicted
    result: dict[str, Any] = {"rows": len(target)}
    intervals = _bootstrap(pairs, len(labels), clusters, seed, resamples)
    for name, value in macro_means(pairs, len(labels)).items():
        result[name] = value
        result[f"{name}_ci"] = intervals[name]
    right, confidence = predicted == target, probabilities[np.arange(len(target)), predicted]
    result["at_chance"] = at_chance(right, target, clusters)
    result["calibration_error"] = calibration_error(confidence, right)
    confusion = _confusion(pairs, len(labels))
    result["per_class"] = _of_classes(probabilities, predicted, target, labels, clusters)
    areas = [of["average_precision"] for of in result["per_class"].values() if of["average_precision"] is not None]
    result["average_precision"] = float(np.mean(areas))
    result["confusion"] = confusion.tolist()
    result["reliability"] = _reliability(confidence, right)
    result["coverage"] = _coverage(confidence, right)
    return result


def _of_classes(
    probabilities: NDArray[Any],
    predicted: NDArray[Any],
    target: NDArray[Any],
    labels: list[str],
    clusters: Clusters,
) -> dict[str, dict[str, Any]]:
    """Computes the metrics of each class, by name; arguments as of `measure`."""
    from sklearn.metrics import average_precision_score  # here, since importing it takes a second

    found: dict[str, dict[str, Any]] = {}
    scores = _per_class(_confusion(target * len(labels) + predicted, len(labels)))
    for k, (label, precision, recall, f1) in enumerate(zip(labels, *scores, strict=True)):
        true, said = target == k, predicted == k
        found[label] = {
            "precision": float(precision),
            "precision_ci": share_interval(true[said], clusters.at(said)) if said.any() else None,
            "recall": float(recall),
            "recall_ci": share_interval(said[true], clusters.at(true)) if true.any() else None,
            "f1": float(f1),
            "average_precision": float(average_precision_score(true, probabilities[:, k])) if true.any() else None,
            "rows": int(true.sum()),
        }
    return found


def selective_prediction(
    probabilities: NDArray[Any], target: NDArray[Any], predicted: NDArray[Any], below: float
) -> dict[str, float | None]:
    """Computes the share of rows whose answer is as probable as a bound, and their accuracy (None: no row)."""
    given = probabilities[np.arange(len(target)), predicted] >= below
    right = (predicted == target)[given]
    return {"below": below, "coverage": float(given.mean()), "accuracy": float(right.mean()) if given.any() else None}


def at_chance(right: NDArray[np.bool_], target: NDArray[Any], clusters: Clusters) -> bool:
    """Tests whether predictions, right (n,) or not for classes (n,), are no better than the most frequent class.

    It is a binomial test with the effective number of rows (see `share_interval`); by rows where there are too few
    clusters, since the predictions of two speakers are about these two only.
    """
    from scipy.special import betainc

    rows = len(right) if clusters.few else effective_rows(right.astype(float), clusters, SURELY)
    successes = float(right.mean()) * rows
    most = np.bincount(target).max() / len(target)
    return not successes or bool(betainc(successes, rows - successes + 1, most) > SURELY)


def share_interval(right: NDArray[np.bool_ | np.float64], clusters: Clusters) -> tuple[float, float]:
    """Computes the 95 % interval of a share of rows (n,), or of a mean of shares, after Clopper & Pearson (1934).

    It uses the effective number of rows of a clustered sample (Korn & Graubard, 1998). Too few clusters do not
    generalise to others: the interval is then the whole range.
    """
    from scipy.special import betaincinv

    if clusters.few:
        return 0.0, 1.0
    rows = effective_rows(right.astype(float), clusters, 0.025)
    yes = float(right.mean()) * rows
    low = betaincinv(yes, rows - yes + 1, 0.025) if yes else 0.0
    high = betaincinv(yes + 1, rows - yes, 0.975) if yes < rows else 1.0
    return float(low), float(high)


def calibration_error(confidence: NDArray[Any], right: NDArray[np.bool_]) -> float:
    """Computes the expected calibration error of answers: their probabilities (n,), and which are right (n,)."""
    bins = _bins(confidence)
    return float(np.abs(np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)).sum() / len(bins))


def _bins(confidence: NDArray[Any]) -> NDArray[Any]:
    """Returns the bin of each probability (n,)."""
    bins: NDArray[Any] = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return bins


def disagreement(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """Jensen-Shannon divergence (Lin, 1991) of M distributions, (M, ..., C) -> (...), as a share of its maximum."""
    p = np.maximum(probabilities.astype(float), 1e-12)
    bits: NDArray[np.float64] = (p * np.log2(p / p.mean(axis=0))).sum(axis=-1).mean(axis=0)
    share: NDArray[np.float64] = np.clip(bits / np.log2(len(p)), 0, 1)
    return share


def _reliability(confidence: NDArray[Any], right: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    """Returns for each bin that has rows: mean confidence, share that is right, rows."""
    bins = _bins(confidence)
    return [
        (float(confidence[bins == b].mean()), float(right[bins == b].mean()), int((bins == b).sum()))
        for b in np.unique(bins)
    ]


def _coverage(confidence: NDArray[Any], right: NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    """Returns for each tenth of the rows, the surest first, their share, accuracy and least confidence."""
    order = np.argsort(-confidence, kind="stable")
    counts = np.unique(np.ceil(np.arange(1, 11) / 10 * len(right)).astype(int))
    return [(float(n / len(right)), float(right[order][:n].mean()), float(confidence[order[n - 1]])) for n in counts]


def _confusion(pairs: NDArray[Any], classes: int, times: NDArray[Any] | None = None) -> NDArray[Any]:
    """Counts (C, C) true by row and predicted by column, from true * C + predicted (n,), each counted `times` (n,)."""
    return np.bincount(pairs, times, minlength=classes**2).reshape(classes, classes)


def _per_class(confusion: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Counts (..., C, C) -> precision, recall, F1 (..., C) each; 0 where no row is predicted, or none is true."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    return right / np.maximum(predicted, 1), right / np.maximum(true, 1), 2 * right / np.maximum(true + predicted, 1)


def macro_means(pairs: NDArray[Any], classes: int, times: NDArray[Any] | None = None) -> dict[str, float]:
    """Computes accuracy and macro means of rows given as true * C + predicted (n,), each counted `times` (n,)."""
    return {name: float(value) for name, value in _means(_confusion(pairs, classes, times)).items()}


def _means(confusion: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Counts (..., C, C) -> accuracy and macro means (...)."""
    occurs = (confusion.sum(axis=-2) + confusion.sum(axis=-1)) > 0
    precision, recall, f1 = ((values * occurs).sum(-1) / occurs.sum(-1) for values in _per_class(confusion))
    return {
        "accuracy": np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1)),
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
    }


def _bootstrap(
    pairs: NDArray[Any], classes: int, clusters: Clusters, seed: int, resamples: int
) -> dict[str, tuple[float, float]]:
    """Computes percentile intervals of `macro_means` over resampled clusters (Efron & Tibshirani, 1993).

    Where all rows are right, or all wrong, resamples do not differ, and all means have the interval of the accuracy by
    `share_interval`. Too few clusters do not generalise to others: the interval is then the whole range.
    """
    right = pairs // classes == pairs % classes
    if clusters.few or right.min() == right.max():
        return dict.fromkeys(macro_means(pairs, classes), share_interval(right, clusters))
    rng = np.random.default_rng(seed)
    at_once, parts = max(LARGEST_CONFUSIONS // classes**2, 1), []
    for times in clusters.draws(rng, resamples):
        for start in range(0, len(times), at_once):
            some = times[start : start + at_once]
            parts.append(_means(np.stack([_confusion(pairs, classes, of_draw) for of_draw in some])))
    drawn = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {
        name: (float(low), float(high))
        for name, values in drawn.items()
        for low, high in [np.percentile(values, [2.5, 97.5])]
    }
