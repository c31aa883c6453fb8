"""One look for every progress bar: shown after two seconds, quiet where nobody watches a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

Say = Callable[[str], object]  # what each line for the user is given to
SECONDS_A_LINE = 60  # where no terminal is
quiet = False  # the command line's --quiet
_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


@contextmanager
def hidden() -> Iterator[None]:
    """Within, no bar and no notice is shown, in this thread alone."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


class Lines(tqdm):  # type: ignore[type-arg]
    """A bar for files and pipes: a line a minute, and one at the end of a bar that stays."""

    def __init__(self, **options: Any) -> None:
        self._printed = time.monotonic()
        self._closing = False
        super().__init__(**options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Prints the bar as a line, if it is time to."""
        now = time.monotonic()
        if msg != "" and (self._closing or now - self._printed > SECONDS_A_LINE):
            self._printed = now
            self.fp.write(f"{self}\n")

    def clear(self, nolock: bool = False) -> None:
        """Lines stay where they are when something else is written."""

    def close(self) -> None:
        """Prints how far it came."""
        if self.disable:
            return
        if self.leave and self.n:
            self._closing = True
            self.display()
        self.disable = True


def progress_bar(title: str, total: int, unit: str = "file", done: int = 0, keep: bool = False) -> "tqdm[Any]":
    """A bar on standard error with the time left; use it in a `with`, or close it.

    Args:
        title: what is being done.
        total: number of units.
        unit: of what.
        done: how many are done already.
        keep: whether the bar stays on the screen at the end; such a one is shown at once.
    """
    terminal = sys.stderr.isatty()
    bar: tqdm[Any] = (tqdm if terminal else Lines)(
        desc=title,
        total=total,
        unit=unit,
        initial=done,
        leave=keep,
        delay=0 if keep else 2,
        mininterval=0.2 if terminal else 5,
        disable=quiet or _hidden.get(),
        file=sys.stderr,
    )
    return bar


def notice(text: str) -> None:
    """A line on standard error that does not tear a progress bar; not with --quiet."""
    if not quiet and not _hidden.get():
        tqdm.write(text, file=sys.stderr)


def say(text: object) -> None:
    """A line on standard output about what happens; not with --quiet."""
    if not quiet:
        sys.stdout.write(f"{text}\n")
