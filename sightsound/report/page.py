"""Writes one self-contained page from the template of the same name in this folder; all of them extend `base.html`."""

from pathlib import Path

from jinja2 import Environment, PackageLoader


def write_page(path: Path, **values: object) -> Path:
    """Renders values into a file, whole or not at all; its path, whose name is the template's."""
    page = Environment(loader=PackageLoader("sightsound", "report"), autoescape=True).get_template(path.name)
    partial = path.with_suffix(".partial")
    partial.write_text(page.render(**values), encoding="utf-8")
    partial.replace(path)
    return path
