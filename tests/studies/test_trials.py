"""One candidate of a comparison: calibrated on validation rows, whole on disk or not there."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sightsound.answers import Answered
from sightsound.config import Config
from sightsound.studies.trials import Seed, Trial, _read, _write
from sightsound.training.calibrate import calibrate
from tests.contract.batches import SIZES, network_with
from tests.training.test_calibrate import rows_of


def test_a_candidate_is_calibrated_on_validation_rows(tmp_path: Path) -> None:
    rows = {"train": rows_of(30), "val": rows_of(60), "test": rows_of(90)}
    seed = Seed(SimpleNamespace(config=Config(**SIZES), rows=rows, kept={}), 0, tmp_path)
    wanted = network_with("concat")
    calibrate(wanted, rows["val"])
    found = seed._calibrate(network_with("concat"), Trial("concat", "joint"))
    assert torch.equal(found.energies, wanted.energies) and torch.equal(found.temperature, wanted.temperature)


def test_answers_come_back_as_they_were_written_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {("image", "audio"): np.eye(3), ("image",): np.eye(3)[::-1], ("audio",): np.full((3, 3), 1 / 3)}
    answered = Answered(np.array([4, 5, 9]), said, {"image": np.ones(3, bool), "audio": np.array([True, False, True])})
    whole = np.savez

    def half(file: Path, **arrays: object) -> None:
        whole(file, **arrays)
        Path(file).write_bytes(Path(file).read_bytes()[:50])
        raise OSError("the disk is full")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr(np, "savez", half)
        _write(tmp_path / "val.npz", answered)
    assert not (tmp_path / "val.npz").exists()
    _write(tmp_path / "val.npz", answered)
    found = _read(tmp_path / "val.npz")
    np.testing.assert_equal(found._asdict(), answered._asdict())
