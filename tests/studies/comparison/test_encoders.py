"""A comparison is made on the encoders that `train` would take, which are trained as `train` trains them."""

import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import sightsound as ss
from sightsound.encoders.base import STAGES, Encoder
from sightsound.fusion import STRATEGIES
from sightsound.studies.comparison.candidates import CompareOptions
from sightsound.studies.comparison.run import _with_encoders
from sightsound.training.encoder_trials import Candidate
from tests.conftest import write_table

QUICK = {"epochs": 6, "batch_size": 16, "say": lambda line: None}
FROZEN = {"image": {"encoder": "lite0", "frozen": True, "height": 32}, "audio": {"encoder": "speech", "frozen": True}}
FROZEN["image"]["width"] = 32
SMALL = {"image": {"encoder": "resnet"}, "audio": {"encoder": "convnet"}}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("encoders") / "data", rows_per_class=15)


@pytest.mark.parametrize("encoders", [FROZEN, SMALL], ids=["frozen", "small"])
def test_the_recommended_bundle_is_that_of_train(encoders: dict, table: Path, tmp_path: Path) -> None:
    """With a strategy that has nothing to train, to the last bit."""
    strategy = "product" if encoders is FROZEN else "vote"
    options = CompareOptions(strategies=strategy, seeds=1)
    compared = ss.compare(table, out=tmp_path / "compared", options=options, **encoders, **QUICK)
    trained = ss.train(table, out=tmp_path / "trained", fusion=strategy, **encoders, **QUICK)
    weights = compared.classifier.network.state_dict()
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, weights[name]) or name == "calibration.energies", name
    assert compared.classifier.metrics["subsets"] == trained.metrics["subsets"]


class Drawn(Encoder):
    """Numbers drawn once, which nobody trains."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Identity() for _ in range(STAGES))
        self.stage_channels, self.embedding_size = [shape[0]] * STAGES, 16
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * shape[0], 16))


def test_a_frozen_encoder_of_one_s_own_is_the_same_in_every_seed(table: Path, tmp_path: Path) -> None:
    encoders = {**SMALL, "image": {"encoder": f"{__name__}.Drawn", "frozen": True}}
    options = CompareOptions(strategies="vote", seeds=1)
    compared = ss.compare(table, out=tmp_path / "compared", options=options, seed=5, **encoders, **QUICK)
    bundle = ss.load(tmp_path / "compared" / "bundle", trust=True)
    splits = pd.read_csv(tmp_path / "compared" / "splits.csv")["split"]
    test = pd.read_csv(table).assign(split=splits.to_numpy())
    test[["image", "audio"]] = test[["image", "audio"]].map(lambda name: str(table.parent / name))
    found = bundle.evaluate(test[test["split"] == "test"])
    assert found["subsets"]["image"]["accuracy"] == compared.classifier.metrics["subsets"]["image"]["accuracy"]
    [row] = [row for row in compared.rows if row.name == "image only"]
    assert found["subsets"]["image"]["accuracy"] == pytest.approx(row.accuracy, abs=0.2)


def test_a_strategy_that_exchanges_takes_small_networks_and_says_so(table: Path, tmp_path: Path) -> None:
    lines = list[str]()
    given = ss.Config(fusion="concat", balance="auxiliary")
    _with_encoders(None, given, CompareOptions(strategies="mmtm,product"), tmp_path, lines.append)
    [line] = lines
    assert line.startswith("Small networks are taken as encoders: strategies that exchange between them (mmtm) need")


def test_what_was_begun_on_small_networks_goes_on_with_them_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("{}")
    lines, given = list[str](), ss.Config(fusion="concat", balance="auxiliary")
    config, _ = _with_encoders(None, given, CompareOptions(strategies="product"), tmp_path, lines.append)
    assert lines == ["Small networks are taken as encoders: this comparison was begun on them."]
    assert (config.image.encoder, config.audio.encoder) == ("resnet", "convnet")


def test_no_candidate_is_tested_with_heads_that_learned_from_validation_rows(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would have learned from fewer rows."""

    def spoil(network: torch.nn.Module, *given: object) -> None:
        for name, value in network.named_parameters():
            if name.startswith("heads."):
                value.data.zero_()

    monkeypatch.setattr("sightsound.studies.comparison.trials.refit", spoil)
    options, lines = CompareOptions(strategies="product", seeds=1), list[str]()
    said = {**QUICK, "say": lines.append}
    compared = ss.compare(table, out=tmp_path / "compared", options=options, **FROZEN, **said)
    assert all(row.accuracy > 0.6 for row in compared.rows)  # in three classes
    assert compared.classifier.metrics["subsets"]["image+audio"]["accuracy"] < 0.5
    assert any(line.startswith("The bundle differs from the table here. Refit") for line in lines)


def test_encoders_are_chosen_once_for_all_strategies_and_shown(
    table: Path, tmp_path: Path, typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sightsound.training import encoder_choice

    monkeypatch.setattr(
        encoder_choice,
        "candidates",
        lambda m, options: [Candidate(m, {"image": "lite0", "audio": "speech"}[m], True, 1.0, 1.0, 1.0, 0.0, 9, 9)],
    )
    asked = ["compare", table, "--seeds", 1, "--epochs", 2, "--batch-size", 16, "--out", tmp_path / "run"]
    asked += ["--image.height", 32, "--image.width", 32]
    done = typed(*asked, "--strategies", "product,concat")
    assert done.code == 0, done.err
    assert "Encoder of images: lite0, frozen" in done.out and "Left out" not in done.out
    assert set(pd.read_csv(tmp_path / "run" / "encoders.csv")["encoder"]) == {"lite0", "speech"}
    page = (tmp_path / "run" / "compare.html").read_text()
    assert "Encoders that were tried" in page and "lite0 of image, 9 rows: On so few rows the choice is unc" in page
    notes = [line.removeprefix("Note: ") for line in done.out.splitlines() if line.startswith("Note: ")]
    assert notes and all(note in page for note in notes)
    assert ss.load(tmp_path / "run" / "bundle").config.image.encoder == "lite0"
    more = typed(*asked, "--strategies", "product,mmtm", "--resume")
    assert more.code == 1 and "mmtm: cannot be compared on frozen encoders" in more.err
    balances = typed(*asked, "--balance", "auxiliary,mla", "--resume")
    assert balances.code == 1 and "auxiliary, mla: cannot be compared on frozen encoders" in balances.err


def test_all_strategies_on_frozen_encoders_are_those_that_leave_them_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sightsound.studies.comparison import run as module

    def chosen(table: object, config: ss.Config, run: Path, say: object) -> ss.Config:
        assert config.fusion == "concat"  # strategies that exchange would leave no choice
        encoders = FROZEN if frozen else SMALL
        return dataclasses.replace(
            config, image=ss.ImageConfig(**encoders["image"]), audio=ss.AudioConfig(**encoders["audio"])
        )

    monkeypatch.setattr(module, "choose_encoders", chosen)
    said: list[str] = []
    given = ss.Config(fusion="concat", balance="auxiliary")
    for frozen in (True, False):
        config, options = _with_encoders(None, given, CompareOptions(), tmp_path, said.append)
        names = options.strategies.split(",")
        if frozen:
            [line] = said
            left = re.match("Left out: (.*)\\. They exchange", line).group(1).split(", ")
            assert sorted([*names, *left]) == sorted(STRATEGIES) and "mmtm" in left and "product" in names
            assert all(STRATEGIES[name].exchanges() for name in left)
            assert config.fusion == "concat"  # embeddings can be cached
        else:
            assert names == ["all"] and len(said) == 1 and config.fusion == "mmtm"
    config, options = _with_encoders(None, given, CompareOptions(strategies="mmtm,product"), tmp_path, said.append)
    assert (config.image.encoder, config.fusion, options.strategies) == ("resnet", "mmtm", "mmtm,product")
