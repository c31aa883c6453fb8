"""Hugging Face checkpoints as encoders: features -> three maps -> (B, D), the hidden layers divided among the stages.

A checkpoint is taken apart once, when it is built: what comes before the layers and the first third of them is stage 0,
then a third each, and what comes after is the pool. If the parts don't give what the whole gives, the whole is stage 0.
Needs the extra `pretrained`.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from sightsound.encoders.base import STAGES, Encoder
from sightsound.errors import ConfigError

PREFIX = "hf:"
INPUTS = {"image": {"pixel_values"}, "audio": {"input_values", "input_features"}}
SENSES = {"pixel_values": "takes images", "input_ids": "takes text"}
LAYER_LISTS = ("layers", "layer", "stages", "blocks")
INSTALL = 'Pretrained encoders need an extra: pip install "sightsound[pretrained]"'


def describe(name: str, modality: str) -> dict[str, Any]:
    """What it takes to build a checkpoint again without its weights: its configuration and its preprocessing.

    Args:
        name: of the checkpoint after "hf:", or a folder.
        modality: image or audio.

    Raises:
        ConfigError: transformers is not installed, there is no such checkpoint, or it is of another modality.
    """
    transformers = _transformers()
    try:
        model = transformers.AutoConfig.from_pretrained(name).to_dict()
        processor = transformers.AutoFeatureExtractor if modality == "audio" else transformers.AutoImageProcessor
        whole: Any = _unwrapped(transformers.AutoModel.from_config(_config(model)), modality)
        needed = whole.main_input_name
        if needed not in INPUTS[modality]:
            raise ConfigError(
                f"The checkpoint {name!r} {SENSES.get(needed, 'takes sounds')}, so it cannot be the {modality} encoder."
            )
        return {"model": model, "processor": processor.from_pretrained(name).to_dict()}
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(_unavailable(name, error)) from error


def load(name: str, description: dict[str, Any], modality: str, shape: tuple[int, ...]) -> Pretrained:
    """The encoder with the checkpoint's weights. Raises ConfigError."""
    try:
        model = _transformers().AutoModel.from_pretrained(name, config=_config(description["model"]))
    except (OSError, ValueError) as error:
        raise ConfigError(_unavailable(name, error)) from error
    return Pretrained(_unwrapped(model, modality), shape)


def build(description: dict[str, Any], modality: str, shape: tuple[int, ...]) -> Pretrained:
    """The encoder with random weights."""
    model = _transformers().AutoModel.from_config(_config(description["model"]))
    return Pretrained(_unwrapped(model, modality), shape)


class Pretrained(Encoder):
    """A Hugging Face model in stages.

    Args:
        model: that takes one tensor and gives `last_hidden_state`.
        shape: of the features, without the batch.

    Raises:
        ConfigError: the model does not take features of this shape.
    """

    def __init__(self, model: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        trial = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        model.eval()
        try:
            with torch.no_grad():
                whole = model(trial).last_hidden_state
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"{type(model).__name__} does not take inputs of shape {shape}: {error}") from error
        self.layers = 0
        if not self._divide(model, trial, whole):
            self.stages = nn.ModuleList([Whole(model), nn.Identity(), nn.Identity()])
            self.pool = Mean(None)
        with torch.no_grad():
            maps = [trial]
            for stage in self.stages:
                maps.append(stage(maps[-1]))
        self.stage_channels = [one.shape[1] for one in maps[1:]]
        self.embedding_size = self.stage_channels[-1]

    def _divide(self, model: nn.Module, trial: Tensor, whole: Tensor) -> bool:
        """Fills in stages and pool, if the parts together give the same as the whole."""
        path = _layer_list(model)
        if path is None:
            return False
        layers = list(cast(nn.ModuleList, model.get_submodule(path)))
        parent, name = model.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]
        setattr(parent, name, nn.ModuleList([Entrance()]))
        try:
            groups = [list(part) for part in np.array_split(np.arange(len(layers)), STAGES)]
            with torch.no_grad():
                extras = _enter(model, trial)[1:]
                first = Front(model, [layers[i] for i in groups[0]], extras)
                rest = [Layers([layers[i] for i in group], extras) for group in groups[1:]]
                x = first(trial)
                for part in rest:
                    x = part(x)
                for norm_path in ["", *(n for n, _ in model.named_modules() if "norm" in n.rpartition(".")[2])]:
                    norm = model.get_submodule(norm_path) if norm_path else None
                    if _same(Mean(norm).normed(x), whole):
                        break
                else:
                    raise ValueError("no norm gives the same")
        except (RuntimeError, ValueError, TypeError, AttributeError):
            setattr(parent, name, nn.ModuleList(layers))
            return False
        if norm_path:
            setattr(model.get_submodule(norm_path.rpartition(".")[0]), norm_path.rpartition(".")[2], nn.Identity())
        self.layers = len(layers)
        self.firsts = [int(group[0]) if len(group) else len(layers) for group in groups]
        self.stages, self.pool = nn.ModuleList([first, *rest]), Mean(norm)
        return True

    def train(self, mode: bool = True) -> Pretrained:
        """Batch norms keep their statistics: a batch of one and absent rows must not change anyone's result."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def depth(self, parameter: str) -> int:
        """How many layers lie between a parameter and the end."""
        parts = parameter.split(".")
        if parts[0] == "pool" or not self.layers:
            return 0
        if parts[2] == "layers":
            return self.layers - 1 - (self.firsts[int(parts[1])] + int(parts[3]))
        return self.layers


class Layers(nn.Module):
    """Some of the layers: a map (B, channels, ...) -> the same kind.

    Args:
        layers: called one after the other.
        extras: what the checkpoint passes to a layer besides its input: arguments and keywords.
    """

    def __init__(self, layers: list[nn.Module], extras: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.extras = extras

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, tokens) or (B, channels, H, W) -> same kind."""
        return self.through(_tokens_second(x))

    def through(self, x: Tensor) -> Tensor:
        """(B, tokens, channels) or (B, channels, H, W) -> (B, channels, ...)."""
        arguments, keywords = self.extras
        for layer in self.layers:
            x = layer(x, *arguments, **keywords)
            x = x[0] if isinstance(x, tuple) else x
        return _tokens_second(x)


class Front(Layers):
    """What comes before the layers, and the first of them: features (B, ...) -> (B, channels, ...)."""

    def __init__(
        self, model: nn.Module, layers: list[nn.Module], extras: tuple[tuple[Any, ...], dict[str, Any]]
    ) -> None:
        super().__init__(layers, extras)
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, channels, ...)."""
        return self.through(_enter(self.model, x)[0])


class Whole(nn.Module):
    """A model that cannot be divided: features (B, ...) -> (B, channels, ...)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, channels, ...)."""
        return _tokens_second(self.model(x).last_hidden_state)


class Mean(nn.Module):
    """The checkpoint's last norm, then the mean over all places: (B, channels, ...) -> (B, channels)."""

    def __init__(self, norm: nn.Module | None) -> None:
        super().__init__()
        self.norm = norm

    def normed(self, x: Tensor) -> Tensor:
        """(B, channels, ...) -> as `last_hidden_state` has it."""
        x = _tokens_second(x)
        return x if self.norm is None else self.norm(x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, ...) -> (B, channels)."""
        x = self.normed(x)
        return x.mean(1) if x.dim() == 3 else x.flatten(2).mean(2)


class Reached(Exception):  # noqa: N818 it is no error
    """The input of the first layer: how `Entrance` gives it to us from the middle of someone else's forward."""


class Entrance(nn.Module):
    """Stands where the layers stood."""

    def forward(self, x: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        """Never returns."""
        raise Reached(x, arguments, keywords)


def _enter(model: nn.Module, x: Tensor) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """What the first layer would be called with."""
    try:
        model(x)
    except Reached as reached:
        hidden, arguments, keywords = reached.args
        return hidden, arguments, keywords
    raise ValueError("the layers are not reached")


def _tokens_second(x: Tensor) -> Tensor:
    """Swaps tokens and channels of a sequence; a map of pixels has its channels where they belong."""
    return x.transpose(1, 2) if x.dim() == 3 else x


def _same(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and bool(torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4))


def _layer_list(model: nn.Module) -> str | None:
    """The path of the list of layers: the one with the most parameters among those so named."""
    sizes = {
        path: sum(p.numel() for p in module.parameters())
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and path.rpartition(".")[2] in LAYER_LISTS and len(module) >= STAGES
    }
    return max(sizes, key=lambda path: sizes[path]) if sizes else None


def _unwrapped(model: Any, modality: str) -> nn.Module:
    """The part of a model that hears or sees, without heads and random masking."""
    core: Any = getattr(model, {"image": "vision_model", "audio": "audio_model"}[modality], model)
    if getattr(core.config, "is_encoder_decoder", False):
        core = core.get_encoder()
    if isinstance(getattr(core, "pooler", None), nn.Module) and list(core.pooler.parameters()):
        core.pooler = None  # the embedding is the mean over all places
    for name, value in (("apply_spec_augment", False), ("layerdrop", 0.0)):  # we have our own
        if hasattr(core.config, name):
            setattr(core.config, name, value)
    result: nn.Module = core
    return result


def _config(values: dict[str, Any]) -> Any:
    values = dict(values)
    return _transformers().AutoConfig.for_model(values.pop("model_type"), **values)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(INSTALL) from error
    module: Any = transformers
    module.logging.set_verbosity_error()
    module.logging.disable_progress_bar()
    return module


def _unavailable(name: str, error: Exception) -> str:
    first = str(error).strip().splitlines()[0]
    return (
        f"The checkpoint {name!r} cannot be loaded: {first} Without a network, copy its folder here and give "
        f"{PREFIX}FOLDER."
    )
