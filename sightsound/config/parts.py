"""Options of strategies and encoders: the keyword-only parameters of their constructors, each with type and default."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from sightsound.config.checks import is_of_type, type_in_words
from sightsound.errors import ConfigError, did_you_mean


def part_options(option: str, name: str, part: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all options of a strategy or an encoder: those given, and the defaults of the others.

    Args:
        option: the option that names the part, for messages: "fusion", "image.encoder".
        name: the part's name.
        part: its class.
        given: some of its options by name.

    Raises:
        ConfigError: the part has no such option, or the value is of another type or out of range.
    """
    declared = inspect.signature(part).parameters.values()
    defaults = {p.name: p.default for p in declared if p.kind is p.KEYWORD_ONLY}
    hints = typing.get_type_hints(part.__init__, include_extras=True) if given else {}
    for key, value in given.items():
        if key not in defaults:
            known = did_you_mean(key, defaults) if defaults else f"{name} has no options."
            raise ConfigError(f"There is no option {option}.{key:.100} of {name}. {known}")
        if not is_of_type(value, hints.get(key, Any)):
            raise ConfigError(f"{option}.{key} is {value!r:.100}; {name} takes {type_in_words(hints[key])} there.")
    return defaults | dict(given)


def part_in_words(name: str, options: Mapping[str, Any]) -> str:
    """Describes a strategy or an encoder with its options: "transformer (width 64, heads 4, layers 2)"."""
    shown = ", ".join(f"{key} {value}" for key, value in options.items() if value is not None)
    return f"{name} ({shown})" if shown else name
