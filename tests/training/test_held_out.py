"""What is fitted on held-out rows: whom decision strategies trust, and when the guard steps in."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sightsound.data.clusters import Clusters
from sightsound.fusion import DECISION, STRATEGIES
from sightsound.fusion.base import Fusion
from sightsound.training.calibrate import best_temperature
from sightsound.training.held_out import (
    HeldOut,
    HeldOutLogits,
    _cross_fitted,
    _fitted,
    _folds,
    _guard,
    fit_held_out,
    shares_of,
)
from tests.contract.batches import batch_of, network_with
from tests.training.test_calibrate import rows_of

C = 4


def drawn(rows: int, seed: int) -> tuple[dict[str, Tensor], Tensor]:
    """Logits (n, C): audio is as sure of chance as a head that has memorised its training rows, image knows 0.70."""
    g = torch.Generator().manual_seed(seed)
    target = torch.randint(C, (rows,), generator=g)
    heard = torch.randint(C, (rows,), generator=g)
    seen = torch.where(torch.rand(rows, generator=g) < 0.6, target, torch.randint(C, (rows,), generator=g))
    noise = torch.randn(2, rows, C, generator=g)
    return {"audio": 8 * torch.eye(C)[heard] + noise[0], "image": 2.5 * torch.eye(C)[seen] + noise[1]}, target


def scored(rows: int, seed: int, temperatures: dict[str, float]) -> HeldOutLogits:
    own, target = drawn(rows, seed)
    there = {m: torch.ones(rows, dtype=torch.bool) for m in own}
    return HeldOutLogits({m: x / temperatures[m] for m, x in own.items()}, torch.zeros(rows, C), there, target)


@pytest.mark.parametrize("name", sorted(DECISION))
def test_a_modality_that_memorised_its_training_rows_is_not_trusted(name: str) -> None:
    own, target = drawn(200, 0)
    temperatures = {m: best_temperature(x, target) for m, x in own.items()}
    known, asked = scored(200, 0, temperatures), scored(5000, 1, temperatures)
    fusion: Fusion = STRATEGIES[name]({"audio": 8, "image": 8}, {"audio": [1], "image": [1]}, C)
    assert fusion.fitted_held_out is (next(fusion.parameters(), None) is not None)
    if fusion.fitted_held_out:
        fusion = _fitted(fusion, known)
    right = (fusion.combine({}, asked.unimodal, asked.present).logits.argmax(1) == asked.target).float().mean()
    image = (asked.unimodal["image"].argmax(1) == asked.target).float().mean()
    assert right >= image - 0.02


def test_few_rows_leave_a_strategy_near_where_it_began() -> None:
    fusion = STRATEGIES["stacking"]({"audio": 8, "image": 8}, {"audio": [1], "image": [1]}, C)
    moved = {}
    for rows in (4, 2000):
        fitted = _fitted(fusion, scored(rows, 0, {"audio": 1.0, "image": 1.0}))
        moved[rows] = float((fitted.learn.weight - fusion.learn.weight).detach().norm())
    assert 0 < moved[4] < 0.8 < moved[2000]
    assert torch.equal(fusion.learn.weight, torch.eye(C).repeat(1, 2))  # the one that was given is not changed


def test_shares_by_hand() -> None:
    assert shares_of(np.array([[0.9, 0.1]] * 5)) == pytest.approx([1, 0], abs=1e-6)
    # two components, each right about half: the likelihood of w * 0.8 + (1 - w) * 0.2 and its mirror is even
    assert shares_of(np.array([[0.8, 0.2], [0.2, 0.8]])) == pytest.approx([0.5, 0.5])
    grid = np.linspace(0, 1, 1001)
    true = np.random.default_rng(0).uniform(0.05, 0.95, (50, 2))
    best = grid[np.log(grid[:, None] * true[:, 0] + (1 - grid[:, None]) * true[:, 1]).sum(1).argmax()]
    assert shares_of(true)[0] == pytest.approx(best, abs=0.002)


def probabilities(right: float, rows: int, seed: int, sure: float = 0.85) -> np.ndarray:
    """(rows, 2): class 0 is true, and it is said with a certainty in a share of the rows."""
    told = np.where(np.random.default_rng(seed).random(rows) < right, sure, 1 - sure)
    return np.stack([told, 1 - told], 1)


def judged(fused: float, image: float, audio: float, rows: int = 400) -> np.ndarray | None:
    means = np.stack([probabilities(p, rows, seed) for seed, p in enumerate((fused, image, audio))], 1)
    clusters = Clusters.of_rows(rows)
    return _guard(means, np.zeros(rows, int), _folds(clusters), clusters)[0]


def test_the_guard_steps_in_where_the_fused_answer_is_worse_and_nowhere_else() -> None:
    shares = judged(0.55, 0.9, 0.5)
    assert shares is not None and shares[1] > 0.8 and shares.sum() == pytest.approx(1)
    means = np.stack([probabilities(0.9, 400, 0)] * 3, 1)  # the modalities say the same: nothing is gained
    clusters = Clusters.of_rows(400)
    assert _guard(means, np.zeros(400, int), _folds(clusters), clusters)[0] is None


def test_folds_hold_whole_clusters() -> None:
    clusters = Clusters("group", (np.repeat(np.arange(20), 5),))
    folds = _folds(clusters)
    assert len(set(folds)) == 5 and all(len(set(folds[clusters.codes[0] == c])) == 1 for c in range(20))
    assert len(set(_folds(Clusters("group", (np.zeros(9, int),))))) == 5  # but a single one is divided by rows


@pytest.mark.parametrize("name", ["concat", "stacking"])
def test_many_clips_of_one_file_are_one_row(name: str) -> None:
    """Nothing can be fitted on the one, and judged on another."""
    network = network_with(name).eval()
    held = HeldOut(rows_of(60), np.zeros(60, int), np.array([7]), Clusters.of_rows(1))
    assert len(fit_held_out(network, held).row) == 0
    assert (network.calibration.temperature == 1).all() and network.calibration.guard_shares() == {}


def test_rows_do_not_answer_about_themselves() -> None:
    """What cross-fitting says of a row does not change with its own label, and that of others does.

    But for a temperature, by which the logarithms of the probabilities differ by a factor.
    """

    def direction(probabilities: Tensor) -> Tensor:
        logarithms = probabilities.detach().log()
        return torch.nn.functional.normalize(logarithms - logarithms.mean(1, keepdim=True))

    network, known, folds = network_with("stacking"), scored(90, 0, {"audio": 1.0, "image": 1.0}), torch.arange(90) % 5
    before, _ = _cross_fitted(network.fusion, known, folds, True)
    known.target[0] = (known.target[0] + 1) % C
    after, _ = _cross_fitted(network.fusion, known, folds, True)
    torch.testing.assert_close(direction(before[folds == 0]), direction(after[folds == 0]))
    assert (direction(before[folds == 1]) - direction(after[folds == 1])).abs().max() > 1e-3


def test_the_network_mixes_what_the_guard_says_and_only_where_it_does() -> None:
    network, batch = network_with("gated").eval(), batch_of(12, missing=True)
    network.calibration.temperature.copy_(torch.tensor([1.0, 2.0, 3.0, 1.5]))
    plain = network(batch)
    both = network.calibration.subset_number(("image", "audio"))
    network.calibration.guard[both] = torch.tensor([0.5, 0.2, 0.3])
    mixed = network(batch)
    complete = batch.present["image"] & batch.present["audio"]
    own = {
        m: (
            plain.unimodal_logits[m] / network.calibration.temperature[network.calibration.subset_number((m,))]
        ).softmax(1)
        for m in network.modalities
    }
    first, second = network.modalities
    by_hand = 0.5 * plain.logits.softmax(1) + 0.2 * own[first] + 0.3 * own[second]
    torch.testing.assert_close(mixed.logits.softmax(1)[complete], by_hand[complete])
    torch.testing.assert_close(mixed.weights[first][complete], 0.5 * plain.weights[first][complete] + 0.2)
    assert torch.equal(mixed.logits[~complete], plain.logits[~complete]) and (~complete).any() and complete.any()
    assert network.calibration.guard_shares() == {"image+audio": {"fused": 0.5, first: 0.2, second: 0.3}}
    assert torch.equal(network.train()(batch).logits, network.train()(batch).logits)
    network.train()
    assert torch.equal(network(batch).logits[complete], plain.logits[complete])  # losses see the strategy itself


@pytest.mark.parametrize("guard", [True, False])
def test_a_strategy_that_is_worse_than_a_modality_is_guarded(guard: bool) -> None:
    network = network_with("concat").eval()
    with torch.no_grad():
        network.heads["image"].weight.mul_(50)  # sure
    held = HeldOut(rows_of(300), np.arange(300), np.arange(300), Clusters.of_rows(300))
    held.rows.target[:] = network(held.rows[list(range(300))]).unimodal_logits["image"].argmax(1)  # and right
    fit_held_out(network, held, guard)
    assert bool(network.calibration.guard_shares()) is guard
    if guard:
        assert network.calibration.guard_shares()["image+audio"]["image"] > 0.7


@pytest.mark.parametrize("name", ["vote", "majority", "max-decision", "concat", "weighted"])
def test_what_is_judged_is_what_answers(name: str) -> None:
    """Strategies read calibrated scores; validation answers must not come from scores of before the calibration."""
    network, rows = network_with(name).eval(), rows_of(300)
    with torch.no_grad():
        network.heads["audio"].weight.mul_(30)  # sure, and by chance
        network.heads["image"].weight.mul_(3)
    everything = list(range(300))
    rows.target[:] = network(rows[everything]).unimodal_logits["image"].argmax(1)
    found = fit_held_out(network, HeldOut(rows, np.arange(300), np.arange(300), Clusters.of_rows(300)), guard=False)
    answered = network(rows[everything]).logits[found.row].argmax(1).numpy()
    agreeing = (found.probabilities.argmax(1) == answered).mean()
    assert agreeing == 1.0 if name != "weighted" else agreeing > 0.95
    assert (answered == rows.target[found.row].numpy()).mean() > (0.9 if name != "concat" else 0.0)
