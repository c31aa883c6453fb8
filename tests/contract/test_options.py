"""Options of strategies and encoders: each has an effect, is checked, and reaches the bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.base import clone

import sightsound as ss
from sightsound.config import Config
from sightsound.config.parts import part_in_words, part_options
from sightsound.encoders import ENCODERS
from sightsound.encoders.base import STAGES, sizes_of
from sightsound.errors import ConfigError
from sightsound.fusion import STRATEGIES, Fusion
from sightsound.network.build import check_parts
from tests.contract.batches import CLASSES, batch_of, network_with

SIZES, CHANNELS = {"image": 24, "audio": 16}, {m: [8] * STAGES for m in ("image", "audio")}
SHAPES = {"image": (1, 28, 28), "audio": (80, 64)}
OTHER = {"heads": 2, "exchange_rate": 0.5, "joins": "0-1-sigmoid", "layers": 3}  # another value; all else: 8
EVERY = [(name, option) for name, kind in STRATEGIES.items() for option in part_options("fusion", name, kind, {})]
OF_ENCODERS = [
    (m, name, option)
    for m, kinds in ENCODERS.items()
    for name, kind in kinds.items()
    for option in part_options(m, name, kind, {})
]


@pytest.mark.parametrize(("name", "option"), EVERY)
def test_each_option_of_a_strategy_has_an_effect(name: str, option: str) -> None:
    value = OTHER.get(option, 8)
    plain, changed = (STRATEGIES[name](SIZES, CHANNELS, 3, **given) for given in ({}, {option: value}))
    if option == "exchange_rate":
        rates = {changed.rate_of(parameter) for parameter in dict(changed.named_parameters())}
        assert rates == {1.0, 0.5}
    elif option == "heads":
        found = [m.num_heads for m in changed.modules() if isinstance(m, torch.nn.MultiheadAttention)]
        assert found and set(found) == {2}
    else:
        assert shapes(plain) != shapes(changed)


@pytest.mark.parametrize(("modality", "name", "option"), OF_ENCODERS)
def test_each_option_of_an_encoder_has_an_effect(modality: str, name: str, option: str) -> None:
    kind = ENCODERS[modality][name]
    plain, changed = (kind(SHAPES[modality], **given) for given in ({}, {option: 8}))
    assert shapes(plain) != shapes(changed)
    x = torch.randn(2, *SHAPES[modality])
    for stage, channels in zip(changed.stages, changed.stage_channels, strict=True):
        x = stage(x)
        assert x.shape[1] == channels
    assert changed.pool(x).shape == (2, changed.embedding_size)


@pytest.mark.parametrize("name", sorted({name for name, _ in EVERY}))
def test_a_network_with_other_options_answers(name: str) -> None:
    given = {option: OTHER.get(option, 8) for strategy, option in EVERY if strategy == name}
    network = network_with(name, fusion_options=given)
    assert network.fusion.options == given
    expected = STRATEGIES[name](*sizes_of(dict(network.encoders.items())), CLASSES, **given)
    assert shapes(network.fusion) == shapes(expected) != shapes(network_with(name).fusion)
    assert network(batch_of(4, missing=True)).logits.shape == (4, CLASSES)


def shapes(module: torch.nn.Module) -> dict[str, Any]:
    return {key: x.shape for key, x in module.state_dict().items()}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"fusion_options": {"widht": 8}},
            "no option fusion.widht of concat. Did you mean 'width'",
        ),
        ({"fusion": "vote", "fusion_options": {"width": 8}}, "no option fusion.width of vote. vote has no options"),
        ({"fusion_options": {"width": 0}}, "fusion.width is 0; concat takes a whole number from 1 to 4,096"),
        ({"fusion_options": {"width": 10**9}}, "from 1 to 4,096"),
        ({"fusion_options": {"width": 8.5}}, "a whole number"),
        ({"fusion_options": {"width": "wide"}}, "fusion.width is 'wide'"),
        ({"fusion": "mmtm", "fusion_options": {"exchange_rate": 1.5}}, "a number from 0 to 1"),
        ({"fusion": "transformer", "fusion_options": {"heads": 3}}, "width is 64 and heads is 3"),
        ({"fusion": "bottleneck", "fusion_options": {"width": 6}}, "width is 6 and heads is 4"),
        ({"fusion": "search", "fusion_options": {"joins": "9-9-relu"}}, "'9-9-relu' is no cell"),
        (
            {"image": {"encoder_options": {"cells": 8}}},
            "no option image.encoder.cells of resnet. Known: embedding_size",
        ),
        ({"audio": {"encoder_options": {"width": True}}}, "audio.encoder.width is True"),
        (
            {"fusion": "search", "fusion_options": {"joins": "2-2-relu " * 10**6}},
            "there are 1,000,000 cells",
        ),
        ({"fusion": "search", "fusion_options": {"joins": ""}}, "there is no cell"),
        ({"fusion": "transformer", "fusion_options": {"layers": 4096}}, "a whole number from 1 to 64"),
        ({"modalities": ["image"], "fusion_options": {"width": 8}}, "with one modality nothing is fused"),
        ({"modalities": ["image"], "audio": {"encoder_options": {"width": 8}}}, "audio is not among the modalities"),
        ({"image": {"encoder": "hf:x", "encoder_options": {"width": 8}}}, "hf:x takes no options"),
    ],
)
def test_a_wrong_option_is_refused_before_any_file_is_read(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("image,audio,label\n" + "gone.png,gone.wav,a\ngone.png,gone.wav,b\n" * 5)
    with pytest.raises(ConfigError, match=words):
        ss.train(table, out=tmp_path / "run", say=lambda line: None, **options)


class Own(Fusion):
    """A third-party strategy with an option whose range it checks itself."""

    def __init__(self, embedding_sizes: Any, stage_channels: Any, classes: int, *, sharpness: float = -1.0) -> None:
        super().__init__(embedding_sizes, stage_channels, classes)
        if sharpness > 0:
            raise ConfigError("sharpness is not above 0")


def test_a_third_party_strategy_declares_its_options_alike() -> None:
    own = f"{Own.__module__}.Own"
    network = network_with(own, fusion_options={"sharpness": -2.5})
    assert network.fusion.options == {"sharpness": -2.5}
    with pytest.raises(ConfigError, match="fusion.sharp of .*Own. Did you mean 'sharpness'"):
        check_parts(Config(fusion=own, fusion_options={"sharp": 1.0}))


def test_numbers_of_numpy_are_taken(table: Path, tmp_path: Path) -> None:
    options = {"epochs": np.int64(1), "fusion_options": {"width": np.int32(8)}, "image": {"height": np.int64(16)}}
    classifier = ss.train(table, out=tmp_path / "run", say=lambda line: None, **options)
    assert ss.load(tmp_path / "run" / "bundle").config.image == classifier.config.image
    assert classifier.config.fusion_options == {"width": 8} and classifier.config.epochs == 1


def test_the_estimator_sets_them_one_by_one() -> None:
    estimator = ss.SightsoundEstimator("transformer").set_params(fusion_options__heads=2)
    assert estimator.set_params(fusion_options__layers=1).fusion_options == {"heads": 2, "layers": 1}
    assert clone(estimator).get_params()["fusion_options__layers"] == 1


def test_the_file_of_a_run_is_not_that_of_a_comparison(table: Path, tmp_path: Path, typed: Any) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"fusion": "concat", "schedule": "joint", "epochs": 3}))
    for given in (["--config", file], [f"--config={file}"]):
        done = typed("compare", table, *given)
        assert done.code == 2 and "config.yaml holds the options of one training (fusion, schedule)" in done.err


def test_a_comparison_takes_none(table: Path) -> None:
    with pytest.raises(ConfigError, match="a comparison trains each with its defaults"):
        ss.compare(table, fusion_options={"width": 8}, say=lambda line: None)


def test_words() -> None:
    assert part_in_words("concat", {"width": 64}) == "concat (width 64)"
    assert part_in_words("search", {"joins": None}) == part_in_words("search", {}) == "search"


def test_from_the_command_line_to_the_bundle(table: Path, tmp_path: Path, typed: Any) -> None:
    run = tmp_path / "run"
    sizes = ("--image.height", 16, "--image.width", 16, "--audio.clip-seconds", 0.3)
    parts = ("--fusion", "transformer", "--fusion.layers", 1, "--fusion.heads=2", "--image.encoder.width", 4)
    done = typed("train", table, "--out", run, "--epochs", 1, *sizes, *parts)
    assert done.code == 0, done.err
    assert "fusion transformer (layers 1, heads 2)" in done.err + done.out
    classifier = ss.load(run / "bundle")
    assert classifier.config.fusion_options == {"width": 64, "heads": 2, "layers": 1}
    assert classifier.config.image.encoder_options == {"width": 4, "embedding_size": 32}
    assert len(classifier.network.fusion.layers) == 1
    assert classifier.network.encoders["image"].stage_channels == [4, 8, 16]
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert saved["fusion_options"] == {"layers": 1, "heads": 2} and saved["image"]["encoder_options"] == {"width": 4}
    assert "transformer (width 64, heads 2, layers 1)" in (run / "bundle" / "README.md").read_text()
    shown = typed("inspect", run / "bundle")
    assert shown.code == 0, shown.err
    assert "heads 2" in shown.out and "encoder resnet (width 4, embedding_size 32)" in shown.out
    again = typed("train", table, "--config", run / "config.yaml", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    same, other = (ss.load(folder / "bundle").network.state_dict() for folder in (run, tmp_path / "again"))
    assert all(torch.equal(same[name], other[name]) for name in same)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fusion.widht", 8), "Did you mean 'width'"),
        (("--fusion.width", "wide"), "fusion.width is 'wide'; concat takes a whole number"),
        (("--image.encoder.width",), "--image.encoder.NAME needs a value"),
        (("--fusion.a.b", 3), "--fusion takes a name. Its options are given as --fusion.NAME VALUE"),
        (("--fusion-options", "[1]"), "it takes options by name"),
        (("--sensor.encoder.width", 8), "no option --sensor.encoder"),
    ],
)
def test_a_wrong_one_is_said_in_words(
    arguments: tuple[Any, ...], words: str, table: Path, tmp_path: Path, typed: Any
) -> None:
    done = typed("train", table, "--out", tmp_path / "run", *arguments)
    assert done.code in (1, 2) and words in done.err and "Traceback" not in done.err
    assert not (tmp_path / "run" / "bundle").exists()


def test_a_given_wiring_is_not_searched(table: Path, tmp_path: Path) -> None:
    joins = "2-0-sigmoid 1-1-relu"
    given = {"image": {"height": 16, "width": 16}, "audio": {"clip_seconds": 0.3}, "epochs": 1}
    options = {"fusion": "search", "fusion_options": {"joins": joins}, "schedule": "staged"}
    classifier = ss.train(table, out=tmp_path / "run", say=lambda line: None, **given, **options)
    assert not (tmp_path / "run" / "joins.txt").exists()
    assert classifier.config.fusion_options == {"joins": joins, "width": 64}
    assert ss.load(tmp_path / "run" / "bundle").network.fusion.joins == joins
