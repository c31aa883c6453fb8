"""The numbers of a comparison: a row for each strategy and each unimodal model, with intervals over seeds and rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightsound.inference.metrics import calibration_error, macro_means, share_interval
from sightsound.inference.subsets import Answered
from sightsound.studies.comparison.compare import ComparisonStudy
from sightsound.studies.comparison.significance import Difference, compare_to, resample_means

F1_RESAMPLES = 300


class ComparisonRow(NamedTuple):
    """The results of a strategy or a unimodal model; accuracies are of test rows and means over the seeds.

    Attributes:
        name: the name of the strategy, or "image only".
        family: feature, decision, hierarchical or unimodal.
        training: frozen, finetuned or joint.
        val_macro_f1: macro F1 on validation rows, by which the version was selected; of a unimodal model, on those that
            have its modality.
        accuracy, accuracy_low, accuracy_high: with each row's present modalities; 95 % interval. For a unimodal model,
            a row without its modality counts as wrong.
        macro_f1, macro_f1_low, macro_f1_high: macro F1 over the same rows, and its 95 % interval.
        calibration_error: the expected calibration error, over 15 bins.
        unimodal: per modality, the accuracy of its unimodal predictions on the rows that have it.
        train_seconds: the strategy's own training, without that of the encoders it builds on (joint: all parts).
        parameters, multiply_adds, latency_ms, latency_256_ms, memory_mb: the cost in use, see `Cost`.
    """

    name: str
    family: str
    training: str
    val_macro_f1: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    calibration_error: float
    unimodal: dict[str, float]
    train_seconds: float
    parameters: int
    multiply_adds: int
    latency_ms: float
    latency_256_ms: float
    memory_mb: float


def rows(study: ComparisonStudy, classes: int) -> list[ComparisonRow]:
    """Returns a row for each strategy, best on validation first, then one for each unimodal model."""
    modalities = _modalities(study)
    right = {**right_answers(study, "test"), **right_unimodal(study, "test")}
    few, drawn = study.clusters["test"].few, resample_means(right, study.clusters["test"])
    accuracy = {name: (0.0, 1.0) if few else np.percentile(values, [2.5, 97.5]) for name, values in drawn.items()}
    for name, of in right.items():
        if of.all() or not of.any():  # every resample is alike, however few the rows
            accuracy[name] = share_interval(of.mean(0), study.clusters["test"])
    result = []
    for name in right:
        modality = name.removesuffix(ONLY) if name.endswith(ONLY) else ""
        one = study.unimodal if modality else study.compared[name]
        subset = (modality,) if modality else modalities
        said = [answered.probabilities[subset] for answered in one.test]
        f1, f1_low, f1_high = _macro_f1(said, study, classes)
        result.append(
            ComparisonRow(
                name,
                "unimodal" if modality else one.family,
                "unimodal" if modality else one.trial.way,
                _unimodal_score(study, modality, classes) if modality else one.score,
                float(right[name].mean()),
                float(accuracy[name][0]),
                float(accuracy[name][1]),
                f1,
                f1_low,
                f1_high,
                float(np.mean([calibration_error(p.max(1), p.argmax(1) == study.target["test"]) for p in said])),
                {m: unimodal_accuracy(one.test, m, study.target["test"]) for m in (subset if modality else modalities)},
                study.unimodal_seconds if modality else one.seconds,
                *study.costs[modality or name],
            )
        )
    return result


ONLY = " only"


def right_answers(study: ComparisonStudy, split: str) -> dict[str, NDArray[np.bool_]]:
    """Returns by strategy (seeds, n) whether each prediction is right."""
    modalities, target = _modalities(study), study.target[split]
    return {
        name: np.stack([one.probabilities[modalities].argmax(1) == target for one in _said(compared, split)])
        for name, compared in study.compared.items()
    }


def right_unimodal(study: ComparisonStudy, split: str) -> dict[str, NDArray[np.bool_]]:
    """Returns by "image only" and so on (seeds, n) whether each prediction is right; False where it is absent."""
    target = study.target[split]
    return {
        f"{m}{ONLY}": np.stack(
            [one.has[m] & (one.probabilities[(m,)].argmax(1) == target) for one in _said(study.unimodal, split)]
        )
        for m in _modalities(study)
    }


def differences(study: ComparisonStudy, reference: str) -> dict[str, Difference]:
    """Compares the test accuracy of every strategy and unimodal model to that of one strategy."""
    right = {**right_answers(study, "test"), **right_unimodal(study, "test")}
    return compare_to(reference, right, study.clusters["test"])


def unimodal_accuracy(said: list[Answered], modality: str, target: NDArray[np.int64]) -> float:
    """Computes the unimodal accuracy over the rows that have the modality; mean over the seeds."""
    each = [(one.probabilities[(modality,)].argmax(1) == target)[one.has[modality]].mean() for one in said]
    return float(np.mean(each))


def agreement(study: ComparisonStudy) -> dict[str, float]:
    """Computes the shares of complete test rows where all, only one, or none of the unimodal predictions are right."""
    modalities, target = _modalities(study), study.target["test"]
    counts: dict[str, float] = dict.fromkeys(["all right", *(f"only {m} right" for m in modalities), "none right"], 0.0)
    for one in study.unimodal.test:
        complete = np.logical_and.reduce([one.has[m] for m in modalities])
        right = {m: (one.probabilities[(m,)].argmax(1) == target)[complete] for m in modalities}
        number = np.sum(list(right.values()), axis=0)
        counts["all right"] += float((number == len(modalities)).mean())
        counts["none right"] += float((number == 0).mean())
        for m in modalities:
            counts[f"only {m} right"] += float((right[m] & (number == 1)).mean())
    return {name: count / len(study.unimodal.test) for name, count in counts.items()}


def class_gains(study: ComparisonStudy, strategy: str, labels: list[str]) -> dict[str, float]:
    """Computes by class the strategy's recall minus that of the unimodal model that is better at this class."""
    target = study.target["test"]
    fused = right_answers(study, "test")[strategy]
    unimodal = right_unimodal(study, "test")
    return {
        label: float(fused[:, target == c].mean() - max(right[:, target == c].mean() for right in unimodal.values()))
        for c, label in enumerate(labels)
        if (target == c).any()
    }


def _unimodal_score(study: ComparisonStudy, modality: str, classes: int) -> float:
    """Computes macro F1 of unimodal predictions over the validation rows that have the modality; mean of the seeds."""
    scores = []
    for one in study.unimodal.val:
        pairs = study.target["val"] * classes + one.probabilities[(modality,)].argmax(1)
        scores.append(macro_means(pairs[one.has[modality]], classes)["macro_f1"])
    return float(np.mean(scores))


def _said(compared: Any, split: str) -> list[Answered]:
    said: list[Answered] = getattr(compared, split)
    return said


def _modalities(study: ComparisonStudy) -> tuple[str, ...]:
    return tuple(study.unimodal.test[0].has)


def _macro_f1(said: list[NDArray[np.floating]], study: ComparisonStudy, classes: int) -> tuple[float, float, float]:
    """Computes the mean over the seeds, and its 95 % bootstrap interval over seeds and clusters of rows."""
    pairs = [study.target["test"] * classes + probabilities.argmax(1) for probabilities in said]
    rng = np.random.default_rng(0)

    def f1(seeds: Iterable[int], times: NDArray[np.float64] | None) -> float:
        return float(np.mean([macro_means(pairs[s], classes, times)["macro_f1"] for s in seeds]))

    drawn = [
        f1(rng.integers(0, len(said), len(said)), times)
        for some in study.clusters["test"].draws(rng, F1_RESAMPLES)
        for times in some
    ]
    low, high = (0.0, 1.0) if study.clusters["test"].few else np.percentile(drawn, [2.5, 97.5])
    return f1(range(len(said)), None), float(low), float(high)
