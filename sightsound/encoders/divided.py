"""The parts of a divided Hugging Face model: layers as stages, and what comes before and after them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sightsound.encoders.base import STAGES

LAYER_LISTS = ("layers", "layer", "stages", "blocks")


class Layers(nn.Module):
    """Some of the layers: a map (B, channels, ...) -> a map of the same kind.

    Args:
        layers: the layers, called in order.
        extras: what the checkpoint passes to a layer besides its input: arguments and keywords.
    """

    def __init__(self, layers: list[nn.Module], extras: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.extras = extras

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, tokens) or (B, channels, H, W) -> same kind."""
        return self.through(tokens_second(x))

    def through(self, x: Tensor) -> Tensor:
        """(B, tokens, channels) or (B, channels, H, W) -> (B, channels, ...)."""
        arguments, keywords = self.extras
        for layer in self.layers:
            x = layer(x, *arguments, **keywords)
            x = x[0] if isinstance(x, tuple) else x
        return tokens_second(x)


class Front(Layers):
    """What comes before the layers, and the first of them: features (B, ...) -> (B, channels, ...)."""

    def __init__(
        self, model: nn.Module, layers: list[nn.Module], extras: tuple[tuple[Any, ...], dict[str, Any]]
    ) -> None:
        super().__init__(layers, extras)
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, channels, ...)."""
        return self.through(enter(self.model, x)[0])


class Whole(nn.Module):
    """A model that cannot be divided: features (B, ...) -> (B, channels, ...)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, channels, ...)."""
        return tokens_second(self.model(x).last_hidden_state)


class MeanPool(nn.Module):
    """The checkpoint's last norm, then the mean over all places: (B, channels, ...) -> (B, channels)."""

    def __init__(self, norm: nn.Module | None) -> None:
        super().__init__()
        self.norm = norm

    def apply_norm(self, x: Tensor) -> Tensor:
        """(B, channels, ...) -> the layout of `last_hidden_state`, normalised."""
        x = tokens_second(x)
        return x if self.norm is None else self.norm(x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, ...) -> (B, channels)."""
        x = self.apply_norm(x)
        return x.mean(1) if x.dim() == 3 else x.flatten(2).mean(2)


class Reached(Exception):  # noqa: N818 it is no error
    """Carries the first layer's input, which `Entrance` raises from the middle of the model's forward."""


class Entrance(nn.Module):
    """A module in place of the layers, which raises its input."""

    def forward(self, x: Tensor, *arguments: Any, **keywords: Any) -> Tensor:
        """Raises `Reached`; never returns."""
        raise Reached(x, arguments, keywords)


def enter(model: nn.Module, x: Tensor) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of the first layer's call."""
    try:
        model(x)
    except Reached as reached:
        hidden, arguments, keywords = reached.args
        return hidden, arguments, keywords
    raise ValueError("the layers are not reached")


def tokens_second(x: Tensor) -> Tensor:
    """Swaps tokens and channels of a sequence; a map of pixels has its channels second already."""
    return x.transpose(1, 2) if x.dim() == 3 else x


def same(ours: Tensor, theirs: Tensor) -> bool:
    """Returns whether the divided model gives the same as the whole, up to rounding."""
    return ours.shape == theirs.shape and bool(torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4))


def layer_list(model: nn.Module) -> str | None:
    """Returns the path of the list of layers: the one with the most parameters among known names."""
    sizes = {
        path: sum(p.numel() for p in module.parameters())
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and path.rpartition(".")[2] in LAYER_LISTS and len(module) >= STAGES
    }
    return max(sizes, key=lambda path: sizes[path]) if sizes else None
