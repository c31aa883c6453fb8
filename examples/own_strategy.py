"""Train with a fusion strategy of your own, from outside the package: the product of both projected embeddings.

python examples/own_strategy.py
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

import sightsound as ss
from sightsound.types import Count

Tensors = Mapping[str, Tensor]


class Multiply(ss.Fusion):
    """Product of the projected embeddings."""

    def __init__(
        self,
        embedding_sizes: Mapping[str, int],
        stage_channels: Mapping[str, list[int]],
        classes: int,
        *,
        width: Count = 32,  # an option, which fusion_options or --fusion.width sets
    ):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.project = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], width) for m in self.modalities})
        self.classify = nn.Linear(width, classes)

    def combine(
        self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> ss.Combined:
        """Per modality (B, D) -> logits (B, C)."""
        product = self.project["image"](embeddings["image"]) * self.project["audio"](embeddings["audio"])
        return ss.Combined(self.classify(product), None)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))  # so that the name own_strategy.Multiply leads here
    with tempfile.TemporaryDirectory() as folder:
        table = ss.dataset("digits")
        name, options = "own_strategy.Multiply", {"width": 48}
        classifier = ss.train(table, out=Path(folder) / "run", fusion=name, fusion_options=options, epochs=1)
        for name, numbers in classifier.metrics["subsets"].items():
            print(f"{name:<12} {numbers['accuracy']:.3f}")
