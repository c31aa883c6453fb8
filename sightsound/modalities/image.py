"""Images: decoded (H, W, channels) uint8 -> features (channels, H, W)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightsound.config import Config, ImageConfig
from sightsound.config.parts import part_in_words
from sightsound.data.files import given_image, probe_image, read_image
from sightsound.data.interpolated import image_damage, mended_image, read_interpolated_image
from sightsound.data.prepared.reading import image_header
from sightsound.data.remarks import Remark
from sightsound.encoders import ENCODERS, checkpoints, embedded
from sightsound.encoders.base import Encoder
from sightsound.encoders.pretrained import Checkpoints
from sightsound.errors import ConfigError
from sightsound.features.augment import AugmentImage
from sightsound.features.image import ChannelsFirst
from sightsound.features.pretrained import image_side, image_statistics
from sightsound.missing.signals import interpolate_image
from sightsound.modalities.base import AUTO, Array, Augmentation, Features, Interpolation, Modality, Reader, Rng
from sightsound.modalities.corruptions import IMAGE, corrupt_image
from sightsound.modalities.media import Shown, thumbnail

LARGEST_SIDE = 64  # pixels, unless the user asks for more
LEAST_SIDE = 8


class ImageModality(Modality):
    """Images of any size and depth, resized to one size and converted to 8 bits."""

    name, noun, plural = "image", "an image", "images"
    options = ImageConfig
    small_encoder = "resnet"
    headers = ("height", "width", "colour", "white")
    sizes = ("height", "width")
    dtype = "uint8"
    endings = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
    synonyms = frozenset({"picture", "photo", "img", "file_image", "image_path", "image_file"})
    interpolation = Interpolation(read_interpolated_image, mended_image, image_damage)
    augmented = ("features",)
    corruptions = tuple(IMAGE)
    lost_part = "dead pixels"
    checkpoints = Checkpoints("image", frozenset({"pixel_values"}), "AutoImageProcessor", "vision_model")
    remarks = {
        Remark.CONSTANT: ("hold one single colour", "one single colour"),
        Remark.BEYOND: ("have values above image.white, which are cut to it", "values above image.white, cut to it"),
        Remark.GUESSED: (
            "do not say which values are black and white, so that was guessed from their range",
            "which values are black and white was guessed",
        ),
    }

    @property
    def encoders(self) -> dict[str, type[Encoder]]:
        """The registered encoders by name."""
        return ENCODERS["image"]

    @property
    def read(self) -> Reader:
        """(H, W, channels) uint8; see `data.files.read_image`."""
        return read_image

    def read_options(self, options: ImageConfig) -> dict[str, Any]:
        """Returns the size, and the value of white where the table's images share one."""
        height, width, channels = shape_of(options)
        white = {} if options.white is None else {"white": options.white}
        return {"height": height, "width": width, "channels": channels, **white}

    @property
    def header(self) -> Callable[[Any], Array]:
        """See `data.prepared.reading.image_header`."""
        return image_header

    def given(self, value: Any) -> Any:
        """Accepts Pillow images, arrays and tensors too; see `data.values.given_image`."""
        return given_image(value)

    def complete(self, options: ImageConfig, headers: Array) -> ImageConfig:
        """Sets the median size, at most 64 pixels a side; colour where any image has it; the largest white."""
        heights, widths, colour, whites = headers.T
        shrink = min(1.0, LARGEST_SIDE / max(np.median(heights), np.median(widths)))
        return dataclasses.replace(
            options,
            height=options.height or max(round(float(np.median(heights)) * shrink), LEAST_SIDE),
            width=options.width or max(round(float(np.median(widths)) * shrink), LEAST_SIDE),
            channels=options.channels or (3 if colour.any() else 1),
            white=options.white or float(whites.max()) or None,
        )

    def with_checkpoint(self, options: ImageConfig) -> ImageConfig:
        """The size that the checkpoint takes, in colour. Raises ConfigError where another one is given."""
        if (known := checkpoints.describe(options.encoder, self.checkpoints)) is None:
            return options
        height, width = image_side(known["processor"])
        if embedded.KEY in known:  # convolutional: takes any size
            height, width = options.height or height, options.width or width
        takes = {"height": height, "width": width, "channels": 3}
        return dataclasses.replace(checkpoints.with_taken(options, self.name, takes), pretrained=known)

    def cuts(self, asked: ImageConfig, options: ImageConfig, headers: Array) -> list[str]:
        """Reports images that are reduced, and a white that was taken from the largest."""
        found = []
        if len(headers) and not (asked.height or asked.width or options.pretrained):
            height, width = np.median(headers[:, :2], axis=0)
            if max(height, width) > LARGEST_SIDE:
                other = (
                    f". So it is with {self.small_encoder}; a pretrained encoder, if one is chosen, takes another size"
                )
                found.append(
                    f"images of {height:.0f} x {width:.0f} pixels (the median) are reduced to {options.height} x "
                    f"{options.width}. Small things may vanish: --image.height and --image.width keep more"
                    f"{other if asked.encoder == AUTO else ''}"
                )
        if options.white and not asked.white:
            deep = int((headers[:, 3] > 0).sum())
            found.append(
                f"{deep} of the {len(headers)} images that were looked at have more than 8 bits and do "
                f"not say which value is white; "
                f"{options.white:g} is taken for all, from the largest. --image.white overrules it"
            )
        return found

    def blank(self, options: ImageConfig) -> Tensor:
        """(H, W, channels) of black."""
        return torch.zeros(shape_of(options), dtype=torch.uint8)

    def features(self, options: ImageConfig) -> Features:
        """The pixels themselves, channels first."""
        return Features(ChannelsFirst(), shape_of(options)[2], self.feature_shape(options))

    def feature_shape(self, options: ImageConfig) -> tuple[int, ...]:
        """(channels, H, W)."""
        height, width, channels = shape_of(options)
        return channels, height, width

    def fixed_statistics(self, pretrained: dict[str, Any]) -> tuple[list[float], list[float]] | None:
        """Returns the statistics of the checkpoint's preprocessing."""
        return image_statistics(pretrained["processor"])

    def augmentation(self, config: Config) -> Augmentation:
        """Returns the augmentation of pixels: moved, turned, erased, mirrored."""
        given = config.augment
        if not given.image:
            return Augmentation()
        change = AugmentImage(given.image_shift, given.image_rotate_degrees, given.image_erase, given.image_flip)
        return Augmentation(features=change)

    def corrupt(self, name: str, rows: Array, severity: int, options: Any, rng: Rng) -> Array:
        """Corrupts rows; see `modalities.corruptions`."""
        return np.stack([corrupt_image(name, pixels, severity, rng) for pixels in rows])

    def lose(self, row: Array, share: float, options: Any, rng: Rng) -> Array:
        """Draws the lost pixels (H, W) singly."""
        lost: Array = rng.random(row.shape[:2]) < share
        return lost

    def interpolate(self, row: Array, lost: Array, method: str, options: Any) -> Array:
        """Interpolates a row; see `missing.signals.interpolate_image`."""
        return interpolate_image(row, lost, method).values

    def show(self, source: Any, config: Config) -> Shown:
        """Shows the file's image, at most 256 pixels long. Raises FileError."""
        height, width, _, _ = probe_image(source)
        return Shown(thumbnail(source), work=height * width)

    def describe(self, options: ImageConfig) -> str:
        """Size, channels and encoder."""
        encoder = part_in_words(options.encoder, options.encoder_options)
        return f"{options.height} x {options.width} pixels, {options.channels} channel(s), encoder {encoder}"


def shape_of(options: ImageConfig) -> tuple[int, int, int]:
    """Returns (height, width, channels). Raises ConfigError if they are not set."""
    if options.height is None or options.width is None or options.channels is None:
        raise ConfigError("image.height, image.width and image.channels are not filled in yet.")
    return options.height, options.width, options.channels


MODALITY = ImageModality()
