"""Measures one condition of a robustness study, and stores the measurement in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightsound.classifier import Classifier
from sightsound.data.clusters import Clusters, lowest_mean
from sightsound.inference.metrics import disagreement, macro_means, share_interval
from sightsound.inference.subsets import Answered, answer_rows
from sightsound.modalities.base import modality
from sightsound.network.decision import decide
from sightsound.studies.robustness.conditions import (
    CLEAN,
    CONTRADICTION,
    Condition,
    Decoded,
    corrupt,
    lose_parts,
    mismatch,
    with_missing,
    without_modality,
)

DRAWS = 10  # how often the rows that lose a modality are drawn


class Measurement(NamedTuple):
    """A condition and its metrics.

    Attributes:
        condition: the condition.
        accuracy, macro_f1: with all present modalities, over all rows; where rows lose a modality, the mean over ten
            draws of these rows.
        late: accuracy of late fusion, the mean of the unimodal predictions of present modalities.
        unimodal: unimodal accuracy of the changed modality; None where it is not measured.
        disagreement: mean disagreement of the modalities over the rows that have both; None where no row has.
        low, high: the 95 % interval of the accuracy over the clusters of rows; None where these are too few.
        gain, gain_low, gain_high: the accuracy minus that under the policy ignore, for the same damage to the same
            rows, and its 95 % interval; None where there is no such policy, or too few clusters.
    """

    condition: Condition
    accuracy: float
    macro_f1: float
    late: float
    unimodal: float | None
    disagreement: float | None
    low: float | None = None
    high: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None


def measure_condition(
    classifier: Classifier,
    decoded: Decoded,
    clean: Answered,
    without: Mapping[str, NDArray[Any]],
    condition: Condition,
    seed: int,
) -> tuple[Measurement, NDArray[np.float64]]:
    """Measures one condition, and how often each row (n,) is predicted correctly.

    `clean` and `without` are those of `with_missing`.
    """
    # every level draws the same, so that a higher level extends a lower one
    drawn = [seed, *condition.kind.encode(), *condition.modality.encode()]
    if condition.kind.startswith("missing"):
        return _mean_of_draws(clean, without, condition, decoded.target, drawn)
    rng = np.random.default_rng(drawn)
    network, target = classifier.network, decoded.target
    said, changed = clean, condition.modality
    if condition.kind == CONTRADICTION:
        said = answer_rows(network, mismatch(decoded, changed, rng), decoded.numbers)
    elif condition.kind != CLEAN:
        change = lose_parts if condition.kind == modality(changed).lost_part else corrupt
        rows = change(decoded, condition, getattr(classifier.config, changed), rng)
        said = answer_rows(network, rows, decoded.numbers)
    fused, classes = said.predicted(), len(classifier.classes_)
    accuracy, macro_f1 = _right(fused, target, classes)
    late, _ = _right(late_fusion(said, said.has), target, classes)
    alone = _right(said.predicted((changed,)), target, classes)[0] if changed else None
    measured = Measurement(condition, accuracy, macro_f1, late, alone, _mean_disagreement(said))
    return measured, (fused == target).astype(float)


def with_intervals(
    one: Measurement, right: NDArray[np.float64], ignored: NDArray[np.float64] | None, clusters: Clusters
) -> Measurement:
    """Adds intervals over the clusters of the rows to a measurement.

    Args:
        one: the measurement.
        right: (n,) how often each row is predicted correctly.
        ignored: (n,) how often under the policy ignore; None: there is no comparison.
        clusters: the clusters of the rows.
    """
    if clusters.few:
        return one if ignored is None else one._replace(gain=float((right - ignored).mean()))
    low, high = share_interval(right, clusters)
    one = one._replace(low=low, high=high)
    if ignored is None:
        return one
    gain = right - ignored
    bounds = lowest_mean(gain, clusters, 0.025), -lowest_mean(-gain, clusters, 0.025)
    return one._replace(gain=float(gain.mean()), gain_low=bounds[0], gain_high=bounds[1])


def _mean_of_draws(
    clean: Answered,
    without: Mapping[str, NDArray[Any]],
    condition: Condition,
    target: NDArray[np.int64],
    drawn: list[int],
) -> tuple[Measurement, NDArray[np.float64]]:
    """Measures a condition in which rows lose a modality, over ten draws of the rows."""
    said, classes = clean.predicted(), clean.probabilities[tuple(clean.has)].shape[1]
    late, late_without = late_fusion(clean, clean.has), {m: late_fusion(clean, set(clean.has) - {m}) for m in clean.has}
    found, right = [], np.zeros(len(target))
    for draw in range(DRAWS):
        answered = with_missing(said, without, condition, target, np.random.default_rng([*drawn, draw]))
        late_answered = with_missing(late, late_without, condition, target, np.random.default_rng([*drawn, draw]))
        found.append([*_right(answered, target, classes), _right(late_answered, target, classes)[0]])
        right += (answered == target) / DRAWS
    accuracy, macro_f1, late_accuracy = np.mean(found, axis=0).tolist()
    return Measurement(condition, accuracy, macro_f1, late_accuracy, None, None), right


def late_fusion(said: Answered, modalities: Iterable[str]) -> NDArray[Any]:
    """Returns (n,) the most probable class in the mean of the unimodal predictions of these modalities."""
    return decide(np.mean([said.probabilities[(m,)] for m in modalities], axis=0))


def after_losing(classifier: Classifier, decoded: Decoded, clean: Answered, policy: str) -> dict[str, NDArray[Any]]:
    """Predicts, for each modality (n,), the classes of all rows without it under a policy."""
    network = classifier.network
    every = tuple(network.modalities)
    if policy == "ignore":
        return {m: clean.predicted(tuple(other for other in every if other != m)) for m in every}
    impute = classifier.imputers[policy]
    answered = {m: answer_rows(network, without_modality(decoded, m), decoded.numbers, impute=impute) for m in every}
    return {m: said.predicted() for m, said in answered.items()}


def _right(predicted: NDArray[np.int64], target: NDArray[np.int64], classes: int) -> tuple[float, float]:
    """Computes accuracy and macro F1 of predicted classes (n,)."""
    means = macro_means(target * classes + predicted, classes)
    return means["accuracy"], means["macro_f1"]


def _mean_disagreement(said: Answered) -> float | None:
    """Averages the disagreement over the rows; None with one modality."""
    if len(said.has) < 2:
        return None
    return float(disagreement(np.stack([said.probabilities[(m,)] for m in said.has])).mean())


def to_line(one: Measurement) -> str:
    """Formats a measurement as a line of the file."""
    return json.dumps(one) + "\n"


def read(file: Path) -> Iterator[Measurement]:
    """Reads earlier measurements; a truncated last line is ignored."""
    if not file.exists():
        return
    for text in file.read_text(encoding="utf-8").splitlines(keepends=True):
        if text.endswith("\n"):
            condition, *numbers = json.loads(text)
            yield Measurement(Condition(*condition), *numbers)
