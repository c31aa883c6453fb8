"""The candidates of a comparison in one seed: complete on disk, or trained when asked for."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

from safetensors.torch import load_file
from torch import Tensor, nn

from sightsound.config import NO_CHANGES, Config
from sightsound.data.dataset import Rows
from sightsound.hardware import device_of
from sightsound.inference.subsets import Answered, answer_rows
from sightsound.network.build import build_network
from sightsound.network.classifier import ClassifierNetwork
from sightsound.run_folder import write_whole
from sightsound.studies.comparison.candidates import SCHEDULES, Trial
from sightsound.studies.comparison.embeddings import embed
from sightsound.studies.comparison.said import read_answers, write_answers
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import JOINS, fit
from sightsound.training.held_out import CrossFitted, fit_held_out, validation_rows
from sightsound.training.prepare import Prepared
from sightsound.training.refit import heads_again, refit
from sightsound.training.schedule import FINETUNE_RATE, Phase, check_balance, phases

UNIMODAL, TOGETHER = "unimodal", "together"
VIEWS = 3  # at least so many augmented views of each training row, whose embeddings the strategies are trained on
EMBEDDED_EPOCHS, EMBEDDED_BATCH = 6, 512
STEPS_AN_EPOCH = 50  # at least so many, on embeddings: more views and smaller batches where rows are few
FEWEST_STEPS = EMBEDDED_EPOCHS * STEPS_AN_EPOCH  # of any strategy on trained encoders
EXCHANGING_SHARE = 0.2  # of the epochs, for strategies whose encoders have to run
FINETUNED_SHARE = 0.1  # of the epochs, in the first round


class Tried(NamedTuple):
    """The result of a trial: validation predictions, and the seconds of its own training."""

    val: Answered
    seconds: float


class Seed:
    """All trials of one seed.

    Args:
        prepared: the table, shared by all seeds.
        seed: the seed of weights and order.
        folder: the folder of all trainings.
    """

    def __init__(self, prepared: Prepared, seed: int, folder: Path) -> None:
        self.prepared = prepared
        self.seed = seed
        self.folder = folder
        self.config = dataclasses.replace(prepared.config, seed=seed, modality_dropout=0.0)
        self.modalities = self.config.modalities
        self.blind = False  # whether a modality alone is at chance: its head's loss would only harm joint training

    def fresh(self, strategy: str) -> ClassifierNetwork:
        """Builds a network with fresh weights, except those from the data or a checkpoint."""
        network = build_network(_with_fusion(self.config, strategy), len(self.prepared.labels))
        known = self.prepared.network.state_dict()
        given = ["standardize.", "embedding_scale."]
        options = {m: getattr(self.config, m) for m in self.modalities}
        given += [f"encoders.{m}." for m, of in options.items() if of.pretrained or of.frozen]
        kept = {name: value for name, value in known.items() if name.startswith(tuple(given))}
        network.load_state_dict(kept, strict=False)
        network.row_loss = self.prepared.network.row_loss
        return network

    @cached_property
    def unimodal(self) -> ClassifierNetwork:
        """Trains encoders and heads as `train` does, each on its modality alone: a vote has nothing to train."""
        network = self.fresh("vote")
        begin = time.perf_counter()
        cached = on_cached(network, self.prepared.cached)
        fit(cached, self._apart.config, self.prepared.rows, self.folder / UNIMODAL)
        self._seconds(UNIMODAL, time.perf_counter() - begin)
        return network

    @cached_property
    def refitted(self) -> dict[str, Tensor]:
        """Returns the heads of frozen encoders as `train` leaves them: trained on validation rows too."""
        network = copy.deepcopy(self.unimodal)
        refit(on_cached(network, self.prepared.cached), self._apart, self.folder / UNIMODAL)
        return {name: value for name, value in network.state_dict().items() if name.startswith("heads.")}

    def refitted_heads(self, trial: Trial) -> list[str]:
        """Lists the modalities whose heads a trial takes from `refitted`."""
        return heads_again(self._apart) if trial.way == "frozen" else []

    @property
    def _apart(self) -> Prepared:
        config = dataclasses.replace(_with_fusion(self.config, "vote"), schedule="joint", balance="detached")
        return dataclasses.replace(self.prepared, config=config)

    @cached_property
    def together(self) -> ClassifierNetwork:
        """Trains both encoders and heads jointly with a temporary fusion that is the same for all strategies."""
        network = self.fresh("vote")
        begin = time.perf_counter()
        cached = on_cached(network, self.prepared.cached)
        fit(cached, self._jointly, self.prepared.rows, self.folder / TOGETHER, schedule=self._parts(True))
        self._seconds(TOGETHER, time.perf_counter() - begin)
        return network

    @property
    def _jointly(self) -> Config:
        return dataclasses.replace(
            self.config, schedule="fusion+joint", balance="fused-only" if self.blind else "auxiliary"
        )

    def config_of(self, trial: Trial) -> Config:
        """Returns the configuration that trains such a network without a comparison."""
        config = self._jointly if trial.way == "joint" else self.config
        config = dataclasses.replace(_with_fusion(config, trial.strategy), schedule=SCHEDULES[trial.way])
        return dataclasses.replace(config, balance=cast(Any, trial.balance)) if trial.balance else config

    def _parts(self, temporary_fusion: bool) -> list[Phase]:
        return [part for part in phases(self._jointly) if part.temporary_fusion == temporary_fusion]

    @cached_property
    def embeddings(self) -> dict[str, Rows]:
        """Computes embeddings of augmented training rows and of unchanged validation rows, not of test rows."""
        rows = self.prepared.rows
        views = max(VIEWS, math.ceil(STEPS_AN_EPOCH * self.config.batch_size / len(rows["train"])))
        with self._placed(on_cached(self.unimodal, self.prepared.cached)) as network:
            train = embed(network, rows["train"], self.config, views, self.seed)
            return {"train": train, "val": embed(network, rows["val"])}

    @cached_property
    def embedded_test(self) -> Rows:
        """Computes embeddings of the test rows."""
        with self._placed(on_cached(self.unimodal, self.prepared.cached)) as network:
            return embed(network, self.prepared.rows["test"])

    def embedded_by(self, trial: Trial) -> dict[str, Rows]:
        """Computes embeddings of training and validation rows by the encoders of a finished joint training."""
        network = self.network(trial)
        cached, rows = self._on_cached(network, trial)
        with self._placed(cached):
            return {split: embed(cached, rows[split]) for split in ("train", "val")}

    def result_of(self, trial: Trial) -> Tried:
        """Returns the result of a trial; trains it first if need be."""
        if not self.is_finished(trial):
            if not trial.balance:  # training shared by all is not part of its time
                _ = self.together if trial.way == "joint" else self.embeddings
            begin = time.perf_counter()
            network = self._trained(trial)
            self._seconds(trial.folder, time.perf_counter() - begin)
            crossed = self._fit_held_out(network, trial)
            write_answers(self._result(trial), crossed.put_in(self.answers_of(network, trial, "val")))
        return Tried(read_answers(self._result(trial)), self.seconds(trial.folder))

    def is_finished(self, trial: Trial) -> bool:
        """Returns whether its result is on disk."""
        return self._result(trial).exists()

    def test(self, trial: Trial) -> Answered:
        """Predicts the test rows by a finished trial."""
        return self.answers_of(self.calibrated_network(trial), trial, "test")

    def network(self, trial: Trial) -> ClassifierNetwork:
        """Restores the whole network of a finished trial, from decoded files on."""
        network = self._begun(trial)
        wiring = self.folder / trial.folder / JOINS
        if wiring.exists() and network.fusion.searched:
            network.fusion.rewire(wiring.read_text())
        parts = phases(self.config_of(trial)) if trial.balance else [self._part(trial)]
        names = [f"{part.name}.safetensors" for part in parts]
        done = [file for name in names if (file := self.folder / trial.folder / "checkpoints" / name).exists()]
        if done:  # none for a strategy without parameters
            network.load_state_dict(load_file(done[-1]), strict=False)
        return network.eval()

    def calibrated_network(self, trial: Trial) -> ClassifierNetwork:
        """Restores the network of a finished trial and calibrates it."""
        network = self.network(trial)
        self._fit_held_out(network, trial)
        return network

    def refitted_network(self, trial: Trial) -> ClassifierNetwork:
        """Returns the calibrated network with the heads that `train` would leave; no candidate is tested with these.

        Strategies that train on embeddings have learned from training rows alone: the heads would be ahead of them.
        """
        network = self.calibrated_network(trial)
        if self.refitted_heads(trial):
            network.load_state_dict(self.refitted, strict=False)
        return network

    def _fit_held_out(self, network: ClassifierNetwork, trial: Trial) -> CrossFitted:
        cached, rows = self._on_cached(network, trial)
        with self._placed(cached):
            return fit_held_out(cached, validation_rows(self.prepared, rows["val"]), self.config.guard == "on")

    def seconds(self, name: str) -> float:
        """Returns the training time of a folder."""
        return float(json.loads((self.folder / name / "seconds.json").read_text())["seconds"])

    def _trained(self, trial: Trial) -> ClassifierNetwork:
        network, config, part = self._begun(trial), self.config, self._part(trial)
        run = self.folder / trial.folder
        if trial.balance:
            check_balance(self.config_of(trial))
        if trial.balance or trial.way == "joint":
            parts = None if trial.balance else self._parts(False)
            cached = on_cached(network, self.prepared.cached)
            fit(cached, self.config_of(trial), self.prepared.rows, run, schedule=parts)
            return network
        if self._on_embeddings(network, trial):
            batch_size = min(max(len(self.embeddings["train"]) // STEPS_AN_EPOCH, config.batch_size), EMBEDDED_BATCH)
            config = dataclasses.replace(config, epochs=EMBEDDED_EPOCHS, batch_size=batch_size, augment=NO_CHANGES)
            config = dataclasses.replace(config, precision="32-true", accelerator="cpu")
        else:
            config = dataclasses.replace(config, epochs=self._epochs(trial))
            if trial.way == "finetuned":  # a wiring that was searched is kept
                config = dataclasses.replace(config, fusion_options=dict(network.fusion.options))
        cached, rows = self._on_cached(network, trial)
        fit(cached, config, rows, run, schedule=[part])
        return network

    def _epochs(self, trial: Trial) -> int:
        """Returns the epochs on decoded files: a share of the configured ones, doubled in each round of finetuning."""
        whole: int = self.config.epochs or 1
        if trial.way == "finetuned":
            return max(round(FINETUNED_SHARE * whole), 1) << (trial.round - 1)
        enough = math.ceil(FEWEST_STEPS * self.config.batch_size / len(self.prepared.rows["train"]))
        return max(round(EXCHANGING_SHARE * whole), min(enough, whole), 1)

    def _begun(self, trial: Trial) -> ClassifierNetwork:
        """Builds the network with which the trial's training begins."""
        network = self.fresh(trial.strategy)
        if trial.way == "finetuned":
            return self.network(trial.before())
        if trial.balance:
            return network
        known = (self.together if trial.way == "joint" else self.unimodal).state_dict()
        network.load_state_dict({n: v for n, v in known.items() if not n.startswith("fusion.")}, strict=False)
        return network

    def _part(self, trial: Trial) -> Phase:
        if trial.way == "frozen":
            return Phase("fusion", self.modalities, ("fusion.",))
        return Phase(trial.way, self.modalities, ("",), FINETUNE_RATE if trial.way == "finetuned" else 1.0)

    def _on_embeddings(self, network: ClassifierNetwork, trial: Trial) -> bool:
        return trial.way == "frozen" and not network.exchanges

    def _on_cached(self, network: ClassifierNetwork, trial: Trial) -> tuple[ClassifierNetwork, dict[str, Rows]]:
        """Returns the network of cached inputs for the trial, and the rows that hold them."""
        if self._on_embeddings(network, trial):
            cached = on_cached(network, dict.fromkeys(self.modalities, "embedding"))
            scaled = {m: nn.Identity() for m in self.modalities}  # `embed` has scaled them already
            return cached.with_parts(embedding_scale=scaled), self.embeddings
        return on_cached(network, self.prepared.cached), self.prepared.rows

    def answers_of(self, network: ClassifierNetwork, trial: Trial, split: str) -> Answered:
        """Predicts the rows of a split by a trial's network."""
        numbers = self.prepared.table.part(split).frame["row"].to_numpy()
        cached, rows = self._on_cached(network, trial)
        embedded_test = split == "test" and self._on_embeddings(network, trial)
        with self._placed(cached.eval()):
            return answer_rows(cached, self.embedded_test if embedded_test else rows[split], numbers)

    @contextmanager
    def _placed(self, network: ClassifierNetwork) -> Iterator[ClassifierNetwork]:
        """A context in which the network is on the device of trainings."""
        try:
            yield network.to(device_of(self.config.accelerator))
        finally:
            network.cpu()

    def _result(self, trial: Trial) -> Path:
        return self.folder / trial.folder / "val.npz"

    def _seconds(self, name: str, seconds: float) -> None:
        """Writes the seconds once, when a training has ended; of a resumed one, the time since it was resumed."""
        path = self.folder / name / "seconds.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, json.dumps({"seconds": seconds}))


def _with_fusion(config: Config, strategy: str) -> Config:
    """Returns the configuration with another strategy, all options of which are the defaults."""
    return dataclasses.replace(config, fusion=strategy, fusion_options={})
