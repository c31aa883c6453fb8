"""Writes one self-contained page from the template of the same name in this folder; all of them extend `base.html`.

Style, scripts and data are in the page, so that it needs no network; all names chosen by users are escaped.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from sightsound import __version__
from sightsound.config import Config
from sightsound.data.text import visible
from sightsound.report.charts import described, embedded
from sightsound.report.colours import colour_of, style_sheet

FOLDER = Path(__file__).parent


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sightsound", "report"),
        autoescape=True,
        finalize=_shown,
        auto_reload=False,
    )
    environment.filters |= {"described": described, "embedded": embedded, "colour_of": colour_of}
    style = style_sheet() + (FOLDER / "page.css").read_text(encoding="utf-8")
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("charts.js", "tables.js"))
    environment.globals |= {"style": Markup(style), "script": Markup(script)}
    return environment


def _shown(value: object) -> object:
    """Makes text visible and writable: control characters and undecodable bytes are written out."""
    if type(value) is str and not (value.isascii() and value.isprintable()):
        return visible(value).encode("utf-8", "backslashreplace").decode()
    return value


def write_page(path: Path, title: str, about: Sequence[str], **values: object) -> Path:
    """Renders values into a file, whole or not at all; its path, whose name is the template's.

    Args:
        path: of the file.
        title: what was done with what.
        about: the first lines: on what, when, by which version.
        **values: that the template uses.
    """
    page = _environment().get_template(path.name)
    partial = path.with_suffix(".partial")
    partial.write_text(page.render(title=title, about=about, **values), encoding="utf-8")
    partial.replace(path)
    return path


def kind_of(config: Config) -> str:
    """A classifier in a few words, such as "image + audio, concat"."""
    both = len(config.modalities) > 1
    return f"{' + '.join(config.modalities)}{', ' + config.fusion if both else ' only'}"


def short_name(table: str) -> str:
    """What a table is called in a title: the last parts of a path."""
    path = Path(table)
    return "/".join(path.parts[-2:]) if path.stem in ("table", "data", "labels", "index") else path.name or table


def when(file: Path) -> str:
    """The day and minute a file was written, in words, such as "27 November 2026, 20:24"; now, if it is not there."""
    moment = datetime.fromtimestamp(file.stat().st_mtime) if file.exists() else datetime.now()
    return f"{moment.day} {moment:%B %Y, %H:%M}"


def version() -> str:
    """Names the program and version that writes the page."""
    return f"sightsound {__version__}"
