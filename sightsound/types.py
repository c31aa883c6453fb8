"""The tuples that travel between the parts: a batch in, the network's output, a prediction out; types of options.

Shape letters, here and everywhere: B batch, C classes, D embedding, H W pixels, N samples, T frames, F mel bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

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


class Range(NamedTuple):
    """The least and the largest value of an option, both included; stands in the annotation of its type."""

    least: float
    most: float


Count = Annotated[int, Range(1, 4096)]  # of units or channels: an option of a strategy or an encoder
Few = Annotated[int, Range(1, 64)]  # of layers, heads, tokens
Share = Annotated[float, Range(0, 1)]


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
        """Moves the batch to a device."""
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
    """The imputed embeddings of one modality.

    Attributes:
        values: K sampled embeddings (B, K, D), one for most policies; undefined where `rows` is False.
        rows: (B,) bool, True where the modality was absent and is imputed.
        uncertainty: (B,) from 0 (as good as present) to 1 (nothing is known but the mean); NaN where not estimated.
    """

    values: Tensor
    rows: Tensor
    uncertainty: Tensor


class Output(NamedTuple):
    """The network's output for a batch.

    Attributes:
        logits: fused logits (B, C).
        unimodal_logits: per modality (B, C), those of its own head; zeros where it is absent.
        weights: per modality (B,), the weight that the strategy gave it; None where the strategy has no weights.
        embeddings: per modality unimodal embeddings (B, D); zeros where it is absent.
        imputed: per modality, what was imputed where it was absent; empty without an imputing policy.
    """

    logits: Tensor
    unimodal_logits: dict[str, Tensor]
    weights: dict[str, Tensor] | None
    embeddings: dict[str, Tensor]
    imputed: dict[str, Imputed] = {}


class Imputation(NamedTuple):
    """How one modality of a row was imputed or interpolated.

    Attributes:
        policy: the missing-data policy that was applied.
        share: the share of its pixels or samples; 1 where the whole modality was missing.
        uncertainty: from 0 (as good as present) to 1 (nothing is known but the mean); None where the policy does not
            estimate it.
    """

    policy: str
    share: float
    uncertainty: float | None


class Clip(NamedTuple):
    """The prediction for one clip of a long sound: its start and end in seconds, class and probabilities."""

    start_seconds: float
    end_seconds: float
    label: str
    probabilities: dict[str, float]


class Prediction(NamedTuple):
    """The prediction for one row; of a sound cut into clips the mean over these.

    Attributes:
        label: the most probable class, or one whose probability reaches its threshold; "" where the classifier
            abstained.
        probabilities: class name -> probability; they sum to 1.
        per_modality: the unimodal probabilities of each present modality.
        weights: modality -> weight that the fusion strategy gave it; None where the strategy has no weights.
        present: the modalities that were present.
        source: modality -> the file (or "array" or "bytes") that was read.
        disagreement: how much the modalities disagree, from 0 (equal predictions) to 1 (each is sure of another class):
            the Jensen-Shannon divergence of `per_modality` in bits; None where there is one modality.
        ood_score: for each present modality, the share of validation rows that look less unusual, by the energy of its
            unimodal logits: at 1 all validation rows look less unusual, and the prediction is unreliable.
        notes: modality -> remarks on its file, if there are any.
        errors: modality -> why its file could not be used, where the prediction is made from the others.
        imputed: modality -> how it was imputed or interpolated, by a missing-data policy.
        clips: the predictions for the clips of the sound, where it was cut into clips.
        unimodal_labels: the class that each present modality alone would be answered with.
        withheld: the class that was not answered, where the classifier abstained.
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
    unimodal_labels: dict[str, str] = {}
    withheld: str = ""
