"""What training promises of every strategy; a new one is covered without a line added here."""

from pathlib import Path

import pytest
import torch

from sightsound.config import Config
from sightsound.data.table import read_table
from sightsound.fusion import STRATEGIES
from sightsound.modalities.base import MODALITIES
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import fit
from sightsound.training.prepare import prepare
from tests.conftest import write_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("training") / "data")


def weights(table: Path, run: Path, **config: object) -> dict[str, torch.Tensor]:
    """Of encoders and heads after the last step of a training with defaults."""
    run.mkdir(parents=True)
    prepared = prepare(read_table(table), Config(epochs=2, batch_size=16, **config), run)
    network = on_cached(prepared.network, prepared.cached)
    fit(network, prepared.config, prepared.rows, run)
    state = torch.load(run / "checkpoints" / "joint" / "last.ckpt", weights_only=True)["network"]
    trained = ("encoders.", "heads.")
    return {name: value for name, value in state.items() if name.startswith(trained)}


@pytest.fixture(scope="module")
def alone(table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What each modality learns where it is the only one."""
    folder = tmp_path_factory.mktemp("alone")
    found = [weights(table, folder / m, modalities=(m,)) for m in MODALITIES]
    assert all(found)
    return {name: value for each in found for name, value in each.items()}


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_each_modality_learns_what_it_learns_alone(
    fusion: str, table: Path, alone: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    together = weights(table, tmp_path / "run", fusion=fusion)
    assert set(together) == set(alone)
    for name, value in together.items():
        assert torch.equal(value, alone[name]), name
