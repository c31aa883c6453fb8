"""Image decoder: latents (B, L) <-> standardised pixels (B, channels, H, W)."""

from sightsound.translation.decoders.base import Autoencoder


class ImageAutoencoder(Autoencoder):
    """An autoencoder of images.

    Args:
        shape: shape (channels, H, W) of the features.
        latent_size: L.
    """

    def __init__(self, shape: tuple[int, ...], latent_size: int) -> None:
        channels, height, width = shape
        super().__init__(channels, height, width, latent_size)
