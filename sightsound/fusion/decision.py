"""Decision fusion: joins the modalities' own class scores, per modality (B, C) -> logits (B, C)."""

from sightsound.fusion.base import Combined, Fusion, Tensors, sum_of

SMALLEST = 1e-30  # keeps the logarithm finite


class Vote(Fusion):
    """The mean of the classifiers' probabilities (linear opinion pool, Stone, 1961).

    It has nothing to train and trains nothing: each classifier learns from its own loss alone. The loss of the mean
    would let one slack where the other is right, and then it is worse when it is alone.
    """

    def combine(self, embeddings: Tensors, scores: Tensors, present: Tensors) -> Combined:
        """Per modality logits (B, C) -> log of the mean probability (B, C); weights are the shares in the mean."""
        shares = self.shares(present)
        mean = sum_of(shares[m][:, None] * scores[m].detach().softmax(dim=1) for m in self.modalities)
        return Combined(mean.clamp_min(SMALLEST).log(), shares)
