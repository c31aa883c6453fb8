"""The chance changes of one training, in their places: waveforms, features, presence, rows blended into others."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from sightsound.config import Config
from sightsound.encoders.base import Embedded
from sightsound.features.augment import AugmentImage, AugmentWaveform, FilterFrames, MaskFrames, mix
from sightsound.fusion.base import like
from sightsound.hardware import reseed
from sightsound.missing import Impute
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.balances import Auxiliary
from sightsound.types import Batch


class Featurizing(Protocol):
    """A network that makes features of decoded files before its encoders see them."""

    encoders: nn.ModuleDict

    def featurize(self, batch: Batch) -> Batch:
        """Decoded files -> features."""


class Augment:
    """Changes batches of decoded files on their way to features.

    Args:
        config: with everything filled in; its `augment` says how much of what, its `modality_dropout` in which share of
            the complete rows one modality is hidden (Neverova et al., ModDrop, 2016).
    """

    def __init__(self, config: Config) -> None:
        given = config.augment
        shift = round(given.audio_shift_seconds * config.audio.sample_rate_hz)
        self.wave = AugmentWaveform(given.audio_speed, given.audio_gain_db, shift, given.audio_noise)
        self.image = AugmentImage(given.image_shift, given.image_rotate_degrees, given.image_erase, given.image_flip)
        self.masks = nn.Sequential(FilterFrames(given.audio_filter_db), MaskFrames(given.audio_masks))
        self.config = config

    def __call__(self, network: Featurizing, batch: Batch) -> Batch:
        """Decoded files (or what is kept of them) -> features, changed; kept embeddings stay as they are."""
        given, inputs = self.config.augment, dict(batch.inputs)
        # numbers of their own for each: what happens to one modality must not depend on which others are there
        of_image, of_wave, of_frames, of_rest = torch.randint(2**31, (4,)).tolist()
        changing = [m for m in inputs if not isinstance(network.encoders[m], Embedded)]
        if "audio" in changing and given.audio:
            reseed(of_wave)
            inputs["audio"] = self.wave(inputs["audio"])
        batch = network.featurize(batch._replace(inputs=inputs))
        inputs = dict(batch.inputs)
        if "image" in changing and given.image:
            reseed(of_image)
            inputs["image"] = self.image(inputs["image"])
        if (
            "audio" in changing and inputs["audio"].dim() == 3
        ):  # not for waveforms, which some encoders take as they are
            reseed(of_frames)
            inputs["audio"] = self.masks(inputs["audio"])
        reseed(of_rest)
        return Batch(inputs, hide_some(batch.present, self.config.modality_dropout), batch.target)

    def loss(
        self,
        network: ClassifierNetwork,
        batch: Batch,
        balance: Auxiliary,
        impute: Impute | None = None,
    ) -> Tensor:
        """A scalar; with mixup, rows that have the same modalities are blended, and so are their losses.

        `impute` imputes the embeddings of absent modalities.
        """
        if batch.target is None:
            raise ValueError("training needs targets")
        target = batch.target
        if not self.config.augment.mixup:
            return balance.loss(network.fuse(batch, impute, balance.flow), batch, target)
        concentration = torch.tensor(self.config.augment.mixup)
        order = torch.randperm(len(target)).to(target.device)
        share = torch.distributions.Beta(concentration, concentration).sample((len(order),)).to(order.device)
        alike = torch.stack([flags == flags[order] for flags in batch.present.values()]).all(0)
        share = torch.where(alike, share, 1.0)
        inputs = {m: torch.where(like(alike, x), mix(x, order, share), x.float()) for m, x in batch.inputs.items()}
        batch = batch._replace(inputs=inputs)
        output = network.fuse(batch, impute, balance.flow)
        return balance.loss(output, batch, target, share) + balance.loss(output, batch, target[order], 1 - share)


def hide_some(present: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Hides one modality, drawn evenly, in a share of the rows that have all of several; per modality (B,) bool."""
    if len(present) < 2 or share == 0:
        return present
    flags = torch.stack(list(present.values()))  # (M, B)
    chosen = torch.rand(flags.shape[1], device=flags.device) < share
    victim = torch.randint(len(present), (flags.shape[1],), device=flags.device)
    hidden = chosen & flags.all(0)
    return {m: p & ~(hidden & (victim == i)) for i, (m, p) in enumerate(present.items())}
