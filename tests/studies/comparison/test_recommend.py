"""The words of a recommendation, on made-up answers: fusion is ahead for certain, perhaps, or not at all."""

import numpy as np
import pytest

from sightsound.data.clusters import Clusters
from sightsound.inference.subsets import Answered
from sightsound.studies.comparison.compare import Compared, ComparisonStudy
from sightsound.studies.comparison.cost import Cost
from sightsound.studies.comparison.recommend import recommend
from sightsound.studies.comparison.summary import rows
from sightsound.studies.comparison.trials import Trial

COST = Cost(1000, 1000, 1.0, 10.0, 1.0)


def said(target: np.ndarray, fused_right: float, image_right: float) -> Answered:
    """Answers of which the first share is right; audio is right in half of them."""
    number = np.arange(len(target)) / len(target)

    def answer(share: float) -> np.ndarray:
        right = np.where(number < share, target, 1 - target)
        return np.eye(2)[right] * 0.8 + 0.1

    probabilities = {("image", "audio"): answer(fused_right), ("image",): answer(image_right), ("audio",): answer(0.5)}
    there = np.ones(len(target), bool)
    return Answered(np.arange(len(target)), probabilities, {"image": there, "audio": there})


def study(count: int, fused_right: float, image_right: float) -> ComparisonStudy:
    target = np.arange(count) % 2
    answered = [said(target, fused_right, image_right)]
    concat = Compared("concat", "feature", Trial("concat", "frozen"), fused_right, answered, answered, 1.0)
    unimodal = concat._replace(name="vote", family="decision", trial=Trial("vote", "frozen"))
    clusters = dict.fromkeys(("val", "test"), Clusters.of_rows(count))
    costs = dict.fromkeys(("concat", "image", "audio"), COST)
    return ComparisonStudy(
        [], {"concat": concat}, unimodal, costs, {"val": target, "test": target}, clusters, 1.0, None, "", []
    )


@pytest.mark.parametrize(
    ("count", "fused_right", "worth", "first"),
    [
        (2000, 0.9, True, "For accuracy: concat"),
        (20, 0.9, None, "Whether fusion is worth it cannot be told yet: on 20 validation rows"),
        (2000, 0.8, False, "Fusion is not worth it here"),
        (2000, 0.7, False, "Fusion is not worth it here"),
    ],
)
def test_what_is_said_of_fusing(count: int, fused_right: float, worth: bool | None, first: str) -> None:
    made = study(count, fused_right, 0.8)
    found = recommend(made, rows(made, 2))
    assert found.worth is worth and found.lines[0].startswith(first)
    assert any("points against image only" in line for line in found.lines) is (worth is True)


def test_two_groups_give_no_interval() -> None:
    made = study(200, 0.8, 0.8)
    [strategy, *_] = rows(made._replace(clusters={"test": Clusters("group", (np.arange(200) // 100,))}), 2)
    assert (strategy.accuracy_low, strategy.accuracy_high) == (strategy.macro_f1_low, strategy.macro_f1_high) == (0, 1)


def test_balances_are_called_balances() -> None:
    made = study(2000, 0.7, 0.8)
    [one] = made.compared.values()
    balanced = made._replace(compared={"concat": one._replace(trial=Trial("concat", "balanced", balance="mla"))})
    for kind, of in (("strategy", made), ("balance", balanced)):
        assert f"the best {kind} is not significantly better" in recommend(of, rows(of, 2)).lines[0]


def test_a_modality_alone_has_the_validation_score_of_itself() -> None:
    numbers = {row.name: row.val_macro_f1 for row in rows(study(2000, 0.9, 0.8), 2)}
    assert numbers["image only"] == pytest.approx(0.8, abs=1e-3)
    assert numbers["audio only"] == pytest.approx(0.5, abs=1e-3)


def test_one_strategy_of_many_is_no_comparison() -> None:
    made = study(2000, 0.9, 0.8)._replace(left_out=["vote", "average"])
    found = recommend(made, rows(made, 2))
    assert found.worth is None and found.tied == ["concat"]
    assert found.lines == [
        "The budget was used up after one of 3 strategies, concat: nothing is recommended. Go on with --resume and "
        "more --budget."
    ]


def test_the_better_modality_is_the_one_on_validation_rows() -> None:
    made = study(2000, 0.9, 0.8)
    assert "against image only, the better modality on validation rows" in recommend(made, rows(made, 2)).lines[0]


@pytest.mark.parametrize(
    ("image_right", "milliseconds", "speed", "said_of_it"),
    [
        (0.70, {}, "concat", "concat, 10.0 ms for 256 rows with the encoders; nothing that is tied with it is clearly"),
        (0.70, {"vote": 9.5}, "concat", "concat, 10.0 ms"),  # a twentieth faster, which the next measurement may not be
        (0.70, {"vote": 8.5}, "vote", "vote, 8.5 ms for 256 rows with the encoders against 10.0 ms of concat."),
        (0.70, {"vote": 8.5, "image": 5.0}, "vote", "vote, 8.5 ms"),  # images alone are significantly worse
        (0.90, {"image": 5.0}, "image only", "image only, which is not significantly worse, 5.0 ms for 256 rows with"),
        (0.95, {"image": 5.0}, "image only", "image only, which is not significantly worse, 5.0 ms for 256 rows with"),
        (0.90, {"audio": 1.0}, "concat", "concat, 10.0 ms"),  # the worse of both
    ],
)
def test_the_fast_one_is_faster(image_right: float, milliseconds: dict, speed: str, said_of_it: str) -> None:
    made = study(2000, 0.9, image_right)
    [one] = made.compared.values()
    costs = {name: COST._replace(latency_256_ms=milliseconds.get(name, 10.0)) for name in (*made.costs, "vote")}
    found = recommend(two := made._replace(compared={"concat": one, "vote": one}, costs=costs), rows(two, 2))
    assert found.speed == speed and any(f"For speed: {said_of_it}" in line for line in found.lines), found.lines
