"""Decoders of latents to images and sounds, independent of where the latents come from."""

from collections.abc import Callable

from sightsound.translation.decoders.audio import AudioAutoencoder
from sightsound.translation.decoders.base import Autoencoder
from sightsound.translation.decoders.image import ImageAutoencoder
from sightsound.translation.decoders.vocoder import GriffinLim, Vocoder

AUTOENCODERS: dict[str, Callable[[tuple[int, ...], int], Autoencoder]] = {
    "image": ImageAutoencoder,
    "audio": AudioAutoencoder,
}
VOCODERS: dict[str, type[Vocoder]] = {"griffin-lim": GriffinLim}

__all__ = ["AUTOENCODERS", "VOCODERS", "Autoencoder", "Vocoder"]
