"""From a name in the configuration to a class: a registered short name, or the dotted path of the user's own class."""

import importlib
from collections.abc import Mapping
from typing import TypeVar

from sightsound.errors import ConfigError, did_you_mean

T = TypeVar("T")


def resolve(kind: str, name: str, choices: Mapping[str, type[T]]) -> type[T]:
    """The class called `name`.

    Args:
        kind: what is looked up, for the message ("fusion strategy").
        name: a key of `choices`, or `package.module.Class`.
        choices: the registered classes.

    Raises:
        ConfigError: no such name, module or class.
    """
    if name in choices:
        return choices[name]
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        raise ConfigError(f"There is no {kind} {name!r}. {did_you_mean(name, choices)} Or give package.module.Class.")
    try:
        found: type[T] = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"The {kind} {name!r} cannot be imported: {error}. It has to be installed, in the current folder, or on "
            f"PYTHONPATH. {did_you_mean(name, choices)}"
        ) from error
    return found
