"""Reports of results as one HTML file that needs no network; `plot` draws the same charts with matplotlib."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "plot":  # when it is first used
        return import_module("sightsound.report.plot")
    raise AttributeError(f"module 'sightsound.report' has no attribute {name!r}")
