"""Damage by hand: what is taken away, and what is exchanged for what."""

import numpy as np
import torch

from sightsound.data.clusters import Clusters
from sightsound.data.dataset import Rows
from sightsound.data.prepared.store import Store
from sightsound.studies.robustness.conditions import Decoded, mismatch, without_modality

TARGET = np.array([0, 0, 1, 2, 2, 2])


def decoded() -> Decoded:
    """Six rows, of which each file holds the class."""
    values = torch.tensor([[-1.0], *[[float(c)] for c in TARGET]])
    stores = {m: Store(values, torch.arange(6) + 1) for m in ("image", "audio")}
    return Decoded(
        Rows(stores, torch.from_numpy(TARGET), torch.arange(6)), TARGET, np.arange(6) + 1, Clusters.of_rows(6)
    )


def test_a_contradiction_is_a_file_of_another_class() -> None:
    given = decoded()
    for seed in range(5):
        rows = mismatch(given, "audio", np.random.default_rng(seed))
        batch = rows[list(range(6))]
        assert (batch.inputs["audio"][:, 0].numpy() != TARGET).all() and batch.present["audio"].all()
        assert (batch.inputs["image"][:, 0].numpy() == TARGET).all()
    assert given.rows.stores["audio"].entry.tolist() == [1, 2, 3, 4, 5, 6]


def test_what_is_lost_is_absent_and_the_rest_stays() -> None:
    batch = without_modality(decoded(), "image")[list(range(6))]
    assert not batch.present["image"].any() and batch.present["audio"].all()
    assert (batch.inputs["audio"][:, 0].numpy() == TARGET).all()
