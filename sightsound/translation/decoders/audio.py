"""Audio decoder: latents (B, L) <-> standardised log-mel frames (B, T, F)."""

from torch import Tensor

from sightsound.translation.decoders.base import Autoencoder


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
