"""Whether values are what the types of options say, and numbers such as can be meant; files may hold anything."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import types
import typing
from typing import Annotated, Any, Literal, Union

IN_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", dict: "a mapping"}

# what must be above 0, and the largest that can be meant
LARGEST: dict[str, float] = {
    "epochs": 10**6,
    "patience": 10**6,
    "batch_size": 10**6,
    "learning_rate": 1e30,
    "image.height": 16_384,
    "image.width": 16_384,
    "image.white": 1e30,
    "audio.sample_rate_hz": 768_000,
    "audio.clip_seconds": 3600,
    "audio.step_seconds": 10**6,
    "audio.window_ms": 10_000,
    "audio.hop_ms": 10_000,
    "audio.mel_bins": 4096,
}
LARGEST_PRODUCTS: dict[tuple[str, ...], float] = {  # each factor may be large, but not all at once: it fills the memory
    ("image.height", "image.width"): 2**24,
    ("audio.sample_rate_hz", "audio.clip_seconds"): 2**28,
    ("audio.sample_rate_hz", "audio.window_ms", "audio.mel_bins"): 1000 * 2**24,
}
LIMITS = [
    ("augment", "image_shift", 0, 1),
    ("augment", "image_rotate_degrees", 0, 180),
    ("augment", "image_erase", 0, 1),
    ("augment", "audio_speed", 0, 0.5),
    ("augment", "audio_gain_db", 0, 60),
    ("augment", "audio_filter_db", 0, 60),
    ("augment", "audio_shift_seconds", 0, 60),
    ("augment", "audio_noise", 0, 1),
    ("augment", "audio_masks", 0, 0.9),
    ("augment", "mixup", 0, 100),
]


def out_of_range(options: Any) -> str | None:
    """What is wrong with the first number of a classifier's options that is too small or too large; None: nothing."""
    for name, most in LARGEST.items():
        value = _value(options, name)
        if value is not None and not 0 < value <= most:
            return f"{name} is {value}; it must be above 0{f' and at most {most:,}' if value > most else ''}."
    for factors, most in LARGEST_PRODUCTS.items():
        values = [_value(options, name) for name in factors]
        if None not in values and math.prod(values) > most:
            return f"{' x '.join(factors)} is {' x '.join(map(str, values))}; the product must be at most {most:,}."
    for section, name, low, high in LIMITS:
        value = getattr(getattr(options, section), name)
        if not low <= value <= high:
            return f"{section}.{name} is {value}; it must be from {low} to {high}."
    if options.logit_adjustment != "auto" and not 0 <= options.logit_adjustment <= 1:
        return f"logit_adjustment is {options.logit_adjustment}; it must be auto, or from 0 to 1."
    for name in ("class_recall", "class_precision"):
        for label, share in getattr(options, name).items():
            if not 0 < share <= 1:
                return f"{name} of {label!r} is {share}; it must be above 0 and at most 1."
    return None


def _value(options: Any, name: str) -> Any:
    return functools.reduce(getattr, name.split("."), options)


def wrong_type(kind: type[Any], values: dict[str, Any]) -> tuple[str, str] | None:
    """The first field of the dataclass `kind` whose value is not of its type, and what it takes; None: all are right.

    Args:
        kind: a dataclass; its fields that are dataclasses themselves are not looked into.
        values: some of its fields by name.
    """
    hints = typing.get_type_hints(kind)
    for name, value in values.items():
        if not dataclasses.is_dataclass(hints[name]) and not is_of_type(value, hints[name]):
            return name, type_in_words(hints[name])
        if dataclasses.is_dataclass(hints[name]) and not isinstance(value, hints[name]):
            return name, "a mapping of options"
    return None


def is_of_type(value: Any, hint: Any) -> bool:
    """Whether a value is of a type as dataclasses declare it; a list will do for a tuple, since JSON has no other."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return is_of_type(value, inside[0]) and inside[1].least <= value <= inside[1].most
    if origin in (Union, types.UnionType):
        return any(is_of_type(value, one) for one in inside)
    if origin is Literal:
        return isinstance(value, str | int) and any(value == one and type(value) is type(one) for one in inside)
    if origin is tuple:
        return isinstance(value, list | tuple) and all(is_of_type(one, inside[0]) for one in value)
    if origin is dict:
        named = isinstance(value, dict) and all(isinstance(key, str) for key in value)
        return named and all(is_of_type(one, inside[1]) for one in value.values())
    if hint is bool:
        return isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    if hint is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and _finite(value)
    return hint is Any or isinstance(value, hint)


def _finite(value: numbers.Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def type_in_words(hint: Any) -> str:
    """Says what values a type takes: "a whole number from 1 to 4,096"."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return f"{type_in_words(inside[0])} from {inside[1].least:,} to {inside[1].most:,}"
    if origin in (Union, types.UnionType):
        return " or ".join(type_in_words(one) for one in inside)
    if origin is Literal:
        return " or ".join(map(repr, inside))
    if origin is tuple:
        return "a list"
    if origin is dict and inside[1] is float:
        return "a number for each of some names"
    return "nothing (null)" if hint is type(None) else IN_WORDS.get(origin or hint, str(hint))
