"""Defines every error a user can cause, and the hint for a misspelt name.

A message says what was given, what was expected and what to do next. The command line prints it without a traceback.
"""

import difflib
from collections.abc import Iterable


class SightsoundError(Exception):
    """The base of all errors that the user can correct."""


class ConfigError(SightsoundError):
    """An option has an unknown name or an impossible value."""


class TableError(SightsoundError):
    """The table cannot be used: a column, a label, a split or the rows themselves."""


class InputError(SightsoundError, ValueError):
    """A scikit-learn estimator was given invalid input; also a ValueError, as its conventions require."""


class FileError(SightsoundError):
    """One image or sound cannot be used.

    Args:
        name: the file as the user named it.
        reason: what is wrong with it, in words.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class NothingLeftError(FileError):
    """A file has no usable pixel or sample, so that it counts as missing, not as damaged."""


class SourceError(SightsoundError):
    """A data set known by name cannot be fetched or built: no network, a damaged file, nothing at the place given."""


class StoreError(SightsoundError):
    """The prepared data cannot be stored: no space or no permission."""


class BundleError(SightsoundError):
    """The folder is no bundle, is damaged, or was written by a newer version."""


class TrustError(ConfigError):
    """A bundle needs third-party code, which runs only if the user trusts the bundle."""


class RunError(SightsoundError):
    """The run folder cannot be written, or cannot be resumed."""


class TrainingError(SightsoundError):
    """Training diverged: its loss is not finite or far too large."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Lists the choices in a sentence, after the one most similar to `name`, if any."""
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(known)}."


def needs_extra(extra: str, error: Exception) -> str:
    """Ends the sentence of what needs an extra that cannot be imported; quotes the reason, by which it may be damaged.

    Args:
        extra: its name.
        error: what its import raised: of another kind than ModuleNotFoundError where it is there, but fails.
    """
    if isinstance(error, ModuleNotFoundError):
        return f'needs an extra: pip install "sightsound[{extra}]" ({error})'
    return (
        f"needs the extra {extra!r}, which fails with {type(error).__name__}: {error}. Install it anew: "
        f'pip install --force-reinstall "sightsound[{extra}]"'
    )
