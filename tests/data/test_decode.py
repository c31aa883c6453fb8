"""From files to rows: what was prepared for other settings is not taken for what these settings ask for."""

import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from sightsound.config import AudioConfig, Config
from sightsound.data.decode import prepare_rows, reading_of, summary
from sightsound.data.table import Rejected, Table, read_table
from sightsound.network.build import build_network
from sightsound.training.feature_cache import _digest, cache_features
from tests.contract.batches import SIZES

PLAIN = Config(image=SIZES["image"], audio=AudioConfig(clip_seconds=0.1, sample_rate_hz=8000, mel_bins=16))


def few(table: Path) -> Table:
    frame = pd.read_csv(table)[::12]
    return read_table(frame.assign(**{m: [str(table.parent / name) for name in frame[m]] for m in ("image", "audio")}))


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("image", {"height": 20}),
        ("image", {"width": 20}),
        ("image", {"channels": 3}),
        ("image", {"white": 4095.0}),
        ("audio", {"sample_rate_hz": 16000}),
        ("audio", {"clip_seconds": 0.2}),
        ("audio", {"crop": "end"}),
        ("missing", {"image": "linear"}),
        ("missing", {"audio": "gaussian"}),
    ],
)
def test_every_option_that_changes_what_is_read_is_in_its_name(section: str, change: dict[str, object]) -> None:
    config = dataclasses.replace(PLAIN, **{section: dataclasses.replace(getattr(PLAIN, section), **change)})
    modality = section if section != "missing" else next(iter(change))
    assert reading_of(config, modality).name != reading_of(PLAIN, modality).name


def test_another_crop_is_read_anew_and_so_are_its_features(table: Path, own_cache: Path) -> None:
    waves, features = {}, {}
    for crop in ("start", "end", "start"):
        config = dataclasses.replace(PLAIN, audio=dataclasses.replace(PLAIN.audio, crop=crop))
        config = dataclasses.replace(config, augment=dataclasses.replace(config.augment, **NO_WAVES))
        rows, _ = prepare_rows(few(table), config, None, keep=True)
        store = rows.stores["audio"]
        wave = store.read(store.entry)
        kept, _ = cache_features(build_network(config, 3), config, few(table), {"train": rows})
        store = kept["train"].stores["audio"]
        feature = store.read(store.entry)
        assert torch.equal(waves.setdefault(crop, wave), wave) and torch.equal(
            features.setdefault(crop, feature), feature
        )
    assert not torch.equal(waves["start"], waves["end"]) and not torch.equal(features["start"], features["end"])


NO_WAVES = {"audio_speed": 0.0, "audio_gain_db": 0.0, "audio_shift_seconds": 0.0, "audio_noise": 0.0}


def test_other_weights_give_other_embeddings_to_keep() -> None:
    part = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    first = _digest(part)
    assert _digest(part) == first
    for change in (part[0].weight, part[1].running_mean):
        with torch.no_grad():
            change += 1
        assert _digest(part) != first
        with torch.no_grad():
            change -= 1
    assert _digest(nn.Sequential(nn.Linear(3, 2), nn.Identity())) != first


def test_no_row_is_missing_in_the_summary() -> None:
    reasons = ["a", *"bcdefgh" * 3, *"b" * 4]
    text = summary("t.csv", [Rejected(i, f"{i}.png", reason) for i, reason in enumerate(reasons, 1)])
    assert text.count("\n  row ") == 10
    assert sum(map(int, re.findall(r"and (\d+) more", text))) == len(reasons) - 10
    assert "more, for 2 other reason(s)" in text
