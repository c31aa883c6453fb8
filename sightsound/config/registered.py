"""The classes of options with a section for each registered third-party modality."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Iterable
from dataclasses import field
from typing import Any

from sightsound.config.options import BUILT_IN, ColumnsConfig, Config, MissingConfig
from sightsound.errors import ConfigError
from sightsound.modalities.base import MODALITIES, Modality, modality

REQUIRED = ("noun", "plural", "options")  # of a modality, beside the properties and methods in OVERRIDDEN
OPTIONS = ("encoder", "encoder_options", "frozen", "layer_decay", "pretrained")  # in the section of each modality
OVERRIDDEN = ("encoders", "read", "read_options", "header", "blank", "features")


def config_type() -> type[Config]:
    """Returns `Config`, with a section, a column and a policy for each registered third-party modality."""
    own = tuple(name for name in MODALITIES if name not in BUILT_IN)
    for name in own:
        _check_modality(name)
    return _with_own(own) if own else Config


@functools.cache
def _with_own(own: tuple[str, ...]) -> type[Config]:
    def extended(kind: type[Any], fields: Iterable[tuple[str, Any, Any]]) -> type[Any]:
        return dataclasses.make_dataclass(kind.__name__, fields, bases=(kind,), frozen=True)

    masks = [column for m, column in mask_columns().items() if m in own]
    columns = extended(ColumnsConfig, [(name, str, field(default=name)) for name in (*own, *masks)])
    missing = extended(MissingConfig, [(name, str, field(default="ignore")) for name in own])
    sections: list[tuple[str, Any, Any]] = [("columns", columns, field(default_factory=columns))]
    sections += [("missing", missing, field(default_factory=missing))]
    sections += [(m, modality(m).options, field(default_factory=modality(m).options)) for m in own]
    return extended(Config, sections)


def _check_modality(name: str) -> None:
    """Raises ConfigError for a third-party modality whose name is taken or which lacks what every modality has."""
    how = modality(name)
    taken = {f.name for kind in (Config, ColumnsConfig, MissingConfig) for f in dataclasses.fields(kind)}
    if not name.isidentifier() or name in taken:
        raise ConfigError(f"A modality cannot be called {name!r}: it takes a name that no option and no column has.")
    lacking = [part for part in REQUIRED if not hasattr(how, part)]
    lacking += [part for part in OVERRIDDEN if getattr(type(how), part, None) is getattr(Modality, part)]
    if "options" not in lacking:
        has = {f.name for f in dataclasses.fields(how.options)}
        lacking += [f"options.{option}" for option in OPTIONS if option not in has]
    bound = [part for part in ("read", "header") if part not in lacking and inspect.ismethod(getattr(how, part))]
    lacking += [f"{part} as a static method" for part in bound]
    if lacking:
        raise ConfigError(
            f"The modality {name!r} ({type(how).__module__}.{type(how).__name__}) lacks {', '.join(lacking)}, which "
            "every modality has to define: see sightsound.Modality."
        )


def mask_columns() -> dict[str, str]:
    """Modality -> the role of the column that says where its files are damaged, where they can be interpolated."""
    return {m: f"{m}_mask" for m in MODALITIES if m in BUILT_IN or modality(m).interpolation}


def roles() -> tuple[str, ...]:
    """What a column of a table can be."""
    return (*MODALITIES, "label", "split", "group", "time", *mask_columns().values())


def columns_type() -> type[ColumnsConfig]:
    """`ColumnsConfig`, with the columns of all registered modalities."""
    found: type[ColumnsConfig] = _section_type("columns")
    return found


def missing_type() -> type[MissingConfig]:
    """`MissingConfig`, with the policies of all registered modalities."""
    found: type[MissingConfig] = _section_type("missing")
    return found


def _section_type(name: str) -> Any:
    return typing.get_type_hints(config_type())[name]
