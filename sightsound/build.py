"""From a configuration to what it describes: the network with fresh weights, what fills in, the spectrogram."""

from __future__ import annotations

import zlib
from typing import cast

import torch
from torch import nn

from sightsound.config import Config, clip_seconds, image_shape
from sightsound.encoders import ENCODERS, pretrained
from sightsound.encoders.base import Encoder
from sightsound.features.audio import LogMel
from sightsound.features.image import ChannelsFirst, Standardize
from sightsound.features.pretrained import CheckpointFeatures
from sightsound.fusion import STRATEGIES, Fusion
from sightsound.fusion.search import Search
from sightsound.missing import IMPUTERS, Imputers
from sightsound.model import ClassifierNetwork, sizes_of
from sightsound.registry import resolve


def build_network(config: Config, classes: int) -> ClassifierNetwork:
    """The network that a configuration with all sizes filled in describes, with fresh weights of its seed.

    A modality's encoder and head begin with the same weights whatever is beside them.

    Raises:
        ConfigError: an unknown encoder or strategy, or sizes that do not suit it.
    """
    features: dict[str, nn.Module] = {}
    standardize: dict[str, nn.Module] = {}
    encoders: dict[str, Encoder] = {}
    heads: dict[str, nn.Module] = {}
    for modality in config.modalities:
        if modality == "image":
            height, width, channels = image_shape(config)
            features[modality], standardize[modality] = ChannelsFirst(), Standardize(channels)
            shape: tuple[int, ...] = (channels, height, width)
        else:
            heard = _heard(config)
            features[modality], standardize[modality], shape = heard, Standardize(), heard.shape
        chosen = getattr(config, modality)
        _seed(config, modality)
        if chosen.pretrained:
            encoders[modality] = pretrained.build(chosen.pretrained, modality, shape)
        else:
            encoders[modality] = resolve(f"{modality} encoder", chosen.encoder, ENCODERS[modality])(shape)
        heads[modality] = nn.Linear(encoders[modality].embedding_size, classes)
    strategy = resolve("fusion strategy", config.fusion, STRATEGIES)
    if len(encoders) == 1:
        strategy = Fusion  # nothing to fuse: the one head answers, and no parameter idles
    _seed(config, "fusion")
    fusion = strategy(*sizes_of(encoders), classes)
    if config.joins and isinstance(fusion, Search):
        fusion.rewire(config.joins)
    return ClassifierNetwork(features, standardize, encoders, heads, fusion, classes)


def _seed(config: Config, name: str) -> None:
    """What is drawn from here on depends on the seed and the name of a part alone."""
    torch.manual_seed(zlib.crc32(f"{config.seed} {name}".encode()))


def new_imputers(network: ClassifierNetwork, policy: str) -> Imputers:
    """What a policy fills in each modality of a network with, before it has learnt. Raises ConfigError."""
    kind = resolve("policy for what is missing", policy, IMPUTERS)
    sizes = {m: cast(Encoder, network.encoders[m]).embedding_size for m in network.modalities}
    return Imputers(dict.fromkeys(network.modalities, kind), sizes)


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
