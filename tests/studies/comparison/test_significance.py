"""Paired tests on made-up answers whose truth is known."""

from statistics import NormalDist

import numpy as np
import pytest

from sightsound.studies.comparison.significance import Difference, compare_to, holm, resample_means


def answers(accuracy: float, rows: int = 1000, seeds: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((seeds, rows)) < accuracy


def test_a_classifier_ties_with_itself() -> None:
    right = answers(0.8)
    found = compare_to("one", {"one": right, "same": right.copy()})["same"]
    assert found.mean == 0 and not found.significant
    assert found.mcnemar_p == found.bootstrap_p == 1.0


def test_a_large_difference_is_real_and_has_its_sign() -> None:
    found = compare_to("good", {"good": answers(0.9), "bad": answers(0.7, seed=1)})["bad"]
    assert found.significant and found.low < found.mean < found.high < 0
    assert found.mean == pytest.approx(-0.2, abs=0.03)


def test_chance_is_rarely_called_real() -> None:
    calls = [
        compare_to("a", {"a": answers(0.8, 300, seed=2 * i), "b": answers(0.8, 300, seed=2 * i + 1)})["b"].significant
        for i in range(40)
    ]
    assert sum(calls) <= 5


def test_holm_by_hand() -> None:
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert corrected == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_the_bootstrap_interval_is_that_of_the_normal_distribution() -> None:
    right = answers(0.8, 2000, seeds=1)
    low, high = np.percentile(resample_means({"x": right.astype(float)})["x"], [2.5, 97.5])
    share = right.mean()
    half = NormalDist().inv_cdf(0.975) * np.sqrt(share * (1 - share) / 2000)
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.002)


def test_both_tests_are_corrected_for_the_number_of_comparisons() -> None:
    reference = np.zeros((1, 40), bool)
    better = reference.copy()
    better[0, :6] = True  # ahead in six rows and behind in none: p = 2 / 2 ** 6
    right = {"reference": reference, "better": better, "same": reference.copy(), "too": reference.copy()}
    found = compare_to("reference", right, resamples=500)["better"]
    assert found.mcnemar_p == pytest.approx(3 * 2 / 2**6)
    alone = compare_to("reference", {"reference": reference, "better": better}, resamples=500)["better"]
    assert alone.mcnemar_p == pytest.approx(2 / 2**6) and found.bootstrap_p == pytest.approx(3 * alone.bootstrap_p)


@pytest.mark.parametrize(
    ("mcnemar_p", "bootstrap_p", "real"), [(0.01, 0.2, False), (0.2, 0.01, False), (0.01, 0.01, True)]
)
def test_a_difference_is_real_where_both_tests_say_so(mcnemar_p: float, bootstrap_p: float, real: bool) -> None:
    assert Difference(0.1, 0.05, 0.15, mcnemar_p, bootstrap_p).significant is real


def test_seeds_are_drawn_with_replacement_as_rows_are() -> None:
    of_seeds = np.repeat([[1.0], [0.0]], 50, axis=1)  # one seed is always right, the other never
    assert set(np.round(resample_means({"x": of_seeds}, resamples=100)["x"], 6)) == {0.0, 0.5, 1.0}
    of_rows = np.tile([[1.0, 0.0]], (2, 25))  # both seeds are right in the same half of the rows
    assert len(set(np.round(resample_means({"x": of_rows}, resamples=100)["x"], 6))) > 5
