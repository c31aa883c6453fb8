"""From a configuration to what it describes: the network with fresh weights, what fills in, the spectrogram."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from sightsound.bundle import Bundle
from sightsound.config import Config, clip_seconds, image_shape, imputing_policies
from sightsound.encoders import ENCODERS, pretrained
from sightsound.encoders.base import Encoder
from sightsound.errors import ConfigError
from sightsound.features.audio import LogMel, frames
from sightsound.features.image import ChannelsFirst, Standardize
from sightsound.features.pretrained import CheckpointFeatures
from sightsound.fusion import STRATEGIES, Fusion
from sightsound.fusion.search import Search
from sightsound.missing import IMPUTERS, Imputer, Imputers
from sightsound.network.classifier import ClassifierNetwork, sizes_of
from sightsound.registry import resolve


def build_network(config: Config, classes: int, trust: bool = True) -> ClassifierNetwork:
    """The network that a configuration with all sizes filled in describes, with fresh weights of its seed.

    A modality's encoder and head begin with the same weights whatever is beside them. The caller's random numbers go on
    as if nothing had been drawn.

    Args:
        config: with all sizes filled in.
        classes: C.
        trust: whether modules may be imported for encoders and strategies that are not registered.

    Raises:
        ConfigError: an unknown encoder or strategy, or sizes that do not suit it; TrustError.
    """
    with torch.random.fork_rng(devices=[]):
        return _built(config, classes, trust)


def _built(config: Config, classes: int, trust: bool) -> ClassifierNetwork:
    """Draws from torch's own generator, seeded for each part."""
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
            encoders[modality] = _encoder_class(config, modality, trust)(shape)
        heads[modality] = nn.Linear(encoders[modality].embedding_size, classes)
    strategy = resolve("fusion strategy", config.fusion, STRATEGIES, Fusion, trust)
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


def restore_network(bundle: Bundle, trust: bool) -> tuple[ClassifierNetwork, dict[str, Imputers]]:
    """The network of a bundle, and what imputes by each policy.

    Raises:
        ConfigError: the weights are not those that the configuration describes; TrustError.
    """
    check_weights(bundle.config, len(bundle.labels), bundle.weights, trust)
    for name, weight in bundle.weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ConfigError(f"{name} has numbers that are not finite; this is no trained classifier")
    network = build_network(bundle.config, len(bundle.labels), trust)
    with torch.random.fork_rng(devices=[]):  # fresh weights, which the saved ones then replace
        imputers = {policy: new_imputers(network, policy, trust) for policy in bundle.imputers}
    try:
        network.load_state_dict(bundle.weights)
        for policy, weights in bundle.imputers.items():
            imputers[policy].load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"the weights do not fit what config.json describes: {error}") from error
    if not network.calibration.is_valid():
        raise ConfigError("the guard's shares do not sum to 1, or a temperature is not above 0")
    return network, imputers


def _encoder_class(config: Config, modality: str, trust: bool) -> type[Encoder]:
    return resolve(f"{modality} encoder", getattr(config, modality).encoder, ENCODERS[modality], Encoder, trust)


def import_own(config: Config) -> None:
    """Imports what somebody who gave this configuration named of their own. Raises ConfigError."""
    for modality in config.modalities:
        if not getattr(config, modality).encoder.startswith(pretrained.PREFIX):
            _encoder_class(config, modality, trust=True)
    resolve("fusion strategy", config.fusion, STRATEGIES, Fusion)
    for policy in imputing_policies(config).values():
        resolve("policy for what is missing", policy, IMPUTERS, Imputer)


def check_weights(config: Config, classes: int, weights: Mapping[str, Tensor], trust: bool) -> None:
    """Refuses a configuration that is not the one of these weights, before anything of its size is allocated.

    Raises:
        ConfigError: heads or encoders have other shapes; TrustError.
    """
    for modality in config.modalities:
        chosen = getattr(config, modality)
        head = weights.get(f"heads.{modality}.weight")
        if head is None or len(head) != classes:
            raise ConfigError(f"the weights are not those of {classes} classes told from the {modality}")
        prefix = f"encoders.{modality}."
        saved = {name.removeprefix(prefix): x.shape for name, x in weights.items() if name.startswith(prefix)}
        if chosen.pretrained:
            most = 2 * sum(shape.numel() for shape in saved.values()) + 1_000_000  # heads and poolers are dropped
            pretrained.check_size(chosen.pretrained, modality, most)
        elif chosen.encoder in ENCODERS[modality]:
            with torch.device("meta"):  # shapes without numbers
                encoder = _encoder_class(config, modality, trust)(_feature_shape(config, modality))
            if {name: x.shape for name, x in encoder.state_dict().items()} != saved:
                raise ConfigError(f"the weights are not those of the {modality} encoder {chosen.encoder} of this size")


def _feature_shape(config: Config, modality: str) -> tuple[int, ...]:
    """Of one row, where the features are our own."""
    if modality == "image":
        height, width, channels = image_shape(config)
        return channels, height, width
    audio = config.audio
    return frames(audio.sample_rate_hz, clip_seconds(config), audio.hop_ms), audio.mel_bins


def new_imputers(network: ClassifierNetwork, policy: str, trust: bool = True) -> Imputers:
    """What a policy imputes each modality of a network with, before it is fitted. Raises ConfigError, TrustError."""
    kind = resolve("policy for what is missing", policy, IMPUTERS, Imputer, trust)
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
