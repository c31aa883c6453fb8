"""A whole modality between its neighbours in time, by hand."""

import numpy as np
import pytest
import torch

from sightsound.missing import OverTime


def imputed(method: str) -> dict:
    times = np.array([0.0, 4.0, 1.0, 9.0, 0.0, 1.0])
    groups = np.array(["a", "a", "a", "a", "b", ""])
    there = torch.tensor([True, True, False, False, False, False])
    values = torch.tensor([[0.0, 8.0], [4.0, 0.0], [9, 9], [9, 9], [9, 9], [9, 9]])
    return OverTime({"audio": method}, groups, times)({"audio": values}, {"audio": there})


def test_linear_by_hand() -> None:
    audio = imputed("linear")["audio"]
    assert audio.rows.tolist() == [False, False, True, True, False, False]  # b has no neighbour, the last no group
    torch.testing.assert_close(audio.values[2, 0], torch.tensor([1.0, 6.0]))  # a quarter of the way
    torch.testing.assert_close(audio.values[3, 0], torch.tensor([4.0, 0.0]))  # after the last one, as that


def test_gaussian_says_how_unsure_it_is() -> None:
    audio = imputed("gaussian")["audio"]
    assert 0 <= float(audio.uncertainty[2]) <= 1
    assert audio.values[2, 0].tolist() == pytest.approx([1.0, 6.0], abs=2.0)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_after_the_last_time_that_is_known_it_is_as_it_was_then(method: str) -> None:
    assert imputed(method)["audio"].values[3, 0].tolist() == pytest.approx([4.0, 0.0], abs=0.01)
