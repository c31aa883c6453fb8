"""The tuples that travel between the parts: a batch in, the network's output, a prediction out.

Shape letters, here and everywhere: B batch, C classes, D embedding, H W pixels, N samples, T frames, F mel bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

MODALITIES = ("image", "audio")


class Batch(NamedTuple):
    """Rows of a table, as tensors.

    Attributes:
        inputs: per modality, decoded (image (B, H, W, channels) uint8, audio (B, N) float) or, once
            `ClassifierNetwork.featurize` has seen them, features (image (B, channels, H, W), audio (B, T, F)).
            An absent row's content is never read.
        present: per modality (B,) bool.
        target: class indices (B,), or None where the label is not known.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    target: Tensor | None = None


class Output(NamedTuple):
    """What the network says of a batch.

    Attributes:
        logits: (B, C), the fused answer.
        scores: per modality (B, C), the logits of its own head; zeros where it is absent.
        weights: per modality (B,), how much the strategy listened to each one; None where it has no such notion.
        embeddings: per modality (B, D), made without the other one; zeros where it is absent.
    """

    logits: Tensor
    scores: dict[str, Tensor]
    weights: dict[str, Tensor] | None
    embeddings: dict[str, Tensor]


class Clip(NamedTuple):
    """The answer to one clip of a long sound: from where to where in seconds, its class, its probabilities."""

    start_seconds: float
    end_seconds: float
    label: str
    probabilities: dict[str, float]


class Prediction(NamedTuple):
    """The answer to one row; of a sound cut into clips the mean over these.

    Attributes:
        label: the most probable class; "" where the answer was to be withheld because it is not sure enough.
        probabilities: class name -> probability; they sum to 1.
        per_modality: for each modality that was there, its own probabilities, made without the other one.
        weights: modality -> weight that the fusion strategy gave it; None where it has no such notion.
        present: the modalities that were there.
        source: modality -> the file (or "array" or "bytes") that was read.
        conflict: how much the senses disagree, from 0 (they say the same) to 1 (each is sure of another class): the
            Jensen-Shannon divergence of `per_modality` in bits; None where there is one sense.
        strangeness: for each modality that was there, the share of validation rows that are less strange, by the energy
            of its own scores: at 1 nothing like it has been seen, and the answer means little.
        clips: the answers to the clips of the sound, where it was cut into clips.
    """

    label: str
    probabilities: dict[str, float]
    per_modality: dict[str, dict[str, float]]
    weights: dict[str, float] | None
    present: tuple[str, ...]
    source: dict[str, str]
    conflict: float | None = None
    strangeness: dict[str, float] = {}
    clips: tuple[Clip, ...] = ()
