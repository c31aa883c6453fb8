"""How sure is the answer, and how strange the row? What validation rows say of both.

One temperature for each subset of the modalities: the one that makes the probabilities of the true classes largest
(Guo et al., ICML 2017); it changes no answer, only how sure it is. And percentiles of each head's energy, against which
a new row's is held.
"""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

from sightsound.answers import BATCH_ROWS, subsets
from sightsound.data.batches import Rows, loader
from sightsound.model import ClassifierNetwork, energy_of

FEWEST_ROWS = 20  # of a subset; with fewer its temperature stays 1
LOWEST, HIGHEST = 0.2, 5.0


@torch.no_grad()
def calibrate(network: ClassifierNetwork, rows: Rows) -> None:
    """Sets the network's temperatures and energies.

    Args:
        network: trained; left in eval mode.
        rows: of the validation split, with targets.
    """
    network.eval()
    network.temperature.fill_(1.0)
    names = subsets(network.modalities)
    logits: dict[tuple[str, ...], list[Tensor]] = {name: [] for name in names}
    targets: dict[tuple[str, ...], list[Tensor]] = {name: [] for name in names}
    energies: dict[str, list[Tensor]] = {m: [] for m in network.modalities}
    for batch in loader(rows, BATCH_ROWS):
        if batch.target is None:
            raise ValueError("calibration needs targets")
        outputs = network.fuse_subsets(network.featurize(batch), names)
        for name, output in zip(names, outputs, strict=True):
            there = torch.stack([batch.present[m] for m in name]).all(0)
            logits[name].append(output.logits[there])
            targets[name].append(batch.target[there])
        for m, found in energies.items():
            found.append(energy_of(outputs[0].scores[m][batch.present[m]]))
    percents = torch.linspace(0, 1, network.energies.shape[1])
    for i, of_head in enumerate(energies.values()):
        network.energies[i] = torch.cat(of_head).quantile(percents)
    for name in names:
        target = torch.cat(targets[name])
        if len(target) >= FEWEST_ROWS:
            network.temperature[network.subset_number(name)] = best_temperature(torch.cat(logits[name]), target)


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """Of logits (n, C) about classes (n,); smoothed as if one row more had any class (Platt, 1999).

    Else a few rows without a mistake would make every answer certain.
    """
    logits, smoothing = logits.double(), 1 / (len(target) + 1)

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(logits / math.exp(log_temperature), target, label_smoothing=smoothing))

    found = minimize_scalar(loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded")
    return math.exp(found.x)
