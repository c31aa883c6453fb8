"""Builds what a configuration describes: the network with fresh weights, and its imputers."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from sightsound.bundle import Bundle
from sightsound.config import Config, imputing_policies
from sightsound.config.parts import part_options
from sightsound.encoders import checkpoints
from sightsound.encoders.base import STAGES, Encoder, sizes_of
from sightsound.errors import ConfigError
from sightsound.features.image import Standardize
from sightsound.fusion import AUTO, STRATEGIES, Fusion, strategy_name, strategy_of
from sightsound.hardware import reseed
from sightsound.missing import IMPUTERS, Imputer, Imputers
from sightsound.modalities.base import MODALITIES, modality, with_small_encoder
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.decision import from_names
from sightsound.registry import resolve


def build_network(config: Config, classes: int, trust: bool = True) -> ClassifierNetwork:
    """Builds the network that a fully resolved configuration describes, with fresh weights drawn from its seed.

    The initial weights of a modality's encoder and head do not depend on the other modalities. The state of the
    caller's random generator is restored.

    Args:
        config: the configuration, with all sizes set.
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
    for m in config.modalities:
        how, chosen = modality(m), getattr(config, m)
        made = how.features(chosen)
        features[m], standardize[m] = made.module, Standardize(made.channels)
        _seed(config, m)
        if chosen.pretrained:
            encoders[m] = checkpoints.build(chosen.pretrained, how.checkpoints, made.shape)
        else:
            encoders[m] = _encoder(config, m, made.shape, trust)
        head = nn.Linear(encoders[m].embedding_size, classes)
        if chosen.frozen:  # few rows do not teach a head to forget its random weights
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        heads[m] = head
    _seed(config, "fusion")
    fusion = _fusion(config, encoders, classes, trust)
    return ClassifierNetwork(features, standardize, encoders, heads, fusion, classes)


def _fusion(config: Config, encoders: Mapping[str, Encoder], classes: int, trust: bool) -> Fusion:
    strategy, options = _strategy(config, trust)
    if len(encoders) == 1:
        strategy, options = Fusion, {}  # nothing to fuse: the one head answers, and no parameter idles
    fusion = strategy(*sizes_of(encoders), classes, **options)
    fusion.options = options
    return fusion


def _strategy(config: Config, trust: bool) -> tuple[type[Fusion], dict[str, Any]]:
    """Returns the class of the strategy, and all its options."""
    strategy = strategy_of(config.fusion, trust)
    return strategy, part_options("fusion", strategy_name(config.fusion), strategy, config.fusion_options)


def _encoder(config: Config, m: str, shape: tuple[int, ...], trust: bool) -> Encoder:
    kind, options = _encoder_kind(config, m, trust)
    encoder = kind(shape, **options)
    encoder.options = options
    return encoder


def _encoder_kind(config: Config, m: str, trust: bool) -> tuple[type[Encoder], dict[str, Any]]:
    """Returns the class of an encoder, and all its options."""
    chosen = with_small_encoder(m, getattr(config, m))
    known = modality(m).encoders | checkpoints.embedded_encoders(m)  # so that a message names them all
    kind = resolve(f"{m} encoder", chosen.encoder, known, Encoder, trust)
    return kind, part_options(f"{m}.encoder", chosen.encoder, kind, chosen.encoder_options)


def _seed(config: Config, name: str) -> None:
    """Seeds torch's generator from the configured seed and the name of a part alone."""
    reseed(zlib.crc32(f"{config.seed} {name}".encode()))


def restore_network(bundle: Bundle, trust: bool) -> tuple[ClassifierNetwork, dict[str, Imputers]]:
    """Restores the network of a bundle, and the imputers of each policy.

    Raises:
        ConfigError: the weights are not those that the configuration describes; TrustError.
    """
    if bundle.config.fusion == AUTO:
        raise ConfigError("fusion is auto, and a trained classifier has a strategy")
    check_weights(bundle.config, len(bundle.labels), bundle.weights, trust)
    for name, weight in bundle.weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ConfigError(f"{name} has numbers that are not finite; this is no trained classifier")
    for m, policy in imputing_policies(bundle.config).items():
        if policy not in bundle.imputers:
            raise ConfigError(f"missing.{m} is {policy}, and no imputer of that policy is in it")
    network = build_network(bundle.config, len(bundle.labels), trust)
    with torch.random.fork_rng(devices=[]):  # fresh weights, which the saved ones then replace
        imputers = {policy: new_imputers(network, policy, trust) for policy in bundle.imputers}
    try:
        network.load_state_dict(bundle.weights)
        for policy, weights in bundle.imputers.items():
            imputers[policy].load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"the weights do not fit what config.json describes: {error}") from error
    network.decision = from_names(bundle.decision, bundle.labels)
    if not network.calibration.is_valid():
        raise ConfigError("the guard's shares do not sum to 1, or a temperature is not above 0")
    return network, imputers


def check_parts(config: Config) -> None:
    """Imports the user's own modules that a configuration names, and checks the options of all parts.

    Raises:
        ConfigError: there is no such part, or it does not take these options.
    """
    for m in config.modalities:
        chosen = getattr(config, m)
        if not checkpoints.is_pretrained(chosen.encoder):
            _encoder_kind(config, m, trust=True)
            if chosen.frozen and chosen.encoder in modality(m).encoders:
                raise ConfigError(
                    f"{m}.frozen would leave {chosen.encoder} with the random weights that it begins with. Leave it "
                    "away, or name a pretrained encoder."
                )
        elif chosen.encoder_options:
            raise ConfigError(f"{chosen.encoder} takes no options, and {m}.encoder_options has some. Leave them away.")
    for m in MODALITIES:
        section = getattr(config, m, None)
        if m not in config.modalities and section is not None and section.encoder_options:
            raise ConfigError(f"{m}.encoder has options, and {m} is not among the modalities. Leave them away.")
    strategy, options = _strategy(config, trust=True)
    if config.fusion_options and len(config.modalities) == 1:
        raise ConfigError("The strategy has options, and with one modality nothing is fused. Leave them away.")
    if config.fusion_options and strategy_name(config.fusion) in STRATEGIES:
        with torch.device("meta"):  # the strategy's own checks, with sizes that stand for any
            strategy(dict.fromkeys(config.modalities, 1), dict.fromkeys(config.modalities, [1] * STAGES), 1, **options)
    for policy in imputing_policies(config).values():
        resolve("policy for what is missing", policy, IMPUTERS, Imputer)


def check_weights(config: Config, classes: int, weights: Mapping[str, Tensor], trust: bool) -> None:
    """Refuses a configuration that is not the one of these weights, before anything of its size is allocated.

    Raises:
        ConfigError: heads, encoders or fusion have other shapes; TrustError.
    """
    built: dict[str, Encoder] = {}
    for m in config.modalities:
        how, chosen = modality(m), with_small_encoder(m, getattr(config, m))
        head = weights.get(f"heads.{m}.weight")
        if head is None or len(head) != classes:
            raise ConfigError(f"the weights are not those of {classes} classes told from the {m}")
        prefix = f"encoders.{m}."
        own = {name.removeprefix(prefix): x for name, x in weights.items() if name.startswith(prefix)}
        saved = {name: x.shape for name, x in own.items()}
        if chosen.pretrained:
            checkpoints.check_weights(chosen.pretrained, how.checkpoints, how.features(chosen).shape, own)
        elif chosen.encoder in how.encoders:
            with torch.device("meta"):  # shapes without numbers
                encoder = _encoder(config, m, how.feature_shape(chosen), trust)
            if {name: x.shape for name, x in encoder.state_dict().items()} != saved:
                raise ConfigError(f"the weights are not those of the {m} encoder {chosen.encoder} of this size")
            if head.shape[1:] != (encoder.embedding_size,):
                raise ConfigError(
                    f"the weights are not those of a head over {encoder.embedding_size} numbers of the {m}"
                )
            built[m] = encoder
    if len(built) == len(config.modalities) and config.fusion in STRATEGIES:
        with torch.device("meta"):
            fusion = _fusion(config, built, classes, trust)
        saved = {name: x.shape for name, x in weights.items() if name.startswith("fusion.")}
        if {f"fusion.{name}": x.shape for name, x in fusion.state_dict().items()} != saved:
            raise ConfigError(f"the weights are not those of the fusion strategy {config.fusion} of this size")


def resolved_options(config: Config, network: ClassifierNetwork) -> Config:
    """Returns the configuration with all options of the strategy and the encoders, as the network has them."""
    sections = {
        m: dataclasses.replace(getattr(config, m), encoder_options=dict(cast(Encoder, network.encoders[m]).options))
        for m in config.modalities
    }
    return dataclasses.replace(config, fusion_options=dict(network.fusion.options), **cast(Any, sections))


def new_imputers(network: ClassifierNetwork, policy: str, trust: bool = True) -> Imputers:
    """Builds a policy's imputers for each modality of a network, not yet fitted. Raises ConfigError, TrustError."""
    kind = resolve("policy for what is missing", policy, IMPUTERS, Imputer, trust)
    sizes = {m: cast(Encoder, network.encoders[m]).embedding_size for m in network.modalities}
    return Imputers(dict.fromkeys(network.modalities, kind), sizes)
