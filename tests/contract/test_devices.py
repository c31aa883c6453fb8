"""Whatever device a network is on, it answers the same, and what it answers is in the processor's memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import sightsound as ss
from sightsound.config import Config
from sightsound.data.table import read_table
from sightsound.fusion import STRATEGIES
from sightsound.inference.subsets import answers
from sightsound.missing import IMPUTERS
from sightsound.studies.robustness.study import RobustnessOptions, run_robustness
from sightsound.training.balances import BALANCES
from sightsound.training.held_out import fit_held_out, validation_rows
from sightsound.training.prepare import prepare
from tests.conftest import write_table
from tests.contract.batches import batch_of, network_with

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
CLOSE = {"rtol": 1e-3, "atol": 1e-3}
SHORT = {"epochs": 2, "batch_size": 16, "accelerator": "cuda", "precision": "32-true", "say": lambda line: None}


@pytest.fixture(autouse=True)
def in_full() -> None:
    """Products in the precision of the processor's."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


@pytest.mark.parametrize("fusion", sorted(STRATEGIES))
def test_a_network_answers_the_same(fusion: str) -> None:
    network = network_with(fusion).eval()
    batch = batch_of(12, missing=True)
    here = answers(network, network.featurize(batch))
    network.to("cuda")
    there = answers(network, network.featurize(batch.to(network.device)))
    for subset, answer in here.items():
        assert there[subset].probabilities.device.type == "cpu"
        torch.testing.assert_close(there[subset].probabilities, answer.probabilities, **CLOSE)


def test_what_is_fitted_on_validation_rows_is_the_same(table: Path, tmp_path: Path) -> None:
    for fusion in ("stacking", "concat"):
        (tmp_path / fusion).mkdir()
        prepared = prepare(read_table(table), Config(epochs=1, fusion=fusion), tmp_path / fusion)
        network, found = prepared.network, []
        for device in ("cpu", "cuda"):
            network.to(device)
            fit_held_out(network, validation_rows(prepared))
            found.append(network.calibration.temperature.cpu().clone())
        torch.testing.assert_close(*found, rtol=0.02, atol=0.02)


def test_a_classifier_answers_files_and_tables_the_same(trained: tuple[Path, Path], tmp_path: Path) -> None:
    table, run = trained
    here, there = ss.load(run / "bundle"), ss.load(run / "bundle").to("cuda")
    frame = pd.read_csv(table)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(table.parent / name))
    frame.loc[::3, "image"] = frame.loc[1::3, "audio"] = ""
    frame["group"], frame["time"] = "one", np.arange(len(frame))
    for policy in ("ignore", "linear", *IMPUTERS):
        one, other = (c.predict_table(frame, missing=policy) for c in (here, there))
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0.02, atol=0.01)
        first, second = (c.evaluate(frame, missing=policy)["subsets"] for c in (here, there))
        assert {m: n["accuracy"] for m, n in first.items()} == {m: n["accuracy"] for m, n in second.items()}
    for m, values in here.embed(table).items():
        np.testing.assert_allclose(there.embed(table)[m], values, rtol=0.01, atol=0.01)
    given = {"image": frame["image"].iloc[1], "audio": frame["audio"].iloc[2]}
    assert there.predict(**given).label == here.predict(**given).label
    assert there.to("cpu").predict(**given).label == here.predict(**given).label


def test_studies_run_where_the_classifier_is(trained: tuple[Path, Path], tmp_path: Path) -> None:
    table, run = trained
    found = []
    for device in ("cpu", "cuda"):
        classifier = ss.load(run / "bundle").to(device)
        study = run_robustness(classifier, table, RobustnessOptions(), tmp_path / device, False, lambda line: None)
        found.append([one.accuracy for one in study.measured])
    assert np.abs(np.subtract(*found)).max() < 0.1


@pytest.mark.parametrize("balance", sorted(BALANCES))
def test_every_balance_trains_there_and_the_classifier_comes_back(balance: str, table: Path, tmp_path: Path) -> None:
    classifier = ss.train(table, out=tmp_path / "run", balance=balance, **SHORT)
    assert all(value.device.type == "cpu" for value in classifier.network.state_dict().values())
    assert classifier.evaluate(table)["rows"] > 0


def test_a_comparison_runs_there(table: Path, tmp_path: Path) -> None:
    found = ss.compare(table, out=tmp_path / "run", strategies="concat,product,mmtm,search", seeds=1, **SHORT)
    assert found.classifier.network.device.type == "cpu"


def test_a_translator_translates_there(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", rows_per_class=30)
    config = ss.TranslatorConfig(
        meaning_steps=20, decoder_steps=20, flow_steps=20, batch_size=21, accelerator="cuda", precision="32-true"
    )
    translator = ss.train_translator(table, out=tmp_path / "run", config=config).to("cuda")
    image = table.parent / "low-1.png"
    [[made]] = translator.image_to_audio(image)
    assert isinstance(made.content, np.ndarray) and np.isfinite(made.content).all()
    [[found]] = translator.image_to_audio(image, mode="retrieve")
    assert found.file
