"""What the classifier says of one row, for people: from the answers of each subset of the senses to a `Prediction`."""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import NDArray

from sightsound.answers import Answer
from sightsound.config import Config, MissingConfig, clip_seconds
from sightsound.errors import ConfigError
from sightsound.metrics import disagreement
from sightsound.types import Clip, Filled, Prediction, Repair

Array = NDArray[Any]


def prediction(
    said: dict[tuple[str, ...], Answer],
    starts: list[float],
    source: dict[str, str],
    damage: dict[str, Array],
    labels: list[str],
    config: Config,
) -> Prediction:
    """One row's.

    Args:
        said: by each subset of the modalities, of each of its clips.
        starts: of the clips, in seconds.
        source: for each modality that is there, the file.
        damage: per modality (clips, 2) the share that was repaired, and its uncertainty.
        labels: class names.
        config: with all sizes filled in.
    """
    modalities, there = config.modalities, tuple(source)
    fused = said[modalities]
    probabilities = _named(fused.probabilities.mean(0), labels)
    length = clip_seconds(config) if "audio" in there else 0.0
    of_clips = []
    for start, each in zip(starts, fused.probabilities, strict=True):
        named = _named(each, labels)
        of_clips.append(Clip(float(start), float(start) + length, max(named, key=lambda label: named[label]), named))
    weights = fused.weights
    alone = {m: said[(m,)].probabilities.mean(0) for m in there}
    return Prediction(
        label=max(probabilities, key=lambda label: probabilities[label]),
        probabilities=probabilities,
        per_modality={m: _named(p, labels) for m, p in alone.items()},
        weights=None if weights is None else {m: float(weights[m].mean()) for m in modalities},
        present=there,
        source=source,
        conflict=float(disagreement(torch.stack(list(alone.values())).numpy())) if len(alone) > 1 else None,
        strangeness={m: float(said[(m,)].strangeness[m].mean()) for m in there},
        repaired=repairs(config.missing, damage, fused.filled),
        clips=tuple(of_clips) if config.audio.step_seconds and "audio" in there else (),
    )


def _named(probabilities: torch.Tensor, labels: list[str]) -> dict[str, float]:
    return dict(zip(labels, probabilities.tolist(), strict=True))


def check_share(abstain_below: float) -> None:
    """Raises ConfigError for what is no probability."""
    if not 0 <= abstain_below <= 1:
        raise ConfigError(f"abstain_below is {abstain_below}; it is a probability, from 0 to 1.")


def withheld(prediction: Prediction, below: float) -> Prediction:
    """The prediction, without its label where the largest probability is below a bound."""
    sure = max(prediction.probabilities.values()) >= below
    return prediction if sure else prediction._replace(label="")


def repairs(missing: MissingConfig, damage: dict[str, Array], filled: dict[str, Filled]) -> dict[str, Repair]:
    """What was filled in of one row's modalities.

    Args:
        missing: by which policies.
        damage: per modality (clips, 2) the share that was repaired, and its uncertainty.
        filled: per modality, over the clips, what stood in for it.
    """
    found = {}
    for m, of_clips in damage.items():
        hurt = of_clips[of_clips[:, 0] > 0]
        if len(hurt):
            found[m] = Repair(getattr(missing, m), float(of_clips[:, 0].mean()), _known(hurt[:, 1].mean()))
    for m, whole in filled.items():
        if whole.rows.any():
            found[m] = Repair(getattr(missing, m), 1.0, _known(float(whole.uncertainty.mean())))
    return found


def _known(uncertainty: float) -> float | None:
    return None if math.isnan(uncertainty) else float(uncertainty)
