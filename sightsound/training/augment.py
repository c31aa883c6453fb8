"""The augmentation of one training, step by step: waveforms, features, presence, rows blended into others."""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from sightsound.config import Config
from sightsound.encoders.base import Encoder
from sightsound.features.augment import mix
from sightsound.fusion.base import like
from sightsound.hardware import reseed
from sightsound.missing import Impute
from sightsound.modalities.base import every_modality, modality
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.balances import Auxiliary
from sightsound.training.views import one_of_each
from sightsound.types import Batch, FeatureBatch


class Featurizing(Protocol):
    """A network that computes features of decoded files before its encoders."""

    encoders: nn.ModuleDict

    def featurize(self, batch: Batch) -> FeatureBatch:
        """Decoded files -> features."""


class Augment:
    """Augments batches of decoded files on their way to features.

    Args:
        config: the resolved configuration; its `augment` gives the strength of each change, its `modality_dropout` the
            share of the complete rows in which one modality is hidden (Neverova et al., ModDrop, 2016).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.of = {one.name: one.augmentation(config) for one in every_modality()}

    def __call__(self, network: Featurizing, batch: Batch) -> FeatureBatch:
        """Decoded files (or what is cached of them) -> features, changed; of cached embeddings a view is drawn."""
        inputs = dict(batch.inputs)
        # a seed for each: what happens to one modality must not depend on which others are present
        stages = [(one.name, stage) for one in every_modality() for stage in one.augmented]
        *drawn, of_rest = torch.randint(2**31, (len(stages) + 1,)).tolist()
        seeds = dict(zip(stages, drawn, strict=True))
        changing = [m for m in inputs if cast(Encoder, network.encoders[m]).takes_features]
        for m in changing:
            if change := self.of[m].decoded:
                reseed(seeds[m, "decoded"])
                inputs[m] = change(inputs[m])
        for m in inputs:
            if m not in changing and inputs[m].dim() > 2:
                reseed(seeds[m, modality(m).augmented[-1]])
                inputs[m] = one_of_each(inputs[m])
        features = network.featurize(batch._replace(inputs=inputs))
        inputs = dict(features.inputs)
        for m in changing:
            if change := self.of[m].features:
                reseed(seeds[m, "features"])
                inputs[m] = change(inputs[m])
        reseed(of_rest)
        return FeatureBatch(inputs, hide_some(batch.present, self.config.modality_dropout), batch.target)

    def loss(
        self,
        network: ClassifierNetwork,
        batch: FeatureBatch,
        balance: Auxiliary,
        impute: Impute | None = None,
    ) -> Tensor:
        """Computes a scalar; with mixup, rows that have the same modalities are blended, and so are their losses.

        `impute` imputes the embeddings of absent modalities.
        """
        if batch.target is None:
            raise ValueError("training needs targets")
        target = batch.target
        if not self.config.augment.mixup:
            return balance.loss(network.fuse(batch, impute, balance.flow, some_shown(batch.present)), batch, target)
        concentration = torch.tensor(self.config.augment.mixup)
        order = torch.randperm(len(target)).to(target.device)
        share = torch.distributions.Beta(concentration, concentration).sample((len(order),)).to(order.device)
        alike = torch.stack([flags == flags[order] for flags in batch.present.values()]).all(0)
        share = torch.where(alike, share, 1.0)
        inputs = {m: torch.where(like(alike, x), mix(x, order, share), x.float()) for m, x in batch.inputs.items()}
        batch = batch._replace(inputs=inputs)
        output = network.fuse(batch, impute, balance.flow, some_shown(batch.present))
        return balance.loss(output, batch, target, share) + balance.loss(output, batch, target[order], 1 - share)


def some_shown(present: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Draws the modalities that are active in the strategy, where there are more than two; None: all of them.

    A strategy trained on complete rows only does not generalise to pairs: of a row with three modalities or more a
    random subset of two or more is active, each size equally often. The heads get every modality.

    Args:
        present: per modality (B,) bool.
    """
    if len(present) <= 2:
        return None
    flags = torch.stack(list(present.values()))  # (M, B)
    count = flags.sum(0)
    keep = 2 + (torch.rand(len(count), device=flags.device) * (count - 1).clamp_min(1)).long()
    drawn = torch.where(flags, torch.rand(flags.shape, device=flags.device), 2.0)
    shown = flags & (drawn.argsort(0).argsort(0) < keep)
    return dict(zip(present, shown, strict=True))


def hide_some(present: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Hides one modality, drawn evenly, in a share of the rows that have all of several; per modality (B,) bool."""
    if len(present) < 2 or share == 0:
        return present
    flags = torch.stack(list(present.values()))  # (M, B)
    chosen = torch.rand(flags.shape[1], device=flags.device) < share
    victim = torch.randint(len(present), (flags.shape[1],), device=flags.device)
    hidden = chosen & flags.all(0)
    return {m: p & ~(hidden & (victim == i)) for i, (m, p) in enumerate(present.items())}
