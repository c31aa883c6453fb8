"""Feature fusion: joins the embeddings, per modality (B, D) -> logits (B, C).

Embeddings of absent modalities are zeros; where zero would not be neutral, a strategy leaves the modality out.
"""

import itertools

import torch
from torch import Tensor, nn

from sightsound.fusion.base import (
    ABSENT,
    HIDDEN,
    Channels,
    Combined,
    Fusion,
    Sizes,
    Tensors,
    check_heads,
    dense,
    sum_of,
)
from sightsound.types import Count, Few


class Concat(Fusion):
    """Concatenated embeddings, dense `width`, dense C. An absent modality's embedding is zeros."""

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count = HIDDEN):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.classify = dense(sum(embedding_sizes.values()), classes, width)

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights."""
        return Combined(self.classify(torch.cat([embeddings[m] for m in self.modalities], dim=1)), None)


class Projected(Fusion):
    """Projects each embedding to `width`, by default the largest's; a subclass combines them; ReLU, dense C."""

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count | None = None):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.size = width or max(embedding_sizes.values())
        self.project = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], self.size) for m in self.modalities})
        self.classify: nn.Module = nn.Sequential(nn.ReLU(), nn.Linear(self.size, classes))

    def project_all(self, embeddings: Tensors) -> dict[str, Tensor]:
        """Per modality (B, D) -> (B, size)."""
        return {m: self.project[m](embeddings[m]) for m in self.modalities}

    def classify_mix(self, vectors: Tensors, weights: Tensors) -> Tensor:
        """Per modality vectors and weights, (B, size) each -> logits (B, C) of the weighted sum."""
        logits: Tensor = self.classify(sum_of(weights[m] * vectors[m] for m in self.modalities))
        return logits


class Average(Projected):
    """The mean of the projected embeddings of present modalities.

    Where all modalities are present it is `sum` at a scale that the next layer can undo; where one is absent, the mean
    of the others has the same scale.
    """

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); weights are the shares in the mean."""
        shares = self.shares(present)
        return Combined(
            self.classify_mix(self.project_all(embeddings), {m: s[:, None] for m, s in shares.items()}), shares
        )


class Sum(Projected):
    """The sum of the projected embeddings of present modalities.

    It equals what `concat` computes before its ReLU, in a layer as wide as the largest embedding in place of 64.
    """

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights."""
        there = {m: present[m][:, None].float() for m in self.modalities}
        return Combined(self.classify_mix(self.project_all(embeddings), there), None)


class Max(Projected):
    """The elementwise maximum of the projected embeddings of present modalities; normalised, dense 64, dense C.

    A single layer after it could represent interactions of the modalities, but is not found by training.
    """

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count | None = None):
        super().__init__(embedding_sizes, stage_channels, classes, width=width)
        self.classify = nn.Sequential(nn.LayerNorm(self.size), dense(self.size, classes))

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights."""
        vectors = self.project_all(embeddings)
        there = [torch.where(present[m][:, None], vectors[m], ABSENT) for m in self.modalities]
        return Combined(self.classify(torch.stack(there).amax(0)), None)


class Gated(Projected):
    """Gated multimodal unit (Arevalo et al., 2017): tanh of each projection, mixed elementwise.

    The gates read all embeddings. They are a softmax over the modalities, which for two is the paper's z and 1 - z.
    """

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count | None = None):
        super().__init__(embedding_sizes, stage_channels, classes, width=width)
        total = sum(embedding_sizes.values())
        self.gate = nn.ModuleDict({m: nn.Linear(total, self.size) for m in self.modalities})
        self.classify = nn.Linear(self.size, classes)

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); weights are the mean gates."""
        everything = torch.cat([embeddings[m] for m in self.modalities], dim=1)
        gates = self.softmax({m: self.gate[m](everything) for m in self.modalities}, present)
        hidden = {m: vector.tanh() for m, vector in self.project_all(embeddings).items()}
        return Combined(self.classify_mix(hidden, gates), {m: gate.mean(1) for m, gate in gates.items()})


class Attention(Projected):
    """Attention over the modalities: a softmax of one scalar for each, after Bahdanau et al. (2015)."""

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count | None = None):
        super().__init__(embedding_sizes, stage_channels, classes, width=width)
        self.score = nn.ModuleDict({m: nn.Linear(self.size, 1) for m in self.modalities})

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); weights are the attention."""
        vectors = self.project_all(embeddings)
        weights = self.softmax({m: self.score[m](vectors[m].tanh()) for m in self.modalities}, present)
        return Combined(self.classify_mix(vectors, weights), {m: w[:, 0] for m, w in weights.items()})


class Film(Projected):
    """Feature-wise linear modulation (Perez et al., 2018): the others scale and shift each projection."""

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count | None = None):
        super().__init__(embedding_sizes, stage_channels, classes, width=width)
        total = sum(embedding_sizes.values())
        self.modulate = nn.ModuleDict(
            {m: nn.Linear(total - embedding_sizes[m], 2 * self.size) for m in self.modalities}
        )

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights."""
        modulated = {}
        for m, vector in self.project_all(embeddings).items():
            others = torch.cat([embeddings[other] for other in self.modalities if other != m], dim=1)
            scale, shift = self.modulate[m](others).chunk(2, dim=1)
            modulated[m] = vector * (1 + scale) + shift
        there = {m: present[m][:, None].float() for m in self.modalities}
        return Combined(self.classify_mix(modulated, there), None)


class Bilinear(Fusion):
    """Low-rank multimodal fusion (Liu et al., 2018): the tensor product of all embeddings, never written out.

    Its weight tensor is a sum of `rank` products of one factor for each modality.
    """

    def __init__(
        self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, rank: Count = 4, width: Count = HIDDEN
    ):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.rank, self.width = rank, width
        # the bias of a factor is what the paper's 1, appended to each embedding, is multiplied by
        self.factor = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], rank * width) for m in self.modalities})
        self.over_ranks = nn.Linear(rank, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))
        self.classify = nn.Sequential(nn.ReLU(), nn.Linear(width, classes))

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights. An absent modality's factor is 1."""
        factors = [torch.where(present[m][:, None], self.factor[m](embeddings[m]), 1) for m in self.modalities]
        product = torch.stack(factors).prod(0).reshape(-1, self.width, self.rank)
        return Combined(self.classify(self.over_ranks(product)[:, :, 0] + self.bias), None)


class TensorFusion(Fusion):
    """Tensor fusion (Zadeh et al., 2017): the outer product of embeddings, each reduced to `size` and a 1; dense."""

    def __init__(
        self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, size: Count = 32, width: Count = HIDDEN
    ):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.reduce = nn.ModuleDict(
            {m: nn.Sequential(nn.Linear(embedding_sizes[m], size), nn.ReLU()) for m in self.modalities}
        )
        self.classify = dense((size + 1) ** len(self.modalities), classes, width)

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights. An absent modality contributes its 1 alone."""
        product = torch.ones(len(next(iter(embeddings.values()))), 1, device=next(iter(embeddings.values())).device)
        for m in self.modalities:
            reduced = torch.where(present[m][:, None], self.reduce[m](embeddings[m]), 0)
            factor = torch.cat([torch.ones_like(reduced[:, :1]), reduced], dim=1)
            product = (product[:, :, None] * factor[:, None, :]).flatten(1)
        return Combined(self.classify(product), None)


class Interaction(Fusion):
    """Multiplicative interactions (Jayakumar et al., 2020): one modality makes the dense layer that reads the other.

    Of more than two modalities, the pairs are summed. The result is normalised before the ReLU: products of embeddings
    that grow during training would leave half of the units without any gradient.
    """

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count = HIDDEN):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.width = width
        self.pairs = list(itertools.combinations(self.modalities, 2))
        self.weight, self.bias = nn.ModuleDict(), nn.ModuleDict()
        for a, b in self.pairs:
            self.weight[f"{a} {b}"] = nn.Linear(embedding_sizes[a], width * embedding_sizes[b])
            self.bias[f"{a} {b}"] = nn.Linear(embedding_sizes[a], width)
        self.classify = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, classes))

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights. Pairs that are not complete are left out."""
        read = []
        for a, b in self.pairs:
            weight = self.weight[f"{a} {b}"](embeddings[a]).unflatten(1, (self.width, -1))
            made = (weight @ embeddings[b][:, :, None])[:, :, 0] + self.bias[f"{a} {b}"](embeddings[a])
            read.append(torch.where((present[a] & present[b])[:, None], made, 0))
        return Combined(self.classify(sum_of(read)), None)


class Embrace(Projected):
    """EmbraceNet (Choi & Lee, 2019): each number of the joint vector is taken from one modality at random.

    The vector is long, so that every draw holds enough of each modality; normalisation, dense 64, dense C follow.
    Outside training the expected value over all draws is used, so that predictions are deterministic.
    """

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count = 512):
        super().__init__(embedding_sizes, stage_channels, classes, width=width)
        self.classify = nn.Sequential(nn.LayerNorm(width), dense(width, classes))

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); weights are the probabilities of being drawn."""
        shares = self.shares(present)
        docked = {m: vector.relu() for m, vector in self.project_all(embeddings).items()}
        chosen = {m: s[:, None] for m, s in shares.items()}
        if self.training:
            drawn = torch.rand_like(next(iter(docked.values())))
            upper = torch.zeros_like(drawn)
            for m in self.modalities:
                lower, upper = upper, upper + shares[m][:, None]
                chosen[m] = ((drawn >= lower) & (drawn < upper)).float()
        return Combined(self.classify_mix(docked, chosen), shares)


class Transformer(Fusion):
    """A plain transformer over one token of each modality and a class token, after SimBaMM (Rheude et al., 2025).

    The layers normalise first (Xiong et al., 2020); one dense layer reads the final class token. Absent modalities are
    not attended to. Deviations from the paper: an embedding is one token, where an encoder may give many; no dropout.
    """

    def __init__(
        self,
        embedding_sizes: Sizes,
        stage_channels: Channels,
        classes: int,
        *,
        width: Count = 64,
        heads: Few = 4,
        layers: Few = 2,
    ):
        super().__init__(embedding_sizes, stage_channels, classes)
        check_heads(width, heads)
        # the bias of its projection identifies a token's modality
        self.token = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], width) for m in self.modalities})
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                2 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(layers)
        )
        self.classify = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, classes))

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights."""
        read = torch.stack([self.token[m](embeddings[m]) for m in self.modalities], 1)
        tokens = torch.cat([self.class_token.expand(len(read), -1, -1), read], 1)
        absent = ~torch.stack([present[m] for m in self.modalities], 1)
        not_attended = nn.functional.pad(absent, (1, 0))  # the class token is always present
        for layer in self.layers:
            tokens = layer(tokens, src_key_padding_mask=not_attended)
        return Combined(self.classify(tokens[:, 0]), None)
