"""Fits temperatures, energies, decision strategies and the guard on rows that no encoder was trained on.

Logits of training rows do not show how reliable a head is: one that has memorised them is sure and right there, and
nowhere else. So everything that reads logits is fitted on validation rows: first the temperature of each modality, then
the parameters of a decision strategy, the temperature of the fused answer, and the guard. The predictions for complete
validation rows come from the other folds (cross-fitting), so that selection by them is unbiased; except for the
temperatures, one number each, which are fitted on the row itself too.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from sightsound.data.clusters import Clusters, clusters_of, lowest_mean
from sightsound.data.dataset import Rows, loader
from sightsound.fusion import Fusion
from sightsound.inference.subsets import BATCH_ROWS, Answered, subsets
from sightsound.network.calibration import energy_of
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.calibrate import FEWEST_ROWS, FEWEST_UNIMODAL_ROWS, best_temperature
from sightsound.training.prepare import Prepared

FOLDS = 5
EM_STEPS = 200


class HeldOut(NamedTuple):
    """Validation rows.

    Attributes:
        rows: n decoded rows with targets.
        number: (n,) the place among the table's rows (r,) that each belongs to, those of one row side by side.
        row: (r,) the numbers of these rows in the table.
        clusters: the clusters of these rows.
    """

    rows: Rows
    number: NDArray[np.int64]
    row: NDArray[np.int64]
    clusters: Clusters


class HeldOutLogits(NamedTuple):
    """The network's logits for n rows that have all modalities of a subset.

    Attributes:
        unimodal: per modality calibrated logits (n, C).
        fused: logits (n, C) of the current strategy.
        present: per modality (n,) bool; False outside of the subset.
        target: (n,) class indices.
    """

    unimodal: dict[str, Tensor]
    fused: Tensor
    present: dict[str, Tensor]
    target: Tensor

    def at(self, places: Tensor) -> HeldOutLogits:
        """Selects some of the rows."""
        own, present = ({m: x[places] for m, x in of.items()} for of in (self.unimodal, self.present))
        return HeldOutLogits(own, self.fused[places], present, self.target[places])


class CrossFitted(NamedTuple):
    """Cross-fitted predictions for complete validation rows: (r,) row numbers, (r, C) probabilities."""

    row: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def put_in(self, answered: Answered) -> Answered:
        """Replaces the predictions for complete rows by these."""
        every = max(answered.probabilities, key=len)
        probabilities = answered.probabilities[every].copy()
        probabilities[np.searchsorted(answered.row, self.row)] = self.probabilities
        return answered._replace(probabilities={**answered.probabilities, every: probabilities})


def validation_rows(prepared: Prepared, rows: Rows | None = None) -> HeldOut:
    """Returns the validation rows of a prepared table; `rows` where they hold something else than its files."""
    row, number = np.unique(prepared.table.part("val").frame["row"].to_numpy(), return_inverse=True)
    clusters = clusters_of(prepared.table, prepared.config.modalities, row)
    return HeldOut(rows or prepared.rows["val"], number, row, clusters)


@torch.no_grad()
def fit_held_out(network: ClassifierNetwork, held: HeldOut, guard: bool = True) -> CrossFitted:
    """Fits all of these in place.

    Args:
        network: a trained network; left in eval mode.
        held: the validation rows.
        guard: whether unimodal predictions may replace a fused one that is worse.
    """
    network.eval()
    calibration = network.calibration
    calibration.reset()
    every = tuple(network.modalities)
    outputs, present, target = _outputs(network, held.rows, [(m,) for m in every])
    percents = torch.linspace(0, 1, calibration.energies.shape[1])
    for i, m in enumerate(every):
        raw = outputs[(m,)]
        calibration.energies[i] = energy_of(raw[present[m]]).quantile(percents)
        if _rows_among(held.number, present[m]) >= FEWEST_UNIMODAL_ROWS:
            calibration.temperature[1 << i] = best_temperature(raw[present[m]], target[present[m]])
    own = {m: x.cpu() for m, x in calibration.unimodal({m: outputs[(m,)].to(network.device) for m in every}).items()}
    fusion = copy.deepcopy(network.fusion).cpu()
    found = CrossFitted(held.row[:0], np.zeros((0, network.classes)))
    several = [subset for subset in subsets(network.modalities) if len(subset) > 1]
    outputs, _, _ = _outputs(network, held.rows, several)  # again, for strategies that read calibrated logits
    for subset in several:
        there = torch.stack([present[m] for m in subset]).all(0)
        shown = {m: present[m] if m in subset else torch.zeros_like(there) for m in every}
        if _rows_among(held.number, there) < FEWEST_ROWS:
            continue
        scored = HeldOutLogits(own, outputs[subset], shown, target).at(there)
        row, number = np.unique(held.number[there.numpy()], return_inverse=True)
        folds = _folds(held.clusters.at(row))
        crossed, temperature = _cross_fitted(fusion, scored, torch.from_numpy(folds[number]), subset == every)
        if subset == every and network.fusion.fitted_held_out:
            fusion = _fitted(fusion, scored)  # on complete rows: the same parameters serve the other subsets
            network.fusion.load_state_dict(fusion.state_dict())
        calibration.temperature[calibration.subset_number(subset)] = temperature
        means = _of_rows(torch.stack([crossed, *(scored.unimodal[m].softmax(1) for m in subset)], 1), number)
        classes = scored.target.numpy()[np.unique(number, return_index=True)[1]]
        shares, said = _guard(means, classes, folds, held.clusters.at(row))
        if guard and shares is not None:
            places = [0, *(1 + every.index(m) for m in subset)]
            of_subset = calibration.guard[calibration.subset_number(subset)]
            of_subset[places] = torch.from_numpy(shares).to(of_subset)
        if subset == every:
            found = CrossFitted(held.row[row], said if guard and shares is not None else means[:, 0])
    return found


def _outputs(
    network: ClassifierNetwork, rows: Rows, names: list[tuple[str, ...]]
) -> tuple[dict[tuple[str, ...], Tensor], dict[str, Tensor], Tensor]:
    """Computes logits (n, C) by subset, unimodal for a single modality; presence (n,) and target (n,)."""
    logits: dict[tuple[str, ...], list[Tensor]] = {name: [] for name in names}
    present: dict[str, list[Tensor]] = {m: [] for m in network.modalities}
    targets = []
    for batch in loader(rows, BATCH_ROWS):
        if batch.target is None:
            raise ValueError("what is fitted on held-out rows needs targets")
        outputs = network.fuse_subsets(network.featurize(batch.to(network.device)), names)
        for name, output in zip(names, outputs, strict=True):
            logits[name].append((output.logits if len(name) > 1 else output.unimodal_logits[name[0]]).cpu())
        for m in network.modalities:
            present[m].append(batch.present[m])
        targets.append(batch.target)
    return (
        {name: torch.cat(each) for name, each in logits.items()},
        {m: torch.cat(each) for m, each in present.items()},
        torch.cat(targets),
    )


def _folds(clusters: Clusters) -> NDArray[np.int64]:
    """Returns (r,) the fold of each row; a fold holds whole clusters, of two sets those of the coarser one."""
    codes = min(clusters.codes, key=lambda codes: int(codes.max()))
    if not codes.any():  # a single cluster can only be divided by its rows
        codes = np.arange(len(codes))
    order = np.random.default_rng(0).permutation(int(codes.max()) + 1)
    folds: NDArray[np.int64] = (order % FOLDS)[codes]
    return folds


def _cross_fitted(fusion: Fusion, scored: HeldOutLogits, folds: Tensor, refit: bool) -> tuple[Tensor, float]:
    """Computes cross-fitted fused probabilities (n, C) of each row, and the temperature for new rows.

    With `refit` the strategy is fitted too, where it is one that is fitted; otherwise it is not changed.

    Temperatures are fitted on cross-fitted answers as well; otherwise a strategy would be as confident on new rows as
    on those that it was fitted on.
    """
    logits, probabilities = torch.zeros_like(scored.fused), torch.zeros_like(scored.fused)
    for fold in folds.unique().tolist():
        asked = folds == fold
        known = _fitted(fusion, scored.at(~asked)) if refit and fusion.fitted_held_out else fusion
        logits[asked] = _combined(known, scored.at(asked))
    for fold in folds.unique().tolist():
        asked = folds == fold
        temperature = best_temperature(logits[~asked], scored.target[~asked])
        probabilities[asked] = (logits[asked] / temperature).softmax(1)
    return probabilities, best_temperature(logits, scored.target)


def _combined(fusion: Fusion, scored: HeldOutLogits) -> Tensor:
    """Returns fused logits (n, C): recomputed for a strategy that reads logits only, otherwise the network's."""
    return fusion.combine({}, scored.unimodal, scored.present).logits if fusion.fitted_held_out else scored.fused


def _fitted(fusion: Fusion, scored: HeldOutLogits) -> Fusion:
    """Returns a copy of the strategy, fitted by cross-entropy.

    Few rows change little: each parameter is regularised towards its initial value as if as many rows as there are
    logits supported that value.
    """
    held_back = len(scored.unimodal) * scored.fused.shape[1] / len(scored.target)
    fitted = copy.deepcopy(fusion).requires_grad_(True)
    first = [parameter.detach().clone() for parameter in fitted.parameters()]
    optimizer = torch.optim.LBFGS(fitted.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        moved = torch.stack([(p - f).square().sum() for p, f in zip(fitted.parameters(), first, strict=True)]).sum()
        value = cross_entropy(_combined(fitted, scored), scored.target) + held_back * moved
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return fitted


def _rows_among(number: NDArray[np.int64], chosen: Tensor) -> int:
    """Counts the rows that chosen clips (n,) are of: many clips of one file say no more than the file."""
    return len(np.unique(number[chosen.numpy()]))


def _of_rows(values: Tensor, number: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, ...) of clips -> (r, ...), the mean over the clips of each row."""
    first = np.flatnonzero(np.diff(number, prepend=-1))
    counts = np.diff(first, append=len(number)).reshape(-1, *[1] * (values.dim() - 1))
    means: NDArray[np.float64] = np.add.reduceat(values.double().numpy(), first) / counts
    return means


def _guard(
    means: NDArray[np.float64], target: NDArray[np.int64], folds: NDArray[np.int64], clusters: Clusters
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:
    """Fits the shares (1 + M,) of fused and unimodal answers; None where the fused one is not significantly worse.

    The shares maximise the likelihood of the true classes. They are used where, fitted on other folds, they make these
    significantly more likely than the fused answer does, and get no fewer rows right.

    Args:
        means: (r, 1 + M, C) probabilities, the fused ones first.
        target: (r,) class indices.
        folds: (r,) the fold of each row.
        clusters: the clusters of the rows.

    Returns:
        the shares, and the cross-fitted mixture (r, C) of each row.
    """
    true = means[np.arange(len(target)), :, target]
    said = means[:, 0].copy()
    for fold in np.unique(folds):
        others, asked = folds != fold, folds == fold
        if others.any():
            said[asked] = np.einsum("k,rkc->rc", shares_of(true[others]), means[asked])
    gain = np.log(said[np.arange(len(target)), target] + 1e-12) - np.log(true[:, 0] + 1e-12)
    right = (said.argmax(1) == target).mean() >= (means[:, 0].argmax(1) == target).mean()
    return (shares_of(true) if right and lowest_mean(gain, clusters) > 0 else None), said


def shares_of(true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the convex weights (K,) under which the probabilities of the true classes (r, K) are most likely.

    They are found by expectation maximisation for a mixture of known components (Dempster, Laird & Rubin, 1977).
    """
    shares = np.full(true.shape[1], 1 / true.shape[1])
    for _ in range(EM_STEPS):
        parts = shares * true + 1e-12
        shares = (parts / parts.sum(1, keepdims=True)).mean(0)
    return shares
