"""Metrics against scikit-learn and torchmetrics; intervals against theory."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, t
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_score, recall_score

from sightsound.data.clusters import Clusters, effective_rows
from sightsound.inference.metrics import (
    CALIBRATION_BINS,
    at_chance,
    disagreement,
    measure,
    selective_prediction,
    share_interval,
)

LABELS = ["a", "b", "c", "never"]


@pytest.fixture
def said() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 500)
    logits = rng.normal(0, 1, (500, 4)) + 1.5 * np.eye(4)[target]
    logits[:, 3] = -9
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), target


def test_numbers_equal_the_libraries(said: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, target = said
    predicted = probabilities.argmax(1)
    numbers = measure(probabilities, target, LABELS)
    assert numbers["rows"] == 500
    assert numbers["accuracy"] == pytest.approx(accuracy_score(target, predicted))
    for name, function in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert numbers[f"macro_{name}"] == pytest.approx(function(target, predicted, average="macro"))
    from torchmetrics.functional.classification import multiclass_calibration_error  # takes seconds

    theirs = multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(target), num_classes=4, n_bins=CALIBRATION_BINS
    )
    assert numbers["calibration_error"] == pytest.approx(float(theirs), abs=1e-6)
    assert np.trace(numbers["confusion"]) == (predicted == target).sum()
    assert numbers["per_class"]["a"]["rows"] == (target == 0).sum()
    never = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "rows": 0}
    assert numbers["per_class"]["never"] == never | dict.fromkeys(("precision_ci", "recall_ci", "average_precision"))
    areas = [average_precision_score(target == k, probabilities[:, k]) for k in range(3)]
    assert numbers["average_precision"] == pytest.approx(np.mean(areas))
    of_a, true, named_so = numbers["per_class"]["a"], target == 0, predicted == 0
    assert of_a["recall_ci"] == share_interval(named_so[true], Clusters.of_rows(true.sum()))
    assert of_a["precision_ci"] == share_interval(true[named_so], Clusters.of_rows(named_so.sum()))


def test_the_interval_of_accuracy_is_the_binomial_one(said: tuple[np.ndarray, np.ndarray]) -> None:
    numbers = measure(*said, LABELS)
    low, high = numbers["accuracy_ci"]
    deviation = (numbers["accuracy"] * (1 - numbers["accuracy"]) / 500) ** 0.5
    assert low == pytest.approx(numbers["accuracy"] - 1.96 * deviation, abs=0.008)
    assert high == pytest.approx(numbers["accuracy"] + 1.96 * deviation, abs=0.008)
    for name in ("macro_f1", "macro_precision", "macro_recall"):
        assert numbers[f"{name}_ci"][0] < numbers[name] < numbers[f"{name}_ci"][1]


def test_one_perfect_row() -> None:
    numbers = measure(np.array([[0.0, 1.0]]), np.array([1]), ["a", "b"])
    assert numbers["accuracy"] == 1 and numbers["calibration_error"] == 0
    assert numbers["accuracy_ci"] == (0, 1)  # it says nothing of others


@pytest.mark.parametrize("right", [True, False])
def test_rows_that_are_all_right_or_all_wrong_are_no_proof_for_others(right: bool) -> None:
    """A bootstrap of them has no spread; the exact interval of 20 rows, and of the 10 pairs that they are, has one."""
    target = np.arange(20) % 2
    probabilities = np.eye(2)[target if right else 1 - target]
    for clusters, independent in ((None, 20), (Clusters("group", (np.arange(20) // 2,)), 10)):
        exact = binomtest(independent * right, independent).proportion_ci()
        numbers = measure(probabilities, target, ["a", "b"], clusters)
        for name in ("accuracy", "macro_f1", "macro_precision", "macro_recall"):
            assert numbers[f"{name}_ci"] == pytest.approx((exact.low, exact.high))


def test_the_same_seed_repeats(said: tuple[np.ndarray, np.ndarray]) -> None:
    assert measure(*said, LABELS) == measure(*said, LABELS)
    assert measure(*said, LABELS)["accuracy_ci"] != measure(*said, LABELS, seed=1)["accuracy_ci"]


def test_coverage_reliability_and_abstaining_by_hand() -> None:
    sure = np.array([0.95, 0.9, 0.7, 0.6])
    probabilities, target = np.stack([sure, 1 - sure], 1), np.array([0, 0, 1, 0])  # the third is wrong
    numbers = measure(probabilities, target, ["a", "b"])
    assert numbers["coverage"] == [(0.25, 1.0, 0.95), (0.5, 1.0, 0.9), (0.75, 2 / 3, 0.7), (1.0, 0.75, 0.6)]
    assert numbers["reliability"] == [
        (pytest.approx(0.6), 1.0, 1),
        (pytest.approx(0.7), 0.0, 1),
        (pytest.approx(0.9), 1.0, 1),
        (pytest.approx(0.95), 1.0, 1),
    ]
    most = probabilities.argmax(1)
    assert selective_prediction(probabilities, target, most, 0.7) == {"below": 0.7, "coverage": 0.75, "accuracy": 2 / 3}
    assert selective_prediction(probabilities, target, most, 0.99) == {"below": 0.99, "coverage": 0.0, "accuracy": None}


def test_disagreement_by_hand() -> None:
    said = np.array(
        [[[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0], [0.5, 0.5]]]
    )  # two modalities, three rows
    partly = 0.5 * (np.log2(1 / 0.75) + 0.5 * np.log2(0.5 / 0.75) + 0.5 * np.log2(0.5 / 0.25))
    assert disagreement(said) == pytest.approx([0, 1, partly])


@pytest.mark.parametrize("successes", [0, 1, 30, 60])
def test_shares_of_independent_rows_have_the_exact_interval_and_test(successes: int) -> None:
    right, target = np.arange(60) < successes, np.arange(60) % 3
    theirs = binomtest(successes, 60).proportion_ci()
    assert share_interval(right, Clusters.of_rows(60)) == pytest.approx((theirs.low, theirs.high))
    surely = binomtest(successes, 60, 1 / 3, "greater").pvalue <= 0.001
    assert at_chance(right, target, Clusters.of_rows(60)) is not surely


def test_repeated_rows_count_once() -> None:
    """A hundred recordings in ten rows each are worth a hundred rows; rows that differ by chance within them more."""
    rng = np.random.default_rng(0)
    clusters = Clusters("group", (np.repeat(np.arange(100), 10),))
    once = rng.random(100) < 0.7
    for_few = (t.ppf(0.975, 999) / t.ppf(0.975, 99)) ** 2
    repeated = np.repeat(once, 10).astype(float)
    assert effective_rows(repeated, clusters, 0.025) == pytest.approx(99 * for_few)  # of the sample: n - 1
    assert effective_rows(rng.random(1000), clusters, 0.025) > 700
    assert effective_rows(np.ones(1000), clusters, 0.025) == 100
    for share in (0.5, 0.7):  # in each cluster; rounding must not make certainty of it
        alike = np.tile(np.arange(10) < 10 * share, 100).astype(float)
        assert effective_rows(alike, clusters, 0.025) == pytest.approx(1000 * for_few)
    few = Clusters("group", (np.arange(1000) % 3,))
    assert share_interval(np.ones(1000, bool), few) == (0, 1)


def test_two_sets_of_clusters_count_both() -> None:
    """Crossed effects: the interval covers the truth, where the larger of both errors alone would be too small."""
    rng = np.random.default_rng(0)
    one, other = (codes.ravel() for codes in np.meshgrid(np.arange(30), np.arange(30)))
    clusters, covered = Clusters("files", (one, other)), 0
    for _ in range(200):
        chance = 0.5 + 0.15 * np.sign(rng.normal(size=30))[one] + 0.15 * np.sign(rng.normal(size=30))[other]
        low, high = share_interval(rng.random(900) < chance, clusters)
        covered += low <= 0.5 <= high
    assert covered / 200 > 0.92


def test_chance_is_rarely_called_more_where_rows_are_repeated() -> None:
    """Forty speakers with 25 rows each, a guess for each speaker: by rows it would be called knowledge in a quarter."""
    rng = np.random.default_rng(0)
    clusters, target = Clusters("group", (np.repeat(np.arange(40), 25),)), np.arange(1000) % 2
    found = [at_chance(np.repeat(rng.random(40) < 0.5, 25), target, clusters) for _ in range(200)]
    assert np.mean(found) > 0.98
    few = Clusters("group", (np.arange(1000) % 6,))  # six speakers who differ
    rates = np.clip(rng.normal(0.5, 0.1, (1000, 6)), 0, 1)
    assert np.mean([at_chance(rng.random(1000) < rate[few.codes[0]], target, few) for rate in rates]) >= 0.997
    by_rows = [at_chance(np.repeat(rng.random(40) < 0.5, 25), target, Clusters.of_rows(1000)) for _ in range(200)]
    assert np.mean(by_rows) < 0.85
    assert not at_chance(rng.random(1000) < 0.8, target, clusters)
