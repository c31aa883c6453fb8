"""Which class is answered under thresholds, and how a threshold is chosen; by hand and as properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsound.network.decision import Decision, decide, for_precision, for_recall, from_names

NONE = np.nan
SAID = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.1, 0.3, 0.6]])


def test_by_hand() -> None:
    assert decide(SAID).tolist() == decide(SAID, np.full(3, NONE)).tolist() == [0, 0, 2]
    assert decide(SAID, np.array([NONE, NONE, 0.2])).tolist() == [0, 2, 2]  # from 0.2 on it is the third class
    assert decide(SAID, np.array([NONE, NONE, 0.65])).tolist() == [0, 0, 1]  # and below 0.65 never
    assert decide(SAID, np.array([NONE, 0.3, 0.2])).tolist() == [0, 2, 2]  # 0.35 / 0.3 is less than 0.25 / 0.2
    assert decide(SAID, np.array([0.9, 0.9, 0.9])).tolist() == [0, 0, 2]  # none is reached: the closest
    assert decide(SAID, np.array([0.9, 0.2, 0.9])).tolist() == [1, 1, 1]
    assert decide(SAID, np.array([NONE, NONE, 0.0])).tolist() == [2, 2, 2]
    own = np.array([[NONE, NONE, 0.05], [NONE] * 3, [NONE, 0.2, NONE]])
    assert decide(SAID, own).tolist() == [2, 0, 1]


def test_factors_by_hand() -> None:
    assert decide(SAID, factors=np.array([1.0, 1.5, 1.0])).tolist() == [0, 1, 2]
    # the threshold is one of the probability itself; classes without one are compared by their factors
    assert decide(SAID, np.array([0.5, NONE, NONE]), np.array([9.0, 1.0, 1.5])).tolist() == [0, 2, 2]


def test_each_row_has_the_thresholds_of_what_it_has() -> None:
    decision = Decision(None, {("image", "audio"): np.array([0.1, NONE]), ("audio",): np.array([NONE, 0.2])})
    has = {"image": np.array([True, True, False, False]), "audio": np.array([True, False, True, False])}
    said = np.array([[0.2, 0.8], [0.2, 0.8], [0.75, 0.25], [0.75, 0.25]])
    assert decision.choose_by_row(said, has).tolist() == [0, 1, 1, 0]
    assert decision.choose(said, ("image", "audio")).tolist() == [0, 0, 0, 0]
    assert decision.choose(said, ("image",)).tolist() == [1, 1, 0, 0]
    assert decision and not Decision() and Decision(np.ones(2))


def test_names_and_back() -> None:
    of = {("image", "audio"): np.array([0.1, NONE]), ("image",): np.array([NONE, 0.5])}
    by_name = {"factors": {"x": 2.0, "y": 1.0}, "thresholds": {"image+audio": {"x": 0.1}, "image": {"y": 0.5}}}
    assert Decision(np.array([2.0, 1.0]), of).named(["x", "y"]) == by_name
    again = from_names(by_name, ["x", "y"])
    np.testing.assert_equal(again.thresholds, of)
    np.testing.assert_equal(again.factors, [2.0, 1.0])
    assert not from_names({}, ["x"]) and not from_names(Decision().named(["x"]), ["x"])


def test_the_threshold_is_between_two_rows() -> None:
    probability, true = np.array([0.9, 0.8, 0.6, 0.5, 0.2]), np.array([True, False, True, True, False])
    assert for_recall(probability, true, 0.5) == pytest.approx(0.55)  # two of three are 0.67
    assert for_recall(probability, true, 0.3) == pytest.approx(0.85)
    assert for_recall(probability, true, 1.0) == pytest.approx(0.35)
    assert for_precision(probability, true, 1.0) == pytest.approx(0.85)
    assert for_precision(probability, true, 0.75) == pytest.approx(0.35)  # three of four
    assert for_precision(probability, true, 0.7) == pytest.approx(0.35)
    assert for_precision(probability, ~true, 0.9) is None
    assert (
        for_recall(probability, np.zeros(5, bool), 0.9) is None and for_precision(probability, ~true & true, 0) is None
    )
    assert for_recall(np.array([0.3]), np.array([True]), 1) == pytest.approx(0.15)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7]), st.booleans()), min_size=1), st.floats(0.01, 1))
@settings(deadline=None, max_examples=100)
def test_what_is_wanted_is_reached_and_no_more(rows: list[tuple[float, bool]], share: float) -> None:
    probability, true = (np.array(column) for column in zip(*rows, strict=True))
    levels = [0.05, 0.15, 0.35, 0.6]  # all places between these probabilities
    recall = {t: (probability >= t)[true].mean() if true.any() else None for t in levels}
    precision = {t: true[probability >= t].mean() if (probability >= t).any() else 0.0 for t in levels}
    found = for_recall(probability, true, share)
    if found is None:
        assert not true.any()
    else:
        assert (probability >= found)[true].mean() >= share - 1e-9
        assert not [t for t in levels if recall[t] >= share and (probability >= t).sum() < (probability >= found).sum()]
    found = for_precision(probability, true, share)
    good = [t for t in levels if precision[t] >= share - 1e-9 and true[probability >= t].any()]
    assert (found is None) == (not good)
    if found is not None:
        assert true[probability >= found].mean() >= share - 1e-9
        assert (probability >= found).sum() == max((probability >= t).sum() for t in good)
