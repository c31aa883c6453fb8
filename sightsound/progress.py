"""Progress bars of one style, shown after two seconds, and as lines where standard error is no terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

Say = Callable[[str], object]  # called with each line for the user
SECONDS_A_LINE = 60  # between lines, without a terminal
quiet = False  # the command line's --quiet
_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


@contextmanager
def hidden() -> Iterator[None]:
    """Hides all bars and notices of this thread within the block."""
    token = _hidden.set(True)
    try:
        yield
    finally:
        _hidden.reset(token)


class Lines(tqdm):  # type: ignore[type-arg]
    """A progress bar for files and pipes: one line a minute, and one at the end of a bar that took `delay` seconds."""

    def __init__(self, delay: float = 0, **options: Any) -> None:
        self._printed = time.monotonic()
        self._shown = self._printed + delay
        self._closing = False
        super().__init__(delay=delay, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Prints the bar as a line if a minute has passed or the bar ends."""
        now = time.monotonic()
        if msg != "" and (self._closing or now - self._printed > SECONDS_A_LINE):
            self._printed = now
            self.fp.write(f"{self}\n")

    def clear(self, nolock: bool = False) -> None:
        """Does nothing: lines stay when something else is written."""

    def close(self) -> None:
        """Prints the last state of a bar that was shown."""
        if self.disable:
            return
        if self.n and time.monotonic() >= self._shown:
            self._closing = True
            self.display()
        self.disable = True


def progress_bar(title: str, total: int, unit: str = "file", done: int = 0, keep: bool = False) -> "tqdm[Any]":
    """Creates a progress bar on standard error with the time left; use it in a `with`, or close it.

    Args:
        title: the task, as shown in front of the bar.
        total: number of units.
        unit: the name of a unit.
        done: the number of units that are done already.
        keep: whether the bar stays on the screen at the end; such a bar is shown at once.
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
    """Writes a line to standard error without breaking a progress bar; nothing with --quiet."""
    if not quiet and not _hidden.get():
        tqdm.write(text, file=sys.stderr)


def say(text: object) -> None:
    """Writes a line to standard output; nothing with --quiet."""
    if not quiet:
        sys.stdout.write(f"{text}\n")
