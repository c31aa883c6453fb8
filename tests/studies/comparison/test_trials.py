"""One candidate of a comparison: calibrated on validation rows, whole on disk or not there."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from sightsound.config import Config
from sightsound.data.table import Table
from sightsound.inference.subsets import Answered
from sightsound.studies.comparison.said import read_answers, write_answers
from sightsound.studies.comparison.trials import Seed, Trial
from sightsound.training.held_out import CrossFitted, fit_held_out
from tests.contract.batches import SIZES, network_with
from tests.training.test_calibrate import held, rows_of


def test_a_candidate_is_calibrated_on_validation_rows(tmp_path: Path) -> None:
    rows = {"train": rows_of(30), "val": rows_of(60), "test": rows_of(90)}
    numbers = np.arange(60) + 1
    frame = pd.DataFrame({"row": numbers, "group": "", "image": numbers.astype(str), "audio": numbers.astype(str)})
    table = Table("t", tmp_path, frame)
    prepared = SimpleNamespace(
        config=Config(**SIZES), rows=rows, cached={}, table=table.with_frame(frame.assign(split="val"))
    )
    wanted, found = network_with("concat"), network_with("concat")
    fit_held_out(wanted, held(60))
    Seed(prepared, 0, tmp_path)._fit_held_out(found, Trial("concat", "joint"))
    assert torch.equal(found.calibration.energies, wanted.calibration.energies) and torch.equal(
        found.calibration.temperature, wanted.calibration.temperature
    )


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
        write_answers(tmp_path / "val.npz", answered)
    assert not (tmp_path / "val.npz").exists()
    write_answers(tmp_path / "val.npz", answered)
    found = read_answers(tmp_path / "val.npz")
    np.testing.assert_equal(found._asdict(), answered._asdict())


def test_complete_rows_are_answered_by_what_was_fitted_on_others() -> None:
    said = {s: np.full((3, 2), 0.5) for s in (("image", "audio"), ("image",), ("audio",))}
    answered = Answered(np.array([4, 5, 9]), said, {"image": np.ones(3, bool), "audio": np.array([True, False, True])})
    found = CrossFitted(np.array([4, 9]), np.array([[1.0, 0.0], [0.0, 1.0]])).put_in(answered)
    assert found.probabilities[("image", "audio")].tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
    assert found.probabilities[("image",)] is said[("image",)] and said[("image", "audio")].tolist() == [[0.5, 0.5]] * 3
