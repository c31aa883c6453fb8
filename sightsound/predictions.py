"""What the classifier says of one row, for people: from the answers of each subset of the senses to a `Prediction`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.answers import Answer
from sightsound.config import Config, MissingConfig, clip_seconds
from sightsound.data.table import Rejected
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
    errors: dict[str, str] | None = None,
) -> Prediction:
    """One row's.

    Args:
        said: by each subset of the modalities, of each of its clips.
        starts: of the clips, in seconds.
        source: for each modality that is there, the file.
        damage: per modality (clips, 2) the share that was repaired, and its uncertainty.
        labels: class names.
        config: with all sizes filled in.
        errors: for each modality whose file could not be used, why.
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
        errors=errors or {},
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


def flat_columns(config: Config, labels: list[str]) -> list[str]:
    """The columns of a table of answers, which depend on the classifier and not on the answers."""
    modalities = config.modalities
    several, cut = len(modalities) > 1, config.audio.step_seconds and "audio" in modalities
    policies = [m for m in modalities if getattr(config.missing, m) not in ("mask", "drop")]
    return [
        "row",
        "predicted",
        "probability",
        *(["conflict"] if several else []),
        *(["start_seconds", "end_seconds"] if cut else []),
        *[f"{m}_alone" for m in modalities if several],
        *[f"{m}_alone_probability" for m in modalities if several],
        *[f"{m}_strangeness" for m in modalities],
        *[f"{m}_{what}" for what in ("repaired", "uncertainty", "policy") for m in policies],
        *modalities,
        *[f"p_{label}" for label in labels],
        *[f"{m}_error" for m in modalities if several],
        "error",
    ]


def flat(row: int, result: Prediction | Rejected) -> list[dict[str, Any]]:
    """One answer as rows of `flat_columns`: the whole, then each clip; what is not there is left out."""
    if isinstance(result, Rejected):
        return [{"row": row, "error": f"{result.file + ': ' if result.file else ''}{result.reason}"}]
    alone = {m: max(said, key=lambda label: said[label]) for m, said in result.per_modality.items()}
    whole = {
        "row": row,
        "predicted": result.label,
        "probability": max(result.probabilities.values()),
        "conflict": result.conflict,
        **{f"{m}_alone": label for m, label in alone.items()},
        **{f"{m}_alone_probability": result.per_modality[m][label] for m, label in alone.items()},
        **{f"{m}_strangeness": strange for m, strange in result.strangeness.items()},
        **{f"{m}_repaired": repair.share for m, repair in result.repaired.items()},
        **{f"{m}_uncertainty": repair.uncertainty for m, repair in result.repaired.items()},
        **{f"{m}_policy": repair.policy for m, repair in result.repaired.items()},
        **result.source,
        **{f"p_{label}": p for label, p in result.probabilities.items()},
        **{f"{m}_error": reason for m, reason in result.errors.items()},
    }
    clips = [
        {
            "row": row,
            "predicted": clip.label,
            "probability": clip.probabilities[clip.label],
            "start_seconds": clip.start_seconds,
            "end_seconds": clip.end_seconds,
            **{f"p_{label}": p for label, p in clip.probabilities.items()},
        }
        for clip in result.clips
    ]
    return [whole, *clips]


TEXTS = ("predicted", "_alone", "_policy", "_error", "error")


def flat_frame(
    results: Mapping[int, Prediction | Rejected], config: Config, labels: list[str], given: pd.DataFrame
) -> pd.DataFrame:
    """Answers as a table: the user's own columns, then those of `flat_columns`, of the same types whatever is in them.

    Args:
        results: by row number.
        config: the classifier's.
        labels: class names.
        given: the user's own columns by row number. One of ours that has the name of one of theirs is called
            sightsound_NAME; paths, which are theirs already, are not repeated.
    """
    columns = flat_columns(config, labels)
    frame = pd.DataFrame([line for row, result in results.items() for line in flat(row, result)], columns=columns)
    texts = [c for c in columns if c in config.modalities or (c.endswith(TEXTS) and not c.startswith("p_"))]
    frame[texts] = frame[texts].astype(object).where(frame[texts].notna(), "")
    numbers = [c for c in columns if c not in texts and c != "row"]
    frame[numbers] = frame[numbers].astype(float)
    theirs = given.loc[frame["row"]].reset_index(drop=True)
    frame = frame.drop(columns=[m for m in config.modalities if m in theirs])
    ours = frame.rename(columns={c: f"sightsound_{c}" for c in frame if c in theirs})
    return pd.concat([theirs, ours], axis=1)
