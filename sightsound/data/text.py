"""Shows names that users choose as plain text, whatever is in them: in terminals, spreadsheets and messages.

A label may hold escape codes of a terminal or begin like a formula; such characters are made visible.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pandas as pd

# control characters except tab, new line and return; and those that reverse the direction of writing
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def visible(text: str) -> str:
    r"""Returns the text with control characters written out, such as \u001b."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Puts a quote mark before each text that a spreadsheet program would compute."""

    def safe(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value):
            return f"'{value}"
        return value

    objects = [column for column in frame if frame[column].dtype.kind not in "biufc"]
    changed = frame.assign(**{str(column): frame[column].map(safe) for column in objects}) if objects else frame
    return changed.rename(columns=safe)


class Visible:
    """A wrapper of a stream that makes control characters visible, and never fails for the stream's encoding.

    Args:
        stream: a terminal, a pipe or a file.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes the text, with characters outside the stream's encoding as escapes; returns its length."""
        shown = visible(text)
        try:
            self.stream.write(shown)
        except UnicodeEncodeError:
            encoding = self.stream.encoding or "ascii"
            self.stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
