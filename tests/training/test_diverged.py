"""A training whose loss is no number any more ends with a message, and leaves no bundle."""

from pathlib import Path

import pytest
import torch

import sightsound as ss
from sightsound.errors import TrainingError
from sightsound.fusion.base import Combined, Fusion
from sightsound.training.objective import check_losses

QUICK = {"epochs": 3, "batch_size": 16, "say": lambda line: None}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("place", [0, 3])
def test_a_loss_that_is_no_number_is_said_with_epoch_and_step(bad: float, place: int) -> None:
    losses = [torch.tensor(2.0)] * 4
    check_losses(losses, 0, 0.1)
    losses[place] = torch.tensor(bad)
    with pytest.raises(TrainingError, match=rf"epoch 7, step {place + 1} .*lower --learning-rate \(it is 0.1"):
        check_losses(losses, 6, 0.1)


@pytest.mark.parametrize("rate", [1e9, 1e25])
def test_train(table: Path, tmp_path: Path, rate: float) -> None:
    with pytest.raises(TrainingError, match="diverged.*lower --learning-rate"):
        ss.train(table, out=tmp_path / "run", learning_rate=rate, **QUICK)
    assert not (tmp_path / "run" / "bundle").exists()


def test_translate_fit(table: Path, tmp_path: Path) -> None:
    config = ss.TranslatorConfig(learning_rate=1e25, meaning_steps=5, decoder_steps=5, flow_steps=5, batch_size=21)
    with pytest.raises(TrainingError, match="diverged.*lower --learning-rate"):
        ss.train_translator(table, out=tmp_path / "run", config=config, say=QUICK["say"])
    assert not (tmp_path / "run" / "bundle").exists()


class Nothing(Fusion):
    """Answers with what is no number."""

    def __init__(self, embedding_sizes, stage_channels, classes) -> None:
        super().__init__(embedding_sizes, stage_channels, classes)
        self.scale = torch.nn.Parameter(torch.full((), torch.nan))

    def combine(self, embeddings, scores, present, shared=None) -> Combined:
        combined = super().combine(embeddings, scores, present, shared)
        return combined._replace(logits=combined.logits * self.scale)


def test_a_comparison_goes_on_without_a_strategy_that_fails(table: Path, tmp_path: Path) -> None:
    own = f"{__name__}.Nothing"
    assert issubclass(Nothing, Fusion)
    said: list[str] = []
    options = ss.CompareOptions(strategies=f"{own},vote", seeds=1)
    done = ss.compare(table, options=options, out=tmp_path / "run", **{**QUICK, "say": said.append})
    assert set(done.study.compared) == {"vote"} and "diverged" in done.study.failed[own]
    assert any(f"{own}: failed." in line for line in said)
    assert own in (tmp_path / "run" / "compare.html").read_text()
    assert not done.study.left_out
