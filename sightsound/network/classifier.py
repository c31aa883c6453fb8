"""The classifier network: features, an encoder and a head per modality, one fusion strategy, and their calibration.

One loop serves all three families: after each stage the strategy may exchange, at the end it combines. Beside the maps
that are exchanged, each modality has its unimodal maps; its head reads these, so that no other modality affects it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sightsound.encoders.base import STAGES, Encoder
from sightsound.features.image import Standardize
from sightsound.fusion import Fusion
from sightsound.fusion.base import like
from sightsound.missing import Impute
from sightsound.missing.combine import completed_presence, put_in, weigh_by_certainty
from sightsound.network.calibration import Calibration
from sightsound.network.decision import Decision
from sightsound.network.losses import RowLoss
from sightsound.types import Batch, FeatureBatch, Output

SQUARED_NORM = 128.0  # of frozen embeddings, in the mean: as of 128 standardised numbers
LEAST_NORM = 1e-9  # where all embeddings are the same, there is nothing to scale
LEAST_DEVIATION = 0.01  # lower bound, so that noise in an almost constant dimension of an embedding is not amplified


class GradientFlow(NamedTuple):
    """Which losses reach the encoders; all of them, unless a balance says otherwise.

    Attributes:
        unimodal: whether the losses of the heads reach them.
        fused: whether the loss of the fused answer reaches them, and the heads with them.
    """

    unimodal: bool = True
    fused: bool = True


EVERY_LOSS = GradientFlow()


class Encoded(NamedTuple):
    """Embeddings (B, D) per modality.

    Attributes:
        unimodal: embeddings computed without the other modalities.
        fused: embeddings after the strategy's exchange; equal to `unimodal` where the strategy has none.
        shared: the strategy's own state after the last stage, or None.
    """

    unimodal: dict[str, Tensor]
    fused: dict[str, Tensor]
    shared: Tensor | None


class ClassifierNetwork(nn.Module):
    """Decoded images and waveforms in, logits out.

    Args:
        features: per modality, decoded -> features, without parameters.
        standardize: per modality, features -> mean 0, standard deviation 1.
        encoders: the encoder of each modality.
        heads: per modality, embeddings (B, D) -> logits (B, C).
        fusion: the strategy.
        classes: C.
    """

    def __init__(
        self,
        features: dict[str, nn.Module],
        standardize: dict[str, nn.Module],
        encoders: dict[str, Encoder],
        heads: dict[str, nn.Module],
        fusion: Fusion,
        classes: int,
    ) -> None:
        super().__init__()
        self.modalities = list(encoders)
        self.features = nn.ModuleDict(features)
        self.standardize = nn.ModuleDict(standardize)
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.classes = classes
        self.row_loss = RowLoss(classes)
        self.decision = Decision()
        # standardises the inputs of heads and strategies; the identity unless it was fitted
        self.embedding_scale = nn.ModuleDict({m: Standardize(encoders[m].embedding_size, 0) for m in self.modalities})
        self.heads = nn.ModuleDict(heads)
        self.calibration = Calibration(self.modalities)

    def with_parts(self, fusion: Fusion | None = None, **parts: Mapping[str, nn.Module]) -> ClassifierNetwork:
        """Returns a network with some parts replaced. It shares all other parts: training one network trains both.

        Args:
            fusion: another strategy.
            parts: features, standardize, encoders or embedding_scale: modality -> the module to take its place.
        """
        names = ("features", "standardize", "encoders", "heads", "embedding_scale")
        every: dict[str, Any] = {name: {**dict(getattr(self, name).items()), **parts.get(name, {})} for name in names}
        scale = nn.ModuleDict(every.pop("embedding_scale"))
        view = ClassifierNetwork(**every, fusion=fusion or self.fusion, classes=self.classes)
        view.embedding_scale, view.calibration, view.row_loss = scale, self.calibration, self.row_loss
        view.decision = self.decision
        return view

    @property
    def device(self) -> torch.device:
        """Where the network is, and where its batches must be."""
        return self.calibration.temperature.device

    def forward(self, batch: Batch) -> Output:
        """Decoded inputs -> `Output`."""
        return self.fuse(self.featurize(batch))

    def featurize(self, batch: Batch) -> FeatureBatch:
        """Decoded inputs -> features; nothing here is trained, so training does it once for each file."""
        inputs = {m: self.features[m](batch.inputs[m]) for m in self.modalities}
        return FeatureBatch(inputs, batch.present, batch.target)

    def fuse(
        self,
        batch: FeatureBatch,
        impute: Impute | None = None,
        flow: GradientFlow = EVERY_LOSS,
        shown: dict[str, Tensor] | None = None,
    ) -> Output:
        """Features -> `Output`, by the loop that serves every strategy.

        Args:
            batch: features.
            impute: imputes the embeddings of absent modalities.
            flow: which losses reach the encoders.
            shown: per modality (B,) bool, the modalities that are active in the strategy; default: all present ones.
        """
        present = {m: batch.present[m] for m in self.modalities}
        shown = shown or present
        return self._decide(self.encode(batch.inputs, present, flow, shown), present, impute, flow, shown)

    @torch.no_grad()
    def fit_embedding_scale(self, features: dict[str, Tensor]) -> None:
        """Standardises each dimension of the embeddings over some rows' features (n, ...).

        Untrained encoders put all rows close to one point, where a strategy cannot tell them apart.
        """
        self.eval()
        for m, values in features.items():
            embedding = self._encoder(m)(self.standardize[m](values)).float()
            standardize = cast(Standardize, self.embedding_scale[m])
            standardize.fit(embedding)
            standardize.std.clamp_(min=LEAST_DEVIATION)

    def fit_embedding_norm(self, m: str, embeddings: Tensor) -> None:
        """Centres a modality's embeddings, and scales them by one factor to the mean squared norm that all have.

        A frozen encoder keeps its scale, whatever that is: in a strategy, the embeddings with more or larger numbers
        would outweigh the others. `embeddings` are (n, D) of some rows, not scaled.
        """
        standardize = cast(Standardize, self.embedding_scale[m])
        standardize.fit(embeddings.float())
        squared_norm = float(embeddings.float().var(0, correction=0).sum())  # their mean, once centred
        standardize.std.fill_(math.sqrt(squared_norm / SQUARED_NORM) if squared_norm > LEAST_NORM else 1.0)

    @property
    def exchanges(self) -> bool:
        """Whether the strategy lets the encoders exchange information, as hierarchical ones do."""
        return self.fusion.exchanges()

    def fuse_subsets(
        self, batch: FeatureBatch, subsets: list[tuple[str, ...]], impute: Impute | None = None
    ) -> list[Output]:
        """What `fuse` says when it is shown the modalities of each subset alone; `impute` acts where it is shown all.

        One pass through the encoders serves all subsets, except proper subsets of several modalities where the
        strategy exchanges between the encoders.
        """
        everything = {m: batch.present[m] for m in self.modalities}
        encoded = self.encode(batch.inputs, everything)
        outputs = []
        for subset in subsets:
            present = {m: p if m in subset else torch.zeros_like(p) for m, p in everything.items()}
            anew = self.exchanges and 1 < len(subset) < len(self.modalities)
            imputed = impute if len(subset) == len(self.modalities) else None
            outputs.append(self._decide(self.encode(batch.inputs, present) if anew else encoded, present, imputed))
        return outputs

    def encode(
        self,
        features: dict[str, Tensor],
        present: dict[str, Tensor],
        flow: GradientFlow = EVERY_LOSS,
        shown: dict[str, Tensor] | None = None,
    ) -> Encoded:
        """Per modality features -> embeddings (B, D), unimodal and with the strategy's exchange after each stage.

        Until the first exchange both are the same and computed once.
        """
        # zeros before anything is computed: the input of an absent modality may be NaN, which no later mask can undo
        unimodal = {m: _keep(present[m], self.standardize[m](features[m])) for m in self.modalities}
        fused, shared = unimodal, None
        for k in range(STAGES):
            stages = {m: self._encoder(m).stages[k] for m in self.modalities}
            unimodal, fused = self._both(stages, unimodal, fused, flow)
            read = _to_fuse(fused, flow) if fused is unimodal else fused
            maps, shared = self.fusion.exchange(k, read, shown or present, shared)
            fused = fused if maps is read else dict(maps)
        unimodal, fused = self._both({m: self._encoder(m).pool for m in self.modalities}, unimodal, fused, flow)
        alone = {m: self.embedding_scale[m](z.float()) for m, z in unimodal.items()}
        if fused is unimodal:
            return Encoded(alone, _to_fuse(alone, flow), shared)
        return Encoded(alone, {m: self.embedding_scale[m](z.float()) for m, z in fused.items()}, shared)

    def _decide(
        self,
        encoded: Encoded,
        present: dict[str, Tensor],
        impute: Impute | None,
        flow: GradientFlow = EVERY_LOSS,
        shown: dict[str, Tensor] | None = None,
    ) -> Output:
        """Embeddings (B, D) -> `Output`."""
        shown = shown or present
        unimodal = {m: _keep(present[m], encoded.unimodal[m]) for m in self.modalities}
        fused = unimodal
        if encoded.fused is not encoded.unimodal or shown is not present:
            fused = {m: _keep(shown[m], encoded.fused[m]) for m in self.modalities}
        logits, weights, unimodal_logits = self._answer(unimodal, fused, present, encoded.shared, flow, shown)
        if impute is None or len(self.modalities) == 1:
            return Output(logits, unimodal_logits, weights, unimodal)
        imputed = impute({m: z.detach() for m, z in unimodal.items()}, present)
        there = completed_presence(imputed, present)
        guesses = [
            self._answer(put_in(imputed, k, unimodal), put_in(imputed, k, fused), there, encoded.shared, flow)
            for k in range(max(f.values.shape[1] for f in imputed.values()))
        ]
        answer = weigh_by_certainty(logits, [guess for guess, _, _ in guesses], imputed)
        return Output(answer, unimodal_logits, guesses[0][1], unimodal, imputed)

    def _answer(
        self,
        unimodal: dict[str, Tensor],
        fused: dict[str, Tensor],
        present: dict[str, Tensor],
        shared: Tensor | None,
        flow: GradientFlow,
        shown: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor] | None, dict[str, Tensor]]:
        """Embeddings (B, D), zeros where absent -> fused logits (B, C), weights (B,) or None, unimodal logits."""
        # heads and strategies are small: half precision would cost accuracy here and save no time
        with torch.autocast(unimodal[self.modalities[0]].device.type, enabled=False):
            read = unimodal if flow.unimodal else {m: z.detach() for m, z in unimodal.items()}
            unimodal_logits = {m: _keep(present[m], self.heads[m](read[m])) for m in self.modalities}
            calibrated = _to_fuse(self.calibration.unimodal(unimodal_logits), flow)
            if shown is not None and shown is not present:
                present, calibrated = shown, {m: _keep(shown[m], x) for m, x in calibrated.items()}
            logits, weights = self.fusion.combine(fused, calibrated, present, shared)
        answer, shares = self.calibration.answer(logits, calibrated, present)
        if weights is not None and not self.training:
            weights = {m: shares[:, 0] * weights[m] + shares[:, 1 + i] for i, m in enumerate(self.modalities)}
        return answer, weights, unimodal_logits

    @staticmethod
    def _both(
        modules: dict[str, nn.Module], unimodal: dict[str, Tensor], fused: dict[str, Tensor], flow: GradientFlow
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Applies the modules to both sets of maps; once, where these are the same."""
        after = {m: module(unimodal[m]) for m, module in modules.items()}
        if fused is unimodal:
            return after, after
        if flow.fused:
            return after, {m: module(fused[m]) for m, module in modules.items()}
        return after, {m: _as_it_is(module, fused[m]) for m, module in modules.items()}

    def _encoder(self, modality: str) -> Encoder:
        return cast(Encoder, self.encoders[modality])


def _to_fuse(made: dict[str, Tensor], flow: GradientFlow) -> dict[str, Tensor]:
    """Detaches the outputs of encoders or heads from the fused loss where the gradient flow asks for it."""
    return made if flow.fused else {m: x.detach() for m, x in made.items()}


def _as_it_is(module: nn.Module, values: Tensor) -> Tensor:
    """Applies the module with constant parameters: gradients reach the values and not its parameters."""
    fixed = {name: parameter.detach() for name, parameter in module.named_parameters()}
    made: Tensor = functional_call(module, fixed, (values,))
    return made


def _keep(present: Tensor, values: Tensor) -> Tensor:
    """Replaces values (B, ...) by zeros where not present (B,)."""
    return torch.where(like(present, values), values, 0)
