"""The only entry to a user's files: given paths, bytes or values -> uint8 pixels, or a float32 waveform.

The content of a file decides how it is read, not the ending. Whatever is wrong with a file becomes a `FileError`.
`opened` resolves paths, `images` and `sounds` decode, `values` takes what is in memory.
"""

from sightsound.data.images import (
    GivenImage,
    ImageInfo,
    Pixels,
    image_from_array,
    probe_image,
    read_image,
)
from sightsound.data.opened import Source, as_path, name_of, ordinary_file
from sightsound.data.sounds import GivenSound, Sound, open_sound, probe_audio, read_audio
from sightsound.data.values import given_audio, given_image
from sightsound.data.waveforms import FULL_SCALE, Waveform, waveform_from_array

__all__ = [
    "FULL_SCALE",
    "GivenImage",
    "GivenSound",
    "ImageInfo",
    "Pixels",
    "Sound",
    "Source",
    "Waveform",
    "as_path",
    "given_audio",
    "given_image",
    "image_from_array",
    "name_of",
    "open_sound",
    "ordinary_file",
    "probe_audio",
    "probe_image",
    "read_audio",
    "read_image",
    "waveform_from_array",
]
