"""What chooses in a comparison: validation rows, whatever the test rows would say."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sightsound.config import Config
from sightsound.data.clusters import Clusters
from sightsound.inference.subsets import Answered
from sightsound.studies.comparison.compare import Compared, ComparisonStudy, Field, _compared, family
from sightsound.studies.comparison.cost import Cost
from sightsound.studies.comparison.recommend import Recommendation, recommend
from sightsound.studies.comparison.run import _winner
from sightsound.studies.comparison.summary import rows
from sightsound.studies.comparison.trials import Trial
from tests.contract.batches import SIZES, network_with
from tests.training.test_calibrate import rows_of

LABELS = ["a", "b", "c", "d"]
TRUTH = {"val": np.arange(8) % 4, "test": np.arange(12) % 4}
CLUSTERS = {split: Clusters.of_rows(len(truth)) for split, truth in TRUTH.items()}
TRIAL = Trial("concat", "frozen")


def answers(split: str, right: float) -> Answered:
    """Of which a share is right."""
    truth = TRUTH[split]
    named = np.where(np.arange(len(truth)) < right * len(truth), truth, (truth + 1) % 4)
    there = np.ones(len(truth), bool)
    said = {s: np.eye(4)[named] for s in (("image", "audio"), ("image",), ("audio",))}
    return Answered(np.arange(len(truth)) + 1, said, {"image": there, "audio": there})


class Seed:
    """A seed whose trials are finished; on validation rows and on test rows a share of each strategy's is right."""

    modalities = ("image", "audio")

    def __init__(self, shares: dict[str, tuple[float, float]]) -> None:
        self.shares = shares
        self.prepared = SimpleNamespace(labels=LABELS, table=SimpleNamespace(part=part))
        self.network = network_with("concat")

    def result_of(self, trial: Trial) -> SimpleNamespace:
        return SimpleNamespace(val=answers("val", self.shares[trial.strategy][0]))

    def test(self, trial: Trial) -> Answered:
        return answers("test", self.shares[trial.strategy][1])

    def refitted_network(self, trial: Trial):
        return self.network

    def refitted_heads(self, trial: Trial) -> list[str]:
        return []

    def answers_of(self, network: object, trial: Trial, split: str) -> Answered:
        return self.test(trial)

    def config_of(self, trial: Trial) -> Config:
        return Config(**SIZES)

    def seconds(self, name: str) -> float:
        return 1.0


def part(split: str) -> SimpleNamespace:
    numbers = np.arange(len(TRUTH[split])) + 1
    return SimpleNamespace(frame=pd.DataFrame({"row": numbers, "label": np.array(LABELS)[TRUTH[split]]}))


def test_strategies_are_ranked_by_validation_rows() -> None:
    seed = Seed({"concat": (1.0, 0.0), "vote": (0.0, 1.0)})
    field = Field([seed], 1, float("inf"), lambda line: None)
    field.run([Trial("concat", "frozen"), Trial("vote", "frozen")])
    assert field.scores == {Trial("concat", "frozen"): pytest.approx(1), Trial("vote", "frozen"): pytest.approx(0)}
    compared = _compared(field, Trial("vote", "frozen"))
    assert [len(one.row) for one in compared.val] == [8] and [len(one.row) for one in compared.test] == [12]


def test_the_winner_is_of_the_seed_that_is_best_on_validation_rows(tmp_path: Path) -> None:
    seeds = [Seed({"concat": shares}) for shares in ((0.5, 0.75), (1.0, 0.25), (0.0, 1.0))]
    one = SimpleNamespace(
        trial=TRIAL, val=[seed.result_of(TRIAL).val for seed in seeds], test=[seed.test(TRIAL) for seed in seeds]
    )
    study = SimpleNamespace(
        compared={"concat": one},
        seeds=seeds,
        target=TRUTH,
        clusters={split: Clusters.of_rows(len(truth)) for split, truth in TRUTH.items()},
    )
    prepared = SimpleNamespace(config=Config(**SIZES), given="", labels=LABELS, cached={}, rows={"train": rows_of(3)})
    winner = _winner(prepared, study, "concat", print)
    assert winner.network is seeds[1].network
    assert winner.metrics["split"] == "test" and winner.metrics["subsets"]["image+audio"]["accuracy"] == 0.25


def test_test_rows_recommend_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.studies.comparison.summary.F1_RESAMPLES", 5)
    monkeypatch.setattr("sightsound.studies.comparison.significance.RESAMPLES", 200, raising=False)
    truth = np.arange(120) % 4

    def said(both: float, image: float, audio: float) -> Answered:
        shares = {("image", "audio"): both, ("image",): image, ("audio",): audio}
        right = {s: np.arange(120) < share * 120 for s, share in shares.items()}
        probabilities = {s: np.eye(4)[np.where(right[s], truth, (truth + 1) % 4)] for s in shares}
        return Answered(np.arange(120), probabilities, dict.fromkeys(("image", "audio"), np.ones(120, bool)))

    def found(spoilt: bool) -> Recommendation:
        compared = {}
        for name, val, other in (
            ("concat", said(0.9, 0.6, 0.5), said(0.1, 0.1, 0.1)),
            ("mmtm", said(0.9, 0.5, 0.4), said(0.2, 0.2, 0.9)),
            ("vote", said(0.5, 0.6, 0.5), said(1.0, 0.1, 0.9)),
        ):
            trial = Trial(name, "frozen")
            compared[name] = Compared(name, family(name), trial, 0.5, [val], [other if spoilt else val], 1.0)
        costs = {name: Cost(9, 9, 1.0, 10.0 + i, 1.0) for i, name in enumerate((*compared, "image", "audio"))}
        target = {"val": truth, "test": truth}
        clusters = dict.fromkeys(target, Clusters.of_rows(120))
        study = ComparisonStudy([], compared, compared["vote"], costs, target, clusters, 1.0, None, "", [])
        numbers = {row.name: row for row in rows(study, 4)}
        if spoilt:  # all of 120 rows are right: of others, that is not certain (Clopper & Pearson)
            assert numbers["vote"].accuracy_low == pytest.approx(0.025 ** (1 / 120)) and numbers["vote"].accuracy == 1
        return recommend(study, list(numbers.values()))._replace(lines=[])

    assert found(spoilt=True) == found(spoilt=False)
    assert (found(True).accuracy, found(True).unimodal, found(True).worth) == ("concat", "image only", True)
