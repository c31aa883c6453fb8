"""Audio decoder: latents (B, L) <-> standardised log-mel frames (B, T, F)."""

import math

from torch import Tensor
from torch.nn import functional

from sightsound.features.audio import FLOOR
from sightsound.translation.decoders.base import Autoencoder

SMALLEST = 1e-3  # variance
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

    def distance(self, made: Tensor, maps: Tensor) -> Tensor:
        """Computes the mean square error of the values and of their local deviation, which blurring takes away."""
        return super().distance(made, maps) + (local_deviation(made) - local_deviation(maps)).square().mean()


def local_deviation(maps: Tensor) -> Tensor:
    """Computes the standard deviation of the values around each place: (B, T, F) -> same.

    It is that of the differences to their own local means, over three frames and three bins.
    """

    def blurred(x: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.pad(x[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]

    maps = maps.float()
    return blurred((maps - blurred(maps)).square()).add(SMALLEST).sqrt()  # SMALLEST: for a finite gradient at 0


def enhance(frames: Tensor) -> Tensor:
    """Enhances the contrast between the mel bins of each decoded frame: (B, T, F) natural log of power -> same.

    An autoencoder smooths spectra. The postfilters of speech synthesis undo this by a factor on all cepstral
    coefficients but the first (Koishida et al., CELP coding based on mel-cepstral analysis, ICASSP 1995), which is the
    same.
    """
    mean = frames.mean(2, keepdim=True)
    return (mean + CONTRAST * (frames - mean)).clamp_min(math.log(FLOOR))
