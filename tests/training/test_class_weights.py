"""How much a row of each class counts in training."""

import pytest
import torch

from sightsound.errors import ConfigError
from sightsound.training.class_weights import class_weights

LABELS, TARGET = ["defect", "fine", "other"], torch.tensor([1] * 90 + [0] * 4 + [2] * 6)


def test_by_hand() -> None:
    assert class_weights("none", LABELS, TARGET).tolist() == [1, 1, 1]
    balanced = class_weights("balanced", LABELS, TARGET)
    torch.testing.assert_close(balanced, torch.tensor([100 / 12, 100 / 270, 100 / 18]))
    given = class_weights({"defect": 20}, LABELS, TARGET)
    assert given[0] / given[1] == pytest.approx(20) and given[1] == given[2]
    for weights in (balanced, given):
        assert weights[TARGET].mean().item() == pytest.approx(1)


def test_a_class_without_training_rows_changes_nothing() -> None:
    weights = class_weights("balanced", [*LABELS, "absent"], TARGET)
    torch.testing.assert_close(weights[:3], class_weights("balanced", LABELS, TARGET))
    assert weights.isfinite().all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"defects": 2.0}, "Did you mean 'defect'"),
        ({"fine": 0.0}, "from 0.001 to 1,000"),
        ({"fine": 1e9}, "from 0.001"),
    ],
)
def test_what_is_no_weight_is_said(asked: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        class_weights(asked, LABELS, TARGET)
