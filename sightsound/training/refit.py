"""Trains again on training and validation rows together what was trained on frozen encoders.

Validation rows choose the epoch, and show how reliable the heads are. Once that is done they are worth more as rows to
learn from, above all where rows are few. Weights on frozen encoders are trained again within seconds, for the number of
epochs that was chosen and with a learning rate that falls to zero by their end.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sightsound.data.dataset import Rows, loader
from sightsound.inference.subsets import BATCH_ROWS
from sightsound.network.build import build_network
from sightsound.network.calibration import energy_of
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.checkpoints import BEST, of_this_version, read
from sightsound.training.fit import fit
from sightsound.training.prepare import Prepared
from sightsound.training.schedule import Phase, heads_apart, phases


def refit(network: ClassifierNetwork, prepared: Prepared, run: Path) -> list[str]:
    """Trains heads and strategy again, in place; beside an encoder that was trained, only the heads of frozen ones.

    What was fitted on held-out rows stays. Without test rows there is nothing else to measure the classifier on than
    the validation rows, and these are not learned from.

    Args:
        network: the trained network of cached inputs.
        prepared: what it was trained on.
        run: the run folder.

    Returns:
        the modalities whose heads were trained again.

    Raises:
        RunError: a checkpoint is damaged.
    """
    rows, again = prepared.rows, _phases_again(prepared, run)
    if not again:
        return []
    parts = tuple(prefix for phase in again for prefix in phase.trains)
    fixed = ("encoders.", "fusion.") if network.fusion.fitted_held_out else ("encoders.",)
    trained = [n for n, _ in network.named_parameters() if n.startswith(parts) and not n.startswith(fixed)]
    every = Rows(rows["train"].stores, rows["train"].target, torch.cat([rows["train"].rows, rows["val"].rows]))
    before = _energies(network, every)
    fresh = build_network(prepared.config, network.classes).state_dict()
    network.load_state_dict({name: fresh[name] for name in trained}, strict=False)
    fit(network, prepared.config, {"train": every, "val": rows["val"]}, run, schedule=again)
    changed = [m for m in heads_again(prepared) if any(m in phase.active for phase in again)]
    _move_energies(network, changed, before, _energies(network, every))
    return changed


@torch.no_grad()
def _energies(network: ClassifierNetwork, rows: Rows) -> dict[str, Tensor]:
    """Computes the energies (n,) of each head for the rows that have its modality."""
    network.eval()
    found: dict[str, list[Tensor]] = {m: [] for m in network.modalities}
    for batch in loader(rows, BATCH_ROWS):
        output = network.fuse(network.featurize(batch.to(network.device)))
        for m, logits in output.unimodal_logits.items():
            found[m].append(energy_of(logits).cpu()[batch.present[m]])
    return {m: torch.cat(parts) for m, parts in found.items()}


def _move_energies(
    network: ClassifierNetwork, changed: list[str], before: dict[str, Tensor], after: dict[str, Tensor]
) -> None:
    """Moves the percentiles of energies of held-out rows to the scale of heads that were trained again.

    The rows have been learned from since, so that their own energies say nothing of new ones. The line is fitted by
    least squares over all rows that the heads have learned from.
    """
    calibration = network.calibration
    for m in changed:
        slope = torch.cov(torch.stack([before[m], after[m]]))
        factor = float(slope[0, 1] / slope[0, 0]) if slope[0, 0] > 0 else 1.0
        i = calibration.modalities.index(m)
        calibration.energies[i] = after[m].mean() + factor * (calibration.energies[i] - before[m].mean())


def heads_again(prepared: Prepared) -> list[str]:
    """Lists the modalities whose heads `refit` is to train again."""
    return heads_apart(prepared.config) if len(prepared.rows["test"]) else []


def _phases_again(prepared: Prepared, run: Path) -> list[Phase]:
    """Lists what is trained again, each phase for as many epochs as were chosen for it."""
    apart = heads_again(prepared)
    found = []
    for phase in phases(prepared.config) if apart else []:
        best = run / "checkpoints" / phase.name / BEST
        if set(phase.active) <= set(apart) and best.exists():  # otherwise it has nothing to train
            with of_this_version(best):
                epochs = int(read(best)["epochs"])
            found.append(phase._replace(name=f"{phase.name} again", epochs=epochs))
    return found
