"""The classifier network: features, an encoder and a head per modality, and one fusion strategy.

One loop serves all three families: after each stage the strategy may exchange, at the end it combines.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from sightsound.config import Config, clip_seconds, image_shape
from sightsound.encoders import ENCODERS, pretrained
from sightsound.encoders.base import STAGES, Encoder
from sightsound.features.audio import LogMel
from sightsound.features.image import ChannelsFirst, Standardize
from sightsound.features.pretrained import CheckpointFeatures
from sightsound.fusion import STRATEGIES, Fusion
from sightsound.registry import resolve
from sightsound.types import Batch, Output


class ClassifierNetwork(nn.Module):
    """Decoded images and waveforms in, logits out.

    Args:
        features: per modality, decoded -> features, without parameters.
        standardize: per modality, features -> mean 0, deviation 1.
        encoders: per modality.
        fusion: the strategy.
        classes: C.
    """

    def __init__(
        self,
        features: dict[str, nn.Module],
        standardize: dict[str, nn.Module],
        encoders: dict[str, Encoder],
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
        self.heads = nn.ModuleDict({m: nn.Linear(encoders[m].embedding_size, classes) for m in self.modalities})

    def forward(self, batch: Batch) -> Output:
        """Decoded inputs -> `Output`."""
        return self.fuse(self.featurize(batch))

    def featurize(self, batch: Batch) -> Batch:
        """Decoded inputs -> features; nothing here is trained, so training does it once for each file."""
        return batch._replace(inputs={m: self.features[m](batch.inputs[m]) for m in self.modalities})

    def fuse(self, batch: Batch) -> Output:
        """Features -> `Output`: the one loop of every strategy."""
        present = {m: batch.present[m] for m in self.modalities}
        return self._decide(self._encode(batch.inputs, present), present)

    @property
    def exchanges(self) -> bool:
        """Whether the strategy lets the encoders exchange information, as hierarchical ones do."""
        return type(self.fusion).exchange is not Fusion.exchange

    def fuse_subsets(self, batch: Batch, subsets: list[tuple[str, ...]]) -> list[Output]:
        """What `fuse` says when it is shown the modalities of each subset alone.

        Strategies without an exchange between the encoders need one pass through these for all subsets.
        """
        shown = [
            {m: batch.present[m] if m in subset else torch.zeros_like(batch.present[m]) for m in self.modalities}
            for subset in subsets
        ]
        if self.exchanges:
            return [self.fuse(batch._replace(present=present)) for present in shown]
        embeddings = self._encode(batch.inputs, {m: batch.present[m] for m in self.modalities})
        return [self._decide(embeddings, present) for present in shown]

    def _encode(self, features: dict[str, Tensor], present: dict[str, Tensor]) -> dict[str, Tensor]:
        """Per modality features -> embedding (B, D), with the strategy's exchange after each stage."""
        # zeros before anything is computed: behind an absent flag there may be NaN, which no later mask can undo
        x = {m: _keep(present[m], self.standardize[m](features[m])) for m in self.modalities}
        for k in range(STAGES):
            x = {m: self._encoder(m).stages[k](x[m]) for m in self.modalities}
            x = dict(self.fusion.exchange(k, x, present))
        return {m: self._encoder(m).pool(x[m]).float() for m in self.modalities}

    def _decide(self, embeddings: dict[str, Tensor], present: dict[str, Tensor]) -> Output:
        """Per modality embedding (B, D) -> `Output`."""
        embeddings = {m: _keep(present[m], embeddings[m]) for m in self.modalities}
        # heads and strategies are small: half precision would cost accuracy here and win no time
        with torch.autocast(embeddings[self.modalities[0]].device.type, enabled=False):
            scores = {m: _keep(present[m], self.heads[m](embeddings[m])) for m in self.modalities}
            logits, weights = self.fusion.combine(embeddings, scores, present)
        own = torch.stack([scores[m] for m in self.modalities]).sum(0)
        alone = torch.stack([present[m] for m in self.modalities]).sum(0) == 1
        return Output(torch.where(alone[:, None], own, logits), scores, weights)

    def _encoder(self, modality: str) -> Encoder:
        return cast(Encoder, self.encoders[modality])


def build_network(config: Config, classes: int) -> ClassifierNetwork:
    """The network that a configuration with all sizes filled in describes, with fresh weights.

    Raises:
        ConfigError: an unknown encoder or strategy, or sizes that do not suit it.
    """
    features: dict[str, nn.Module] = {}
    standardize: dict[str, nn.Module] = {}
    encoders: dict[str, Encoder] = {}
    for modality in config.modalities:
        if modality == "image":
            height, width, channels = image_shape(config)
            features[modality], standardize[modality] = ChannelsFirst(), Standardize(channels)
            shape: tuple[int, ...] = (channels, height, width)
        else:
            heard = _heard(config)
            features[modality], standardize[modality], shape = heard, Standardize(), heard.shape
        chosen = getattr(config, modality)
        if chosen.pretrained:
            encoders[modality] = pretrained.build(chosen.pretrained, modality, shape)
        else:
            encoders[modality] = resolve(f"{modality} encoder", chosen.encoder, ENCODERS[modality])(shape)
    strategy = resolve("fusion strategy", config.fusion, STRATEGIES)
    if len(encoders) == 1:
        strategy = Fusion  # nothing to fuse: the one head answers, and no parameter idles
    fusion = strategy(
        {m: e.embedding_size for m, e in encoders.items()}, {m: e.stage_channels for m, e in encoders.items()}, classes
    )
    return ClassifierNetwork(features, standardize, encoders, fusion, classes)


def log_mel(config: Config) -> LogMel:
    """The spectrogram of a configuration with all sizes filled in."""
    audio = config.audio
    return LogMel(audio.sample_rate_hz, clip_seconds(config), audio.window_ms, audio.hop_ms, audio.mel_bins)


def _heard(config: Config) -> LogMel | CheckpointFeatures:
    """What makes features of waveforms: a checkpoint's own way, where the encoder is one."""
    audio = config.audio
    if audio.pretrained:
        samples = round(audio.sample_rate_hz * clip_seconds(config))
        return CheckpointFeatures(audio.pretrained["processor"], audio.sample_rate_hz, samples)
    return log_mel(config)


def _keep(present: Tensor, values: Tensor) -> Tensor:
    """Values (B, ...) where present (B,), zeros elsewhere."""
    return torch.where(present.reshape(-1, *[1] * (values.dim() - 1)), values, 0)
