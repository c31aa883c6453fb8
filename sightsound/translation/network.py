"""The translator network: a shared embedding space and a conditional generator over it.

Three parts are trained in order. Shared embeddings (`meaning`): an encoder for each modality, into one space where
pairs are close (contrastive). Autoencoders: features <-> latents. A flow: noise to latents, given shared embeddings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from sightsound.encoders import ENCODERS
from sightsound.encoders.base import Encoder
from sightsound.errors import ConfigError
from sightsound.features.image import Standardize
from sightsound.hardware import reseed
from sightsound.modalities.base import modality
from sightsound.network.build import build_network
from sightsound.network.classifier import ClassifierNetwork
from sightsound.translation.config import MODALITIES, TranslatorConfig
from sightsound.translation.decoders import AUTOENCODERS, Autoencoder
from sightsound.translation.decoders.flow import LatentFlow
from sightsound.types import Batch, FeatureBatch

LARGEST_SCALE = 100.0  # largest factor of similarities, as in CLIP
FREE = 0.2  # share of the pairs of which nothing is given, to train the unconditional flow of both modalities too
STEPS, GUIDANCE = 16, 1.5


class TranslatorNetwork(nn.Module):
    """The network of all parts of a translator.

    Args:
        network: a classifier's network with fresh weights and statistics, whose features and encoders are reused.
        shapes: the shape of each modality's features.
        latent_sizes: L of each modality.
        meaning_size: E, the size of shared embeddings.
    """

    def __init__(
        self,
        network: ClassifierNetwork,
        shapes: Mapping[str, tuple[int, ...]],
        latent_sizes: Mapping[str, int],
        meaning_size: int,
    ) -> None:
        super().__init__()
        self.modalities = network.modalities
        self.features, self.standardize = network.features, network.standardize
        self.encoders, self.embedding_scale = network.encoders, network.embedding_scale
        sizes = {m: network.heads[m].in_features for m in self.modalities}
        self.meanings = nn.ModuleDict({m: nn.Linear(cast(int, sizes[m]), meaning_size) for m in self.modalities})
        self.scale = nn.Parameter(torch.tensor(10.0).log())
        self.decoders = nn.ModuleDict({m: AUTOENCODERS[m](shapes[m], latent_sizes[m]) for m in self.modalities})
        self.latent_scale = nn.ModuleDict({m: Standardize(latent_sizes[m], 0) for m in self.modalities})
        self.flow = LatentFlow(latent_sizes, meaning_size)
        self.meaning_size = meaning_size

    @property
    def device(self) -> torch.device:
        """Returns the device of the network."""
        return self.scale.device

    def featurize(self, batch: Batch) -> FeatureBatch:
        """Decoded inputs -> features."""
        inputs = {m: self.features[m](batch.inputs[m]) for m in self.modalities}
        return FeatureBatch(inputs, batch.present, batch.target)

    def meaning(self, modality: str, features: Tensor) -> Tensor:
        """(B, *shape) -> shared embeddings (B, E) of length 1; the product of two is their similarity."""
        embedding = self.encoders[modality](self.standardize[modality](features)).float()
        return normalize(self.meanings[modality](self.embedding_scale[modality](embedding)))

    def meaning_loss(self, features: Mapping[str, Tensor]) -> Tensor:
        """Computes the contrastive loss over the batch, in both directions (InfoNCE; Radford et al., 2021)."""
        one, other = (self.meaning(m, features[m]) for m in self.modalities)
        similarity = self.scale.exp().clamp_max(LARGEST_SCALE) * one @ other.T
        partner = torch.arange(len(one), device=one.device)
        return (cross_entropy(similarity, partner) + cross_entropy(similarity.T, partner)) / 2

    def decoder_loss(self, modality: str, features: Tensor) -> Tensor:
        """Computes the error of reconstructed features (B, *shape), as they are and to the encoder; a scalar."""
        encoder = cast(Encoder, self.encoders[modality])
        return self.decoder(modality).loss(self.standardize[modality](features), list(encoder.stages))

    def latent(self, modality: str, features: Tensor) -> Tensor:
        """(B, *shape) -> (B, L), standardised once `latent_scale` is set."""
        scaled: Tensor = self.latent_scale[modality](
            self.decoder(modality).encode(self.standardize[modality](features))
        )
        return scaled

    def flow_loss(self, latents: Mapping[str, Tensor], meanings: Mapping[str, Tensor]) -> Tensor:
        """Computes the flow's loss of latents (B, L) given random subsets of shared embeddings (B, E); a scalar."""
        some = next(iter(latents.values()))
        drawn = torch.rand(len(some), device=some.device)
        share = (1 - FREE) / len(self.modalities)
        given = {m: (drawn >= i * share) & (drawn < (i + 1) * share) for i, m in enumerate(self.modalities)}
        return self.flow.loss(latents, self._scaled(meanings), given)

    @torch.no_grad()
    def generate(
        self, meanings: Mapping[str, Tensor], wanted: str, noise: Tensor, steps: int = STEPS, guidance: float = GUIDANCE
    ) -> Tensor:
        """Generates features of a modality.

        Args:
            meanings: shared embeddings (B, E) of the given modalities.
            wanted: the modality to generate.
            noise: (B, sum of all L) standard normal; each gives another sample.
            steps: number of steps from noise.
            guidance: the weight of the condition; 1 as trained.

        Returns:
            features (B, *shape).
        """
        parts = dict(zip(self.flow.sizes, noise.split(list(self.flow.sizes.values()), 1), strict=True))
        none = torch.zeros(len(noise), self.meaning_size, device=noise.device)
        known = {m: meanings.get(m, none) for m in self.modalities}
        given = {m: torch.full((len(noise),), m in meanings, device=noise.device) for m in self.modalities}
        latent = self.flow.generate(parts, self._scaled(known), given, steps, guidance)[wanted]
        scale, standard = (cast(Standardize, of[wanted]) for of in (self.latent_scale, self.standardize))
        maps = self.decoder(wanted).decode(latent * scale.std + scale.mean)
        return maps * standard.std + standard.mean

    @property
    def noise_size(self) -> int:
        """Returns the size of the noise of one sample."""
        return sum(self.flow.sizes.values())

    def decoder(self, modality: str) -> Autoencoder:
        """Returns the autoencoder of a modality."""
        return cast(Autoencoder, self.decoders[modality])

    def _scaled(self, meanings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scales shared embeddings to a standard deviation of about 1."""
        return {m: z * self.meaning_size**0.5 for m, z in meanings.items()}


def build_translator(
    config: TranslatorConfig, network: ClassifierNetwork | None = None, trust: bool = True
) -> TranslatorNetwork:
    """Builds the network that a fully resolved configuration describes, with fresh weights.

    Args:
        config: the configuration with all sizes set.
        network: a classifier's network of the same configuration, whose statistics and encoders are reused.
        trust: as of `build_network`.

    Raises:
        ConfigError: sizes that do not suit the encoders; TrustError.
    """
    reading = config.reading_config()
    network = network or build_network(reading, 2, trust)  # its heads are not used
    shapes = {m: modality(m).feature_shape(getattr(reading, m)) for m in MODALITIES}
    sizes = {"image": config.image_latent, "audio": config.audio_latent}
    with torch.random.fork_rng(devices=[]):
        reseed(config.seed)
        return TranslatorNetwork(network, shapes, sizes, config.meaning_size)


def check_translator(config: TranslatorConfig, weights: Mapping[str, Tensor], trust: bool) -> None:
    """Refuses a configuration that is not the one of these weights, before anything of its size is allocated.

    Raises:
        ConfigError: the weights have other shapes; TrustError.
    """
    if config.image.pretrained or config.audio.pretrained:
        raise ConfigError("a translator has no pretrained encoders")
    if not all(getattr(config, m).encoder in ENCODERS[m] for m in ENCODERS):
        return  # the user's own class, which must be trusted to be built at all
    with torch.device("meta"):  # shapes without numbers
        network = build_translator(config, trust=trust)
    if {name: x.shape for name, x in network.state_dict().items()} != {name: x.shape for name, x in weights.items()}:
        raise ConfigError("the weights are not those of a translator of these sizes")
