"""Decision fusion: joins the modalities' own class scores, per modality (B, C) -> logits (B, C)."""

from sightsound.fusion.base import Combined, Fusion, Tensors, sum_of

SMALLEST = 1e-30  # keeps the logarithm finite


class Vote(Fusion):
    """The mean of the classifiers' probabilities (linear opinion pool, Stone, 1961)."""

    def combine(self, embeddings: Tensors, scores: Tensors, present: Tensors) -> Combined:
        """Per modality logits (B, C) -> log of the mean probability (B, C); weights are the shares in the mean."""
        shares = self.shares(present)
        mean = sum_of(shares[m][:, None] * scores[m].softmax(dim=1) for m in self.modalities)
        return Combined(mean.clamp_min(SMALLEST).log(), shares)
