"""What holds for every policy that fills in a missing modality, whatever the strategy."""

from pathlib import Path

import pytest
import torch

from sightsound.fusion import STRATEGIES
from sightsound.missing import IMPUTERS, Imputers
from sightsound.missing.combine import weigh_by_certainty
from sightsound.missing.interpolate import METHODS
from sightsound.network.build import new_imputers
from sightsound.types import INTERPOLATIONS, POLICIES, Imputed
from tests.contract.batches import batch_of, network_with

FUSIONS = ["concat", "product", "mmtm", "bottleneck"]


@pytest.fixture(autouse=True)
def whole_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the imputers are trained as long as anywhere outside the tests."""
    monkeypatch.setattr("sightsound.missing.impute.PASSES", 200)


def related(rows: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Embeddings of which one says all about the other."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(rows, 6, generator=generator)
    turn = torch.randn(6, 3, generator=torch.Generator().manual_seed(9))
    return {"image": image, "audio": (image @ turn).tanh()}


def fitted(policy: str) -> Imputers:
    imputers = Imputers(dict.fromkeys(("image", "audio"), IMPUTERS[policy]), {"image": 6, "audio": 3})
    imputers.fit(related(400))
    return imputers


def test_the_names_are_those_that_are_implemented() -> None:
    assert ("drop", "ignore", *METHODS, *IMPUTERS) == POLICIES
    assert tuple(METHODS) == INTERPOLATIONS


@pytest.mark.parametrize("policy", IMPUTERS)
def test_it_is_as_good_as_it_says(policy: str) -> None:
    new = related(200, seed=1)
    present = {"image": torch.ones(200, dtype=torch.bool), "audio": torch.zeros(200, dtype=torch.bool)}
    imputed = fitted(policy)({**new, "audio": torch.full((200, 3), 9.0)}, present)
    error = ((imputed["audio"].values.mean(1) - new["audio"]).square().mean() / new["audio"].var(0).mean()).sqrt()
    assert imputed["audio"].rows.all() and not imputed["image"].rows.any()
    assert float(error) == pytest.approx(float(imputed["audio"].uncertainty.mean()), abs=0.2)
    assert float(error) < {"mean": 1.05, "nearest": 0.9, "predict": 0.3, "generate": 0.5}[policy]


@pytest.mark.parametrize("policy", IMPUTERS)
def test_a_seed_decides_everything_and_it_can_be_saved(policy: str) -> None:
    torch.manual_seed(1)
    one = fitted(policy)
    torch.manual_seed(2)
    two = fitted(policy)
    other = Imputers(dict.fromkeys(("image", "audio"), IMPUTERS[policy]), {"image": 6, "audio": 3})
    other.load_state_dict(one.state_dict())
    given = related(5, seed=3)
    absent = {m: torch.tensor([True, False, True, False, False]) for m in given}
    for m, imputed in one(given, absent).items():
        torch.testing.assert_close(two(given, absent)[m].values, imputed.values)
        torch.testing.assert_close(other(given, absent)[m].values, imputed.values)
        assert not imputed.rows.any()  # where nothing is there, nothing is made up


@pytest.mark.parametrize("policy", IMPUTERS)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_complete_rows_stay_as_they_are_and_others_do_not(fusion: str, policy: str) -> None:
    network = network_with(fusion).eval()
    batch = network.featurize(batch_of(9, missing=True))
    everything = network.featurize(batch_of(60, seed=1))
    imputers = new_imputers(network, policy)
    with torch.no_grad():
        imputers.fit(network.encode(everything.inputs, everything.present).unimodal)
        before = network.fuse(batch)
        after = network.fuse(batch, imputers)
    complete = batch.present["image"] & batch.present["audio"]
    torch.testing.assert_close(after.logits[complete], before.logits[complete])
    assert (after.logits[~complete] - before.logits[~complete]).abs().amax(1).min() > 1e-6
    for m in ("image", "audio"):
        torch.testing.assert_close(after.embeddings[m], before.embeddings[m])
        assert torch.equal(after.imputed[m].rows, ~batch.present[m])


@pytest.mark.parametrize("fusion", sorted(STRATEGIES))
@pytest.mark.parametrize("policy", ["predict", "generate"])
def test_what_is_behind_an_absent_flag_changes_nothing(fusion: str, policy: str) -> None:
    network = network_with(fusion).eval()
    batch = network.featurize(batch_of(6, missing=True))
    imputers = new_imputers(network, policy)
    inputs = {m: x.clone() for m, x in batch.inputs.items()}
    for m, x in inputs.items():
        x[~batch.present[m]] = torch.nan if x.is_floating_point() else 255
    with torch.no_grad():
        one, other = network.fuse(batch, imputers), network.fuse(batch._replace(inputs=inputs), imputers)
        single = network.fuse(
            batch._replace(
                inputs={m: x[1:2] for m, x in batch.inputs.items()},
                present={m: p[1:2] for m, p in batch.present.items()},
                target=None,
            ),
            imputers,
        )
    assert torch.isfinite(one.logits).all()
    torch.testing.assert_close(one.logits, other.logits)
    torch.testing.assert_close(single.logits, one.logits[1:2], atol=1e-4, rtol=1e-4)


def test_what_is_uncertain_counts_less() -> None:
    rows = torch.tensor([True, True, True, False])
    plain = torch.tensor([[0.9, 0.1]]).log().expand(4, -1)
    guesses = [torch.tensor([[0.2, 0.8]]).log().expand(4, -1), torch.tensor([[0.4, 0.6]]).log().expand(4, -1)]
    uncertainty = torch.tensor([0.0, 0.5, 1.0, 0.0])
    imputed = {"audio": Imputed(torch.zeros(4, 2, 3), rows, uncertainty)}
    found = weigh_by_certainty(plain, guesses, imputed).softmax(1)[:, 0]
    torch.testing.assert_close(found, torch.tensor([0.3, 0.6, 0.9, 0.9]))


def test_several_possibilities_that_differ_where_little_is_known() -> None:
    image, half = torch.randn(400, 6, generator=torch.Generator().manual_seed(0)), torch.arange(400) % 2
    sound = half[:, None] * 2.0 - 1 + 0.1 * torch.randn(400, 3)  # one of two, whatever the image
    generate = IMPUTERS["generate"](6, 3)
    generate.fit(image, sound)
    found, uncertainty = generate.sample(image[:50])
    assert found.shape == (50, 8, 3)
    assert 0.6 < uncertainty.mean().item() <= 1
    assert found.mean(2).abs().median().item() > 0.6  # either of the two, seldom the mean of both


def test_a_policy_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imputer_of_ones_own.py").write_text(
        "import torch\nfrom sightsound.missing import Imputer\n\n\nclass Zero(Imputer):\n"
        "    def __init__(self, given, size):\n        super().__init__(given, size)\n        self.size = size\n\n"
        "    def estimate(self, given, wanted):\n        pass\n\n"
        "    def forward(self, given):\n        return torch.zeros(len(given), self.size)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    network = network_with("average")
    imputers = new_imputers(network, "imputer_of_ones_own.Zero")
    batch = network.featurize(batch_of(3, missing=True))
    with torch.no_grad():
        assert network.fuse(batch, imputers).imputed["audio"].values.abs().max() == 0
