"""What the verbs share: a parser that takes hyphens, and tables as text."""

from __future__ import annotations

import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from sightsound.config import ColumnsConfig
from sightsound.data.sources.base import SourceOptions

set_parsing_settings(docstring_parse_attribute_docstrings=True)


class Formatter(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Leaves the examples in a description as they are written."""


class Parser(ArgumentParser):
    """Takes --batch-size and --batch_size alike, and shows the former.

    Args:
        verb: what the user typed after `sightsound`.
        positionals: how to call it, for the usage line.
        description: what it does, and examples.
    """

    def __init__(self, verb: str, positionals: str, description: str) -> None:
        super().__init__(
            prog=f"sightsound {verb}",
            usage=f"sightsound {verb} {positionals} [options]".replace("  ", " "),
            description=description,
            formatter_class=Formatter,
        )

    def format_help(self, formatter: Any = None) -> str:
        """The help text with hyphens in the names of options."""
        return re.sub(r"--[\w.]+", lambda match: match[0].replace("_", "-"), super().format_help(formatter))

    def given(self, arguments: Sequence[str]) -> Namespace:
        """The parsed arguments; a wrong call ends the process with a usage message."""
        return self.parse_args([_underscored(argument) for argument in arguments])


def columns_of(given: Namespace) -> ColumnsConfig | None:
    """The column names that the user gave; None, and so those the classifier was trained with, if none were."""
    columns = ColumnsConfig(**given.columns.as_dict())
    return None if columns == ColumnsConfig() else columns


def source_of(given: dict[str, Any]) -> SourceOptions:
    """Takes the options of data sets known by name out of all that were given."""
    own = {f.name: given.pop(f.name) for f in fields(SourceOptions) if f.name not in ("seed", "on_bad_file")}
    return SourceOptions(**own, seed=given["seed"], on_bad_file=given["on_bad_file"])


def _underscored(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"


def text_table(rows: Sequence[Sequence[Any]]) -> str:
    """Rows as aligned columns, the first row being the head; the first column to the left, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def metrics_table(metrics: dict[str, Any]) -> str:
    """The numbers of each subset of the senses."""
    head = ["senses", "rows", "accuracy", "95 % interval", "macro F1", "macro recall", "calibration error"]
    rows = [
        [
            name,
            numbers["rows"],
            f"{numbers['accuracy']:.4f}",
            "{:.4f} to {:.4f}".format(*numbers["accuracy_ci"]),
            f"{numbers['macro_f1']:.4f}",
            f"{numbers['macro_recall']:.4f}",
            f"{numbers['calibration_error']:.4f}",
        ]
        for name, numbers in metrics["subsets"].items()
    ]
    return text_table([head, *rows])
