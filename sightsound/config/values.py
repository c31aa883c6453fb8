"""From values by name, as files, command line and Python give them, to options; what is derived from options."""

from __future__ import annotations

import dataclasses
import numbers
import typing
from typing import Any

from sightsound.config.checks import wrong_type
from sightsound.config.options import Config, MissingConfig
from sightsound.config.registered import config_type, missing_type
from sightsound.errors import ConfigError, did_you_mean
from sightsound.modalities.base import MODALITIES
from sightsound.types import INTERPOLATIONS


def clip_seconds(config: Any) -> float:
    """Returns the length of every clip of sound. Raises ConfigError if it is not set."""
    seconds: float | None = config.audio.clip_seconds
    if seconds is None:
        raise ConfigError("audio.clip_seconds is not filled in yet.")
    return seconds


def missing_config(given: str | MissingConfig) -> MissingConfig:
    """One policy for all modalities. Raises ConfigError for an unknown one."""
    return missing_type()(**dict.fromkeys(MODALITIES, given)) if isinstance(given, str) else given


def imputing_policies(config: Config) -> dict[str, str]:
    """Returns modality -> its policy, where that imputes the whole modality."""
    chosen = {m: str(getattr(config.missing, m)) for m in config.modalities}
    return {m: p for m, p in chosen.items() if p not in ("drop", "ignore", *INTERPOLATIONS)} if len(chosen) > 1 else {}


def from_dict(values: dict[str, Any]) -> Config:
    """The inverse of `dataclasses.asdict`; sections may be dicts or dataclasses, and may be partial.

    Raises:
        ConfigError: an unknown option, or a value of another type than the option's.
    """
    filled = dict(values)
    if isinstance(filled.get("missing"), str):
        filled["missing"] = missing_config(filled["missing"])
    made: Config = from_sections(config_type(), filled)
    return made


def from_sections(kind: type[Any], values: dict[str, Any]) -> Any:
    """A dataclass of options from a dict whose sections may be dicts. Raises ConfigError."""
    filled = dict(values)
    check_names(kind, filled, "")
    for name, section in typing.get_type_hints(kind).items():
        value = filled.get(name)
        if not isinstance(section, type) or not dataclasses.is_dataclass(section):
            continue
        if isinstance(value, dict):
            check_names(section, value, f"{name}.")
            filled[name] = _typed(section, value, f"{name}.")
        elif value is not None and type(value) is not section and issubclass(section, type(value)):
            filled[name] = section(**dataclasses.asdict(value))  # made before a modality was registered
    return _typed(kind, filled, "")


def _typed(kind: type[Any], values: dict[str, Any], prefix: str) -> Any:
    values = {name: plain(value) for name, value in values.items()}
    wrong = wrong_type(kind, values)
    if wrong:
        raise ConfigError(f"{prefix}{wrong[0]} is {values[wrong[0]]!r:.100}; it takes {wrong[1]}.")
    return kind(**values)


def plain(value: Any) -> Any:
    """Returns a number of NumPy as Python's own, within mappings too: only these can be saved as JSON and YAML."""
    if isinstance(value, dict):
        return {key: plain(inside) for key, inside in value.items()}
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "item") else value


def check_names(kind: type[Any], values: dict[str, Any], prefix: str) -> None:
    """Raises ConfigError for a key of `values` that is no field of the dataclass `kind`."""
    known = [f.name for f in dataclasses.fields(kind)]
    for name in values:
        if name not in known:
            raise ConfigError(f"There is no option {prefix}{name}. {did_you_mean(name, known)}")
