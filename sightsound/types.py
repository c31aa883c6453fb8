"""The tuples that travel between the parts: a batch in, the network's output, a prediction out.

Shape letters, here and everywhere: B batch, C classes, D embedding, H W pixels, N samples, T frames, F mel bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, device

SPLITS = {  # the parts of a table, and how they are spelt, in any case
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLIT_OF = {spelling: split for split, spellings in SPLITS.items() for spelling in spellings}
INTERPOLATIONS = ("linear", "gaussian")
POLICIES = (
    "drop",
    "ignore",
    *INTERPOLATIONS,
    "mean",
    "nearest",
    "predict",
    "generate",
)  # what `missing` does about each is in its package


class Batch(NamedTuple):
    """Rows of a table as decoded files.

    Attributes:
        inputs: per modality, image (B, H, W, channels) uint8, audio (B, N) float; or what is cached in their place. The
            content of an absent row is ignored.
        present: per modality (B,) bool.
        target: class indices (B,), or None where the label is not known.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    target: Tensor | None = None

    def to(self, device: device) -> Batch:
        """The same on a device."""
        inputs, present = ({m: x.to(device) for m, x in of.items()} for of in (self.inputs, self.present))
        return Batch(inputs, present, None if self.target is None else self.target.to(device))


class FeatureBatch(NamedTuple):
    """Rows of a table as features, which `ClassifierNetwork.featurize` makes of a `Batch`.

    Attributes:
        inputs: per modality, image (B, channels, H, W), audio (B, T, F). The content of an absent row is ignored.
        present, target: as in `Batch`.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    target: Tensor | None = None


class Imputed(NamedTuple):
    """What stands in for one modality.

    Attributes:
        values: K possible embeddings (B, K, D), one for most policies; of no meaning where `rows` is False.
        rows: (B,) bool: it was absent there, and is filled in now.
        uncertainty: (B,) from 0 (as good as there) to 1 (nothing is known but the mean); NaN where not said.
    """

    values: Tensor
    rows: Tensor
    uncertainty: Tensor


class Output(NamedTuple):
    """What the network says of a batch.

    Attributes:
        logits: (B, C), the fused answer.
        unimodal_logits: per modality (B, C), those of its own head; zeros where it is absent.
        weights: per modality (B,), how much the strategy listened to each one; None where it has no such notion.
        embeddings: per modality (B, D), made without the other one; zeros where it is absent.
        imputed: per modality, what stood in for it where it was absent; nothing without a policy that fills in.
    """

    logits: Tensor
    unimodal_logits: dict[str, Tensor]
    weights: dict[str, Tensor] | None
    embeddings: dict[str, Tensor]
    imputed: dict[str, Imputed] = {}


class Imputation(NamedTuple):
    """What was filled in of one modality of a row.

    Attributes:
        policy: by which.
        share: of its pixels or samples; 1 where the whole was missing.
        uncertainty: of what was filled in, from 0 (as good as there) to 1 (nothing is known but the mean); None where
            the policy has no such notion.
    """

    policy: str
    share: float
    uncertainty: float | None


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
        disagreement: how much the modalities disagree, from 0 (they say the same) to 1 (each is sure of another class):
            the Jensen-Shannon divergence of `per_modality` in bits; None where there is one modality.
        ood_score: for each modality that was there, the share of validation rows that look less unusual, by the energy
            of its own scores: at 1 nothing like it has been seen, and the answer means little.
        notes: modality -> what is remarkable about its file, where something is.
        errors: modality -> why its file could not be used, where the answer is made from the others.
        imputed: modality -> what was filled in of it, by a policy for what is missing or damaged.
        clips: the answers to the clips of the sound, where it was cut into clips.
    """

    label: str
    probabilities: dict[str, float]
    per_modality: dict[str, dict[str, float]]
    weights: dict[str, float] | None
    present: tuple[str, ...]
    source: dict[str, str]
    disagreement: float | None = None
    ood_score: dict[str, float] = {}
    imputed: dict[str, Imputation] = {}
    clips: tuple[Clip, ...] = ()
    errors: dict[str, str] = {}
    notes: dict[str, str] = {}
