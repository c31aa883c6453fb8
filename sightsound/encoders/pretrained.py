"""Hugging Face checkpoints as encoders: features -> three maps -> (B, D), the hidden layers divided among the stages.

A checkpoint is divided once, when it is built: what comes before the layers and the first third of them is stage 0,
then a third each, and what comes after is the pool. If the parts do not reproduce the whole, the whole is stage 0.
Needs the extra `pretrained`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from sightsound.encoders.base import PRETRAINED_RATE, STAGES, Encoder
from sightsound.encoders.divided import Entrance, Front, Layers, MeanPool, Whole, enter, layer_list, same
from sightsound.errors import ConfigError, needs_extra

PREFIX = "hf:"
TAKES = {"pixel_values": "takes images", "input_ids": "takes text"}
FETCHING = (
    "auto_map",
    "trust_remote_code",
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "quantization_config",
    "use_pretrained_backbone",
)
MOST_LAYERS = 1000


class Checkpoints(NamedTuple):
    """Which Hugging Face models can encode a modality.

    Attributes:
        modality: its name.
        inputs: names of the main inputs of such models.
        processor: name of the class in transformers that prepares these.
        core: name of the part that encodes, in models of several modalities.
    """

    modality: str
    inputs: frozenset[str]
    processor: str
    core: str


def describe(name: str, kind: Checkpoints) -> dict[str, Any]:
    """Returns what rebuilds a checkpoint without its weights: its configuration and its preprocessing.

    Args:
        name: the name of the checkpoint after "hf:", or a folder.
        kind: which models are accepted.

    Raises:
        ConfigError: transformers is not installed, there is no such checkpoint, or it is of another modality.
    """
    transformers = _transformers()
    try:
        model = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False).to_dict()
        processor = getattr(transformers, kind.processor)
        whole: Any = _unwrapped(transformers.AutoModel.from_config(_config(model), trust_remote_code=False), kind)
        needed = whole.main_input_name
        if needed not in kind.inputs:
            raise ConfigError(
                f"The checkpoint {name!r} {TAKES.get(needed, 'takes sounds')}, so it cannot be the {kind.modality} "
                "encoder."
            )
        return {"model": model, "processor": processor.from_pretrained(name, trust_remote_code=False).to_dict()}
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(_unavailable(name, error)) from error


def load(name: str, description: dict[str, Any], kind: Checkpoints, shape: tuple[int, ...]) -> Pretrained:
    """Builds the encoder with the checkpoint's weights. Raises ConfigError."""
    try:
        model = _transformers().AutoModel.from_pretrained(
            name, config=_config(description["model"]), trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ConfigError(_unavailable(name, error)) from error
    return Pretrained(_unwrapped(model, kind), shape)


def build(description: dict[str, Any], kind: Checkpoints, shape: tuple[int, ...]) -> Pretrained:
    """Builds the encoder with random weights."""
    model = _transformers().AutoModel.from_config(_config(description["model"]), trust_remote_code=False)
    return Pretrained(_unwrapped(model, kind), shape)


def check_size(description: dict[str, Any], kind: Checkpoints, most: int) -> None:
    """Raises ConfigError for the description of a model of more than `most` parameters, without allocating it."""
    layers = [v for k, v in description["model"].items() if "layers" in k and isinstance(v, int)]
    if max(layers, default=0) > MOST_LAYERS:
        raise ConfigError(f"{kind.modality}.pretrained describes {max(layers):,} layers")
    with torch.device("meta"):  # shapes without numbers
        whole = _transformers().AutoModel.from_config(_config(description["model"]), trust_remote_code=False)
    if sum(p.numel() for p in _unwrapped(whole, kind).parameters()) > most:
        raise ConfigError(f"{kind.modality}.pretrained describes a model larger than the one that was saved")


class Pretrained(Encoder):
    """A Hugging Face model in stages.

    Args:
        model: a model that takes one tensor and returns `last_hidden_state`.
        shape: shape of the features, without the batch.

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
            self.pool = MeanPool(None)
        with torch.no_grad():
            maps = [trial]
            for stage in self.stages:
                maps.append(stage(maps[-1]))
        self.stage_channels = [one.shape[1] for one in maps[1:]]
        self.embedding_size = self.stage_channels[-1]

    def _divide(self, model: nn.Module, trial: Tensor, whole: Tensor) -> bool:
        """Sets stages and pool, if the parts together give the same as the whole."""
        path = layer_list(model)
        if path is None:
            return False
        layers = list(cast(nn.ModuleList, model.get_submodule(path)))
        parent, name = model.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]
        setattr(parent, name, nn.ModuleList([Entrance()]))
        try:
            groups = [list(part) for part in np.array_split(np.arange(len(layers)), STAGES)]
            with torch.no_grad():
                extras = enter(model, trial)[1:]
                first = Front(model, [layers[i] for i in groups[0]], extras)
                rest = [Layers([layers[i] for i in group], extras) for group in groups[1:]]
                x = first(trial)
                for part in rest:
                    x = part(x)
                for norm_path in ["", *(n for n, _ in model.named_modules() if "norm" in n.rpartition(".")[2])]:
                    norm = model.get_submodule(norm_path) if norm_path else None
                    if same(MeanPool(norm).apply_norm(x), whole):
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
        self.stages, self.pool = nn.ModuleList([first, *rest]), MeanPool(norm)
        return True

    def train(self, mode: bool = True) -> Pretrained:
        """Freezes the statistics of batch norms: results must not depend on batch size or absent rows."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def rate_of(self, parameter: str, layer_decay: float) -> float:
        """Returns a small rate, smaller for earlier layers: layer-wise decay as in Clark et al. (ELECTRA, 2020)."""
        return float(PRETRAINED_RATE * layer_decay ** self.depth(parameter))

    def depth(self, parameter: str) -> int:
        """Returns how many layers lie between a parameter and the end."""
        parts = parameter.split(".")
        if parts[0] == "pool" or not self.layers:
            return 0
        if parts[2] == "layers":
            return self.layers - 1 - (self.firsts[int(parts[1])] + int(parts[3]))
        return self.layers


def _unwrapped(model: Any, kind: Checkpoints) -> nn.Module:
    """Returns the encoding part of a model, without heads and random masking."""
    core: Any = getattr(model, kind.core, model)
    if getattr(core.config, "is_encoder_decoder", False):
        core = core.get_encoder()
    if isinstance(getattr(core, "pooler", None), nn.Module) and list(core.pooler.parameters()):
        core.pooler = None  # the embedding is the mean over all places
    for name, value in (("apply_spec_augment", False), ("layerdrop", 0.0)):  # replaced by our own augmentation
        if hasattr(core.config, name):
            setattr(core.config, name, value)
    result: nn.Module = core
    return result


def _config(values: dict[str, Any]) -> Any:
    """Builds the configuration of a description, without entries that make transformers fetch code or weights."""
    values = {name: value for name, value in values.items() if name not in FETCHING}
    return _transformers().AutoConfig.for_model(values.pop("model_type"), **values)


def _transformers() -> Any:
    try:
        import transformers
    except Exception as error:  # a damaged library raises anything
        raise ConfigError(f"An encoder of Hugging Face {needs_extra('pretrained', error)}") from error
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
