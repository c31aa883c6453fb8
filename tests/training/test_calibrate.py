"""Temperatures: found where they are known, one for each subset, and without any change to what is answered."""

from pathlib import Path

import numpy as np
import pytest
import torch

import sightsound as ss
from sightsound.data.clusters import Clusters
from sightsound.data.dataset import Rows
from sightsound.data.prepared.store import Store
from sightsound.network.calibration import energy_of
from sightsound.training.calibrate import best_temperature
from sightsound.training.held_out import HeldOut, fit_held_out
from tests.contract.batches import CLASSES, batch_of, network_with


def drawn(temperature: float, rows: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and classes drawn as these say at a temperature."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(rows, 4, generator=generator)
    target = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]
    return logits, target


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_classes_were_drawn_at_is_found(temperature: float) -> None:
    assert best_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_few_rows_without_a_mistake_make_nothing_certain() -> None:
    logits = torch.eye(4).repeat(6, 1) * 5
    sure = (logits / best_temperature(logits, torch.arange(24) % 4)).softmax(1).max()
    assert 0.9 < sure < 0.999


def held(count: int) -> HeldOut:
    return HeldOut(rows_of(count), np.arange(count), np.arange(count), Clusters.of_rows(count))


def rows_of(count: int) -> Rows:
    batch = batch_of(count, missing=True)
    stores = {
        m: Store(torch.cat([values[:1] * 0, values]), torch.where(batch.present[m], torch.arange(count) + 1, 0))
        for m, values in batch.inputs.items()
    }
    return Rows(stores, batch.target, torch.arange(count))


def test_each_subset_has_its_own_and_no_answer_changes() -> None:
    network, batch = network_with("concat").eval(), batch_of(12, missing=True)
    before = network(batch).logits
    fit_held_out(network, held(90), guard=False)
    after = network(batch).logits
    assert network.calibration.temperature[0] == 1 and len(set(network.calibration.temperature.tolist())) == 4
    assert torch.equal(before.argmax(1), after.argmax(1))
    both = network.calibration.temperature[network.calibration.subset_number(("image", "audio"))]
    torch.testing.assert_close(after[0], before[0] / both)
    image = network.calibration.temperature[network.calibration.subset_number(("image",))]
    torch.testing.assert_close(after[1], before[1] / image)


def test_strangeness_is_the_share_of_validation_rows_with_less_energy() -> None:
    network, rows = network_with("concat"), rows_of(90)
    fit_held_out(network, held(90), guard=False)
    output = network(rows[list(range(90))])
    for m in ("image", "audio"):
        there = batch_of(90, missing=True).present[m]
        shares = network.calibration.ood_score(m, energy_of(output.unimodal_logits[m][there]))
        order = shares.argsort()
        assert shares.min() <= 0.02 and shares.max() == 1.0
        assert 0.45 < shares.median() < 0.55 and (shares[order].diff() >= 0).all()
    assert network.calibration.ood_score("image", torch.tensor([-1e9, 1e9])).tolist() == [0, 1]


def test_few_rows_fit_that_of_each_modality_and_fewer_none() -> None:
    network = network_with("concat")
    fit_held_out(network, held(9))
    _, image, audio, both = network.calibration.temperature.tolist()
    assert image > 1 and audio > 1 and both == 1 and CLASSES == 4  # untrained heads are right by chance
    fit_held_out(network, held(4))
    assert network.calibration.temperature.tolist() == [1.0] * 4


def test_a_trained_bundle_keeps_its_temperatures(tmp_path: Path) -> None:
    from tests.conftest import write_table

    trained = ss.train(write_table(tmp_path / "data", 50), out=tmp_path / "run", epochs=3, batch_size=16)
    loaded = ss.load(tmp_path / "run" / "bundle")
    assert (trained.network.calibration.temperature[1:] != 1).all()
    assert torch.equal(trained.network.calibration.temperature, loaded.network.calibration.temperature)


def test_logits_are_divided_by_the_temperature_of_what_a_row_has() -> None:
    network, batch = network_with("concat").eval(), batch_of(3, missing=True)  # both, image only, audio only
    before = network(batch).logits
    network.calibration.temperature.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))  # of nothing, image, audio, both
    torch.testing.assert_close(network(batch).logits, before / torch.tensor([[4.0], [2.0], [3.0]]))


def test_the_temperature_of_a_subset_is_fitted_on_its_own_answers() -> None:
    network, known = network_with("concat").eval(), held(90)
    told_by_image = network(known.rows[list(range(90))]).unimodal_logits["image"].argmax(1)
    fit_held_out(network, known._replace(rows=Rows(known.rows.stores, told_by_image, known.rows.rows)))
    _, image, audio, _ = network.calibration.temperature.tolist()
    assert image < 0.5 < 2 < audio  # one is always right, the other knows nothing
