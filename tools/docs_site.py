"""What mkdocs does not know of this repository: documents outside `docs/`, links as GitHub reads them, the reference.

A hook of `mkdocs.yml`. The reference lists every public name of `sightsound/__init__.py` and the classes to derive from.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

import sightsound

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
ON_GITHUB = "https://github.com/sightsound/sightsound/blob/main/"
OUTSIDE = {"index.md": "README.md"} | {name: name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")}
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s#]+)")
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", flags=re.DOTALL | re.MULTILINE)
BASES = (
    "sightsound.fusion.base.Fusion",
    "sightsound.encoders.base.Encoder",
    "sightsound.training.balances.base.Auxiliary",
    "sightsound.data.sources.base.DataSource",
    "sightsound.downloads.Download",
)
MODULES = ("plot",)
ABOUT = {
    "Functions": "One call each.",
    "Classes": "What the functions take and return.",
    "Modules": "Functions that belong together.",
    "Classes to derive from": "For a strategy, an encoder, a balance or a source of your own, see "
    "[CONTRIBUTING](CONTRIBUTING.md).",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the documents that do not lie in `docs/`."""
    from mkdocs.structure.files import File

    for page, document in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / document).read_text(encoding="utf-8")))
    files.append(File.generated(config, "reference.md", content=reference()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes links that GitHub follows from a document's own place fit the site."""
    there = {file.src_uri for file in files}
    return site_links(markdown, page.file.src_uri, there)


def site_links(markdown: str, page: str, there: set[str]) -> str:
    """A document with links that lead to its site, or to GitHub for what is not part of it.

    Args:
        markdown: of the document.
        page: its place in the site, `index.md`.
        there: places of all that is part of the site.
    """
    sources = {document: place for place, document in OUTSIDE.items()}
    folder = "" if page in (*OUTSIDE, "reference.md") else "docs"

    def fitted(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        place = sources.get(target, target.removeprefix("docs/"))
        if place in there:
            return link[1] + posixpath.relpath(place, posixpath.dirname(page) or ".")
        return link[1] + (ON_GITHUB + target if (ROOT / target).exists() else link[2])

    parts = CODE.split(markdown)
    return "".join(part if i % 2 else LINK.sub(fitted, part) for i, part in enumerate(parts))


def reference() -> str:
    """The page that mkdocstrings fills from the docstrings."""
    names = {name: f"sightsound.{place}.{name}" for name, place in sightsound._PLACES.items()}
    modules = {name: names.pop(name) for name in MODULES}
    functions = {name: where for name, where in names.items() if name.islower()}
    sections = {
        "Functions": functions,
        "Classes": {name: where for name, where in names.items() if name not in functions},
        "Modules": modules,
        "Classes to derive from": {where: where for where in BASES},
    }
    text = "# Reference\n\nAll that `import sightsound` offers.\n"
    for title, entries in sections.items():
        text += f"\n## {title}\n\n{ABOUT[title]}\n"
        for name, where in entries.items():
            heading = name if "." in name else f"sightsound.{name}"
            text += f"\n::: {where}\n    options:\n      heading: {heading}\n      toc_label: {name.split('.')[-1]}\n"
    return text
