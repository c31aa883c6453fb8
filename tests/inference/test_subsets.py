"""Answers to the clips of a row, and what becomes of them: the row's own answer, and columns of a table."""

import numpy as np
import pytest
import torch

from sightsound.config import AudioConfig, Config
from sightsound.data.dataset import Rows
from sightsound.data.prepared.store import Store
from sightsound.inference.answer_table import flat
from sightsound.inference.prediction import Asked, abstain, prediction
from sightsound.inference.subsets import Answer, answer_rows
from sightsound.network.decision import Decision
from sightsound.types import Prediction
from tests.contract.batches import network_with

BOTH = ("image", "audio")
CLIPS = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])  # the first clip says something else than all three


def said(probabilities: torch.Tensor) -> dict[tuple[str, ...], Answer]:
    strange = {m: torch.linspace(0, 1, len(probabilities)) for m in BOTH}
    return {s: Answer(probabilities, None, {m: strange[m] for m in s}) for s in (BOTH, ("image",), ("audio",))}


def test_the_clips_of_a_row_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = torch.cat([CLIPS, torch.tensor([[0.3, 0.7]])])  # three of row 5, one of row 7
    monkeypatch.setattr("sightsound.inference.subsets.all_answers", lambda *_: said(clips))
    stores = {m: Store(torch.zeros(5, 1), torch.tensor([1, 2, 3, m == "image"])) for m in BOTH}
    found = answer_rows(network_with("concat"), Rows(stores, None, torch.arange(4)), np.array([5, 5, 5, 7]))
    assert found.row.tolist() == [5, 7]
    for probabilities in found.probabilities.values():
        np.testing.assert_allclose(probabilities, [[0.4, 0.6], [0.3, 0.7]], atol=1e-6)
    assert found.has["image"].tolist() == [True, True] and found.has["audio"].tolist() == [True, False]


def test_a_prediction_is_the_mean_of_its_clips() -> None:
    config = Config(audio=AudioConfig(clip_seconds=2.0, step_seconds=1.0))
    asked = Asked([0.0, 1.0, 2.0], {"image": "a", "audio": "b"}, {})
    found = prediction(said(CLIPS), asked, ["x", "y"], config, Decision())
    assert found.label == "y" and found.probabilities == pytest.approx({"x": 0.4, "y": 0.6})
    assert found.per_modality == {m: pytest.approx({"x": 0.4, "y": 0.6}) for m in BOTH}
    assert found.ood_score == {m: pytest.approx(0.5) for m in BOTH}
    assert found.unimodal_labels == {"image": "y", "audio": "y"}
    rare = Decision(None, {("image", "audio"): np.array([0.35, np.nan]), ("image",): np.array([0.5, np.nan])})
    by_threshold = prediction(said(CLIPS), asked, ["x", "y"], config, rare)
    assert by_threshold.label == "x" and by_threshold.probabilities == found.probabilities
    assert by_threshold.unimodal_labels == {"image": "y", "audio": "y"}
    assert abstain(by_threshold, 0.45).label == "" and abstain(by_threshold, 0.39).label == "x"
    assert [(c.start_seconds, c.end_seconds, c.label) for c in found.clips] == [(0, 2, "x"), (1, 3, "y"), (2, 4, "y")]


def test_columns_of_an_answer_by_hand() -> None:
    alone = {"image": {"x": 0.8, "y": 0.2}, "audio": {"x": 0.4, "y": 0.6}}
    found = Prediction("x", {"x": 0.7, "y": 0.3}, alone, None, BOTH, {"image": "a.png", "audio": "b.wav"})
    [line] = flat(3, found._replace(unimodal_labels={"image": "x", "audio": "y"}))
    assert (line["row"], line["predicted"], line["probability"]) == (3, "x", 0.7)
    assert (line["image_only"], line["image_only_probability"]) == ("x", 0.8)
    assert (line["audio_only"], line["audio_only_probability"]) == ("y", 0.6)
    assert (line["p_x"], line["p_y"], line["image"], line["audio"]) == (0.7, 0.3, "a.png", "b.wav")
