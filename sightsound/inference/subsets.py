"""Predictions of each subset of the modalities: Rows -> (network.fuse) -> probabilities -> metrics."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.data.clusters import Clusters
from sightsound.data.dataset import Rows, loader
from sightsound.inference.metrics import measure, selective_prediction
from sightsound.missing import Impute, OverTime
from sightsound.network.calibration import energy_of
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.decision import Decision
from sightsound.types import FeatureBatch, Imputed, Output

BATCH_ROWS = 256


class Answer(NamedTuple):
    """The prediction of one subset of the modalities.

    Attributes:
        probabilities: (B, C).
        weights: per modality (B,), or None.
        ood_score: per modality of the subset (B,), the share of validation rows that look less unusual.
        imputed: per modality, what was imputed where it was absent; only for the full set of modalities.
    """

    probabilities: Tensor
    weights: dict[str, Tensor] | None
    ood_score: dict[str, Tensor]
    imputed: dict[str, Imputed] = {}

    def at(self, places: NDArray[Any]) -> Answer:
        """Selects the answers at some places."""
        return self._map(lambda values: values[places])

    def cpu(self) -> Answer:
        """Copies the answers to the memory of the CPU."""
        return self._map(Tensor.cpu)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Answer:
        weights = None if self.weights is None else {m: change(w) for m, w in self.weights.items()}
        ood_score = {m: change(s) for m, s in self.ood_score.items()}
        imputed = {m: Imputed(*map(change, f)) for m, f in self.imputed.items()}
        return Answer(change(self.probabilities), weights, ood_score, imputed)


def subsets(modalities: list[str]) -> list[tuple[str, ...]]:
    """Returns all non-empty subsets, the full set first."""
    sizes = range(len(modalities), 0, -1)
    return [subset for size in sizes for subset in itertools.combinations(modalities, size)]


@torch.inference_mode()
def answers(
    network: ClassifierNetwork, batch: FeatureBatch, impute: Impute | None = None
) -> dict[tuple[str, ...], Answer]:
    """What the network says of features when it is shown each subset of the modalities alone.

    Args:
        network: the network in eval mode; it is not changed.
        batch: features, on the network's device.
        impute: imputes absent modalities in the full set.
    """
    names = subsets(network.modalities)
    outputs = network.fuse_subsets(batch, names, impute)
    return {name: _answer(network, name, output).cpu() for name, output in zip(names, outputs, strict=True)}


def _answer(network: ClassifierNetwork, subset: tuple[str, ...], output: Output) -> Answer:
    strange = {m: network.calibration.ood_score(m, energy_of(output.unimodal_logits[m])) for m in subset}
    return Answer(output.logits.softmax(dim=1), output.weights, strange, output.imputed)


@torch.inference_mode()
def all_answers(
    network: ClassifierNetwork, rows: Rows, over_time: OverTime | None = None, impute: Impute | None = None
) -> dict[tuple[str, ...], Answer]:
    """Predicts all decoded rows by each subset of the modalities, as one `Answer` each.

    Args:
        network: the network in eval mode.
        rows: n decoded rows.
        over_time: imputes modalities from other rows; those that it cannot are left to `impute`.
        impute: as in `answers`.
    """
    between = over_time(*embed_rows(network, rows)) if over_time else None
    said = []
    for number, batch in enumerate(loader(rows, BATCH_ROWS)):
        of_batch = impute if between is None else _Between(between, number * BATCH_ROWS, impute)
        said.append(answers(network, network.featurize(batch.to(network.device)), of_batch))
    return {subset: _joined_answers([batch[subset] for batch in said]) for subset in said[0]}


@torch.no_grad()
def embed_rows(network: ClassifierNetwork, rows: Rows) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Computes unimodal embeddings (n, D) and presence (n,) of each modality, for n decoded rows."""
    own, present = [], []
    for batch in loader(rows, BATCH_ROWS):
        features = network.featurize(batch.to(network.device))
        embeddings = network.encode(features.inputs, features.present).unimodal
        own.append({m: z.cpu() for m, z in embeddings.items()})
        present.append(batch.present)
    return _joined(own), _joined(present)


class _Between(NamedTuple):
    """An `Impute` for one batch of rows whose neighbours' embeddings are already computed."""

    imputed: dict[str, Imputed]
    start: int
    otherwise: Impute | None

    def __call__(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Imputed]:
        found = dict(self.otherwise(embeddings, present)) if self.otherwise else {}
        for m, every in self.imputed.items():
            device, stop = present[m].device, self.start + len(present[m])
            found[m] = Imputed(*(x[self.start : stop].to(device) for x in every))
        return found


def _joined_answers(parts: list[Answer]) -> Answer:
    """Concatenates the answers to several batches."""
    weights = [part.weights for part in parts if part.weights is not None]
    imputed = {m: [part.imputed[m] for part in parts] for m in parts[0].imputed}
    return Answer(
        torch.cat([part.probabilities for part in parts]),
        _joined(weights) if weights else None,
        _joined([part.ood_score for part in parts]),
        {m: Imputed(*(torch.cat(each) for each in zip(*of, strict=True))) for m, of in imputed.items()},
    )


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}


class Answered(NamedTuple):
    """The predictions of each subset of the modalities for the rows of a table.

    Attributes:
        row: (n,) the row's number in the table.
        probabilities: per subset (n, C).
        has: presence (n,) bool of each modality.
        decision: how a class is chosen.
        imputed: (n,) bool of each modality that was imputed where it was absent.
    """

    row: NDArray[np.int64]
    probabilities: dict[tuple[str, ...], NDArray[Any]]
    has: dict[str, NDArray[np.bool_]]
    decision: Decision = Decision()
    imputed: dict[str, NDArray[np.bool_]] = {}

    def predicted(self, subset: tuple[str, ...] | None = None) -> NDArray[np.int64]:
        """Returns (n,) the class that is answered by a subset of the modalities; None: by those that each row has."""
        if subset is None:
            has = {m: there | self.imputed.get(m, False) for m, there in self.has.items()}
            return self.decision.choose_by_row(self.probabilities[tuple(self.has)], has)
        return self.decision.choose(self.probabilities[subset], subset)


def answer_rows(
    network: ClassifierNetwork,
    rows: Rows,
    numbers: NDArray[np.int64],
    over_time: OverTime | None = None,
    impute: Impute | None = None,
) -> Answered:
    """Predicts decoded rows, in their order; the clips of a row are averaged.

    Args:
        network: the network in eval mode.
        rows: n decoded rows.
        numbers: (n,) the table's row that each belongs to, those of one row side by side.
        over_time: as in `all_answers`.
        impute: as in `answers`.
    """
    said = all_answers(network, rows, over_time, impute)
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    count = np.diff(first, append=len(numbers))
    probabilities = {}
    for subset in subsets(network.modalities):
        probabilities[subset] = np.add.reduceat(said[subset].probabilities.numpy(), first) / count[:, None]
    has = {m: (store.entry[rows.rows] > 0).numpy()[first] for m, store in rows.stores.items()}
    imputed = {m: of.rows.numpy()[first] for m, of in said[tuple(network.modalities)].imputed.items()}
    return Answered(numbers[first], probabilities, has, network.decision, imputed)


def concatenate(parts: list[Answered]) -> Answered:
    """Concatenates the predictions for several parts of a table."""
    return Answered(
        np.concatenate([part.row for part in parts]),
        {s: np.concatenate([part.probabilities[s] for part in parts]) for s in parts[0].probabilities},
        {m: np.concatenate([part.has[m] for part in parts]) for m in parts[0].has},
        parts[0].decision,
        {m: np.concatenate([part.imputed[m] for part in parts]) for m in parts[0].imputed},
    )


def measure_answers(
    answered: Answered, target: NDArray[Any], labels: list[str], clusters: Clusters, abstain_below: float = 0.0
) -> dict[str, Any]:
    """Computes metrics of each subset of the modalities, over the rows that have all of the subset.

    If some rows lack a modality, "as given" holds the metrics over all rows, each with its present modalities.

    Args:
        answered: the predictions for n rows.
        target: (n,) class indices.
        labels: class names.
        clusters: which rows belong together.
        abstain_below: adds "abstaining" for each subset, the metrics after abstaining below this probability.

    Returns:
        {"rows": n, "clusters": {"by": ..., "count": ...}, "subsets": {name: numbers}}.
    """
    result: dict[str, Any] = {}
    for subset, probabilities in answered.probabilities.items():
        complete = np.logical_and.reduce([answered.has[m] for m in subset])
        if complete.any():
            predicted = answered.predicted(subset)[complete]
            of_subset = probabilities[complete], target[complete]
            numbers = measure(*of_subset, labels, clusters.at(complete), predicted)
            if abstain_below:
                numbers["abstaining"] = selective_prediction(*of_subset, predicted, abstain_below)
            result["+".join(subset)] = numbers
        if len(subset) == len(answered.has) and not complete.all():
            result["as given"] = measure(probabilities, target, labels, clusters, answered.predicted())
    return {"rows": len(target), "clusters": clusters.as_metrics(), "subsets": result}
