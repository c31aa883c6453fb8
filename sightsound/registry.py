"""Resolves a name in the configuration to a class: a registered name, or the dotted path of a third-party class."""

import importlib
import sys
from collections.abc import Iterable, Mapping
from typing import TypeVar

from sightsound.errors import ConfigError, TrustError, did_you_mean

T = TypeVar("T")


def resolve(kind: str, name: str, choices: Mapping[str, type[T]], base: type[T], trust: bool = True) -> type[T]:
    """Returns the class called `name`.

    Args:
        kind: what is looked up, for the message ("fusion strategy").
        name: a key of `choices`, or `package.module.Class`.
        choices: the registered classes.
        base: what a class has to be a subclass of.
        trust: whether a module may be imported for it, which runs its code. Otherwise only a class whose module the
            process has imported already is found, beside the registered ones.

    Raises:
        ConfigError: no such name, module or class, or a class of another kind.
        TrustError: the module would have to be imported.
    """
    if name in choices:
        return choices[name]
    module_name, _, class_name = name.rpartition(".")
    if not all(part.isidentifier() for part in name.split(".")) or not module_name:
        raise ConfigError(f"There is no {kind} {name!r}. {did_you_mean(name, choices)} Or give package.module.Class.")
    if not trust and module_name not in sys.modules:
        raise TrustError(
            f"The {kind} is {name!r}, a third-party class: to use it, the module {module_name} has to be "
            "imported, which runs its code. If you trust it, say so: load(..., trust=True), or --trust; or import the "
            "module yourself before."
        )
    found = getattr(_imported(kind, name, module_name, choices), class_name, None)
    if not isinstance(found, type) or not issubclass(found, base):
        what = f"it has no {class_name!r}" if found is None else f"{class_name} is none"
        raise ConfigError(
            f"The {kind} {name!r} cannot be used: the module {module_name} is there, but {what}; it has to be a class "
            f"derived from {base.__module__}.{base.__name__}. {did_you_mean(name, choices)}"
        )
    return found


def import_plugins(names: Iterable[str], trust: bool = True) -> None:
    """Imports third-party modules, which register their own modalities, encoders or strategies.

    Args:
        names: the names of the modules.
        trust: whether they may be imported, which runs their code; those that the process has imported already may.

    Raises:
        ConfigError: these are no names of modules, there is no such module, or it fails; TrustError.
    """
    if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"plugins are {names!r}. It takes a list of modules' names, such as ['my.module'].")
    for name in names:
        if not trust and name not in sys.modules:
            raise TrustError(
                f"It needs the plugin {name!r}, a third-party module, which has to be imported and so runs its "
                "code. If you trust it, say so: load(..., trust=True), or --trust; or import the module before."
            )
        _imported("plugin", name, name, {})


def _imported(kind: str, name: str, module: str, choices: Mapping[str, type[T]]) -> object:
    """Imports a module; an exception of its own code becomes a ConfigError that says so."""
    if module in sys.modules:
        return sys.modules[module]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The {kind} {name!r} cannot be imported: {error}. It has to be installed, in the current folder, or on "
            f"PYTHONPATH. {did_you_mean(name, choices)}"
        ) from error
    except (Exception, SystemExit) as error:  # third-party code may raise anything; its reason is passed on
        raise ConfigError(
            f"The {kind} {name!r} cannot be imported: the module {module} fails with {type(error).__name__}: {error}"
            f"{_where(error)}. Mend the module."
        ) from error


def _where(error: BaseException) -> str:
    """Names the file and line that raised, the innermost of the traceback."""
    if isinstance(error, SyntaxError):  # names its file and line itself
        return ""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"
