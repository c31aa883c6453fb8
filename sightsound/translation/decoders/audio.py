"""Audio decoder: latents (B, L) <-> standardised log-mel frames (B, T, F)."""

import math

from torch import Tensor

from sightsound.features.audio import FLOOR
from sightsound.translation.decoders.base import Autoencoder

CONTRAST = 1.2  # between the bins of decoded frames; 1: as they were decoded


class AudioAutoencoder(Autoencoder):
    """An autoencoder of spectrograms, as images of one channel.

    Args:
        shape: shape (T, F) of the features.
        latent_size: L.
    """

    def __init__(self, shape: tuple[int, ...], latent_size: int) -> None:
        frames, bins = shape
        super().__init__(1, frames, bins, latent_size)

    def encode(self, maps: Tensor) -> Tensor:
        """(B, T, F) -> (B, L)."""
        return super().encode(maps[:, None])

    def decode(self, latent: Tensor) -> Tensor:
        """(B, L) -> (B, T, F)."""
        return super().decode(latent)[:, 0]


def enhance(frames: Tensor) -> Tensor:
    """Enhances the contrast between the mel bins of each decoded frame: (B, T, F) natural log of power -> same.

    An autoencoder smooths spectra. The postfilters of speech synthesis undo this by a factor on all cepstral
    coefficients but the first (Koishida et al., CELP coding based on mel-cepstral analysis, ICASSP 1995), which is the
    same.
    """
    mean = frames.mean(2, keepdim=True)
    return (mean + CONTRAST * (frames - mean)).clamp_min(math.log(FLOOR))
