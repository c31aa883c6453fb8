"""One look for every progress bar: shown after two seconds, quiet where nobody watches a terminal."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(title: str, total: int, unit: str = "file", done: int = 0, keep: bool = False) -> "tqdm[Any]":
    """A bar on standard error with the time left; use it in a `with`, or close it.

    Args:
        title: what is being done.
        total: number of units.
        unit: of what.
        done: how many are done already.
        keep: whether the bar stays on the screen at the end; such a one is shown at once.
    """
    bar: tqdm[Any] = tqdm(
        desc=title,
        total=total,
        unit=unit,
        initial=done,
        leave=keep,
        delay=0 if keep else 2,
        mininterval=0.2 if sys.stderr.isatty() else 30,
        file=sys.stderr,
    )
    return bar


def notice(text: str) -> None:
    """A line on standard error that does not tear a progress bar."""
    tqdm.write(text, file=sys.stderr)
