"""Options given by name over a configuration: what the calls of the Python API take beside `config`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sightsound.config import Config, MissingConfig, check_names, config_type, from_dict, missing_config
from sightsound.modalities.base import modality
from sightsound.registry import import_plugins


def with_options(config: Config | None, options: Mapping[str, Any]) -> Config:
    """A configuration (None: the defaults) with some options in place of its own.

    Args:
        config: it is not changed.
        options: fields of `Config` by name; a section given in part, as a dict, keeps its other values.

    Raises:
        ConfigError: an unknown option, or a value of another type than the option's.
    """
    import_plugins(options.get("plugins", ()))
    base = config or config_type()()
    check_names(config_type(), dict(options), "")
    values = {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
    for name, value in options.items():
        if isinstance(value, dict) and dataclasses.is_dataclass(values.get(name)):
            check_names(type(values[name]), value, f"{name}.")
            value = {f.name: getattr(values[name], f.name) for f in dataclasses.fields(values[name])} | value
        values[name] = value
    return _with_modules(from_dict(values))


def _with_modules(config: Config) -> Config:
    """Adds the modules of third-party modalities to the plugins, so that a bundle names what it needs."""
    plugins = list(config.plugins)
    for m in config.modalities:
        module = type(modality(m)).__module__
        if not any(f"{module}.".startswith(f"{known}.") for known in ("sightsound", "__main__", *plugins)):
            plugins.append(module)
    return dataclasses.replace(config, plugins=tuple(plugins))


def with_missing(config: Config, missing: str | dict[str, str] | MissingConfig) -> Config:
    """A configuration with another policy for what is missing, or with one for some modalities.

    Raises:
        ConfigError: an unknown policy or modality.
    """
    if isinstance(missing, dict):
        check_names(type(config.missing), missing, "missing.")
        missing = dataclasses.replace(config.missing, **missing)
    return dataclasses.replace(config, missing=missing_config(missing))
