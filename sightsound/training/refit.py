"""Trains again on training and validation rows together what was trained on frozen encoders.

Validation rows choose the epoch, and show how reliable the heads are. Once that is done they are worth more as rows to
learn from, above all where rows are few. Weights on frozen encoders are trained again within seconds, for the number of
epochs that was chosen and with a learning rate that falls to zero by their end.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sightsound.data.dataset import Rows
from sightsound.network.build import build_network
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.checkpoints import BEST, of_this_version, read
from sightsound.training.decision import aims
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
    fresh = build_network(prepared.config, network.classes).state_dict()
    network.load_state_dict({name: fresh[name] for name in trained}, strict=False)
    every = Rows(rows["train"].stores, rows["train"].target, torch.cat([rows["train"].rows, rows["val"].rows]))
    fit(network, prepared.config, {"train": every, "val": rows["val"]}, run, schedule=again)
    return [m for m in heads_again(prepared) if any(m in phase.active for phase in again)]


def heads_again(prepared: Prepared) -> list[str]:
    """Lists the modalities whose heads `refit` is to train again; none where thresholds hold for heads as they are."""
    return heads_apart(prepared.config) if len(prepared.rows["test"]) and not aims(prepared.config) else []


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
