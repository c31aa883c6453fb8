"""By hand, and against scipy."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from sightsound.translation.distances import closest, copies, frechet, share, within, within_classes


def test_frechet_equals_its_formula() -> None:
    one, other = torch.randn(200, 5), torch.randn(300, 5) * torch.tensor([1, 2, 3, 1, 1]) + 1
    a, b = np.cov(one.numpy().T), np.cov(other.numpy().T)
    means = float((one.mean(0) - other.mean(0)).square().sum())
    assert frechet(one, other) == pytest.approx(means + np.trace(a + b - 2 * sqrtm(a @ b).real), rel=1e-4)
    assert frechet(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet(one, one + 3) == pytest.approx(5 * 9, rel=1e-4)


def test_distances_by_hand() -> None:
    line = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert within(line[None]) == pytest.approx((5 + 0 + 5) / 3)
    features = torch.tensor([[0.0], [2.0], [10.0], [14.0], [99.0]])
    # two classes of two, 2 and 4 apart; a class of one says nothing
    assert within_classes(features, np.array([0, 0, 1, 1, 2])) == pytest.approx(3.0)


def test_a_copy_stands_much_closer_to_one_than_to_all_others() -> None:
    known = torch.tensor([[0.0], [10.0], [11.0]])
    assert copies(torch.tensor([[0.1], [5.0], [10.4]]), known).tolist() == [True, False, False]
    assert closest(torch.tensor([[0.1], [10.6]]), known).tolist() == [0, 2]


def test_shares_draw_whole_rows() -> None:
    right = np.array([[True, True], [False, False]] * 50)
    found = share(right)
    assert found["value"] == 0.5
    low, high = found["ci"]
    assert 0.38 < low < 0.43 and 0.57 < high < 0.62  # of 100 rows, not of 200 answers
