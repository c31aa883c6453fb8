"""Encoders that stay as they are: the norm of their embeddings, their heads, and bundles that answer as the run did."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import sightsound as ss
from sightsound.data.table import read_table
from sightsound.inference.subsets import embed_rows
from sightsound.training.feature_cache import on_cached
from sightsound.training.prepare import prepare
from tests.conftest import write_table


@pytest.mark.parametrize("fusion", ["concat", "mmtm"])
def test_frozen_embeddings_have_one_mean_norm_and_their_heads_begin_at_zero(fusion: str, tmp_path: Path) -> None:
    """1,280 numbers around 0.3 and 96 around 20 would not weigh the same; mmtm runs the encoders, concat keeps them."""
    table = write_table(tmp_path / "data", rows_per_class=8)
    image = ss.ImageConfig(encoder="lite0", frozen=True, height=32, width=32)
    audio = ss.AudioConfig(encoder="speech", frozen=True)
    for m, frozen in (("image", True), ("audio", False)):
        config = ss.Config(fusion=fusion, image=image, audio=audio if frozen else ss.AudioConfig(encoder="convnet"))
        (tmp_path / m).mkdir()
        prepared = prepare(read_table(table, config.columns), config, tmp_path / m)
        network = on_cached(prepared.network, prepared.cached).eval()
        embeddings, _ = embed_rows(network, prepared.rows["train"])
        assert embeddings["image"].square().sum(1).mean() == pytest.approx(128, rel=1e-3)
        torch.testing.assert_close(embeddings["image"].mean(0), torch.zeros(1280), atol=1e-4, rtol=0)
        heads = prepared.network.heads
        assert not heads["image"].weight.any() and not heads["image"].bias.any()
        assert bool(heads["audio"].weight.any()) is not frozen
        if frozen:
            assert embeddings["audio"].square().sum(1).mean() == pytest.approx(128, rel=1e-3)
            assert prepared.cached == ({"image": "embedding", "audio": "embedding"} if fusion == "concat" else {})


def test_a_bundle_answers_as_its_run_did(tmp_path: Path) -> None:
    """Training reads kept embeddings, a bundle computes them."""
    table = write_table(tmp_path / "data", rows_per_class=8)
    frozen = {
        "image": {"encoder": "lite0", "frozen": True, "height": 32, "width": 32},
        "audio": {"encoder": "speech", "frozen": True},
    }
    ss.train(table, out=tmp_path / "run", epochs=4, batch_size=8, **frozen)
    told = pd.read_csv(tmp_path / "run" / "predictions.csv")
    again = ss.load(tmp_path / "run" / "bundle").predict_table(table).iloc[told["row"] - 1]
    np.testing.assert_allclose(again["probability"], told["probability"], atol=1e-3)
