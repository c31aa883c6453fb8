"""Reads a page as a browser would: every tag is closed, scripts hold JSON, text is text."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"meta", "img", "input", "br", "link", "hr"}


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        tags: (name, attributes) of each element.
        charts: what the data scripts hold.
        text: everything that is shown, in one line.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.charts: list[dict[str, Any]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            if self.tags[-1][1].get("type") == "application/json":
                self.charts.append(json.loads(data))
        elif not self.open or self.open[-1] != "style":
            self.words.append(data)

    def chart(self, title: str) -> dict[str, Any]:
        [found] = [chart for chart in self.charts if chart["title"] == title]
        return found

    def needs_no_network(self) -> bool:
        """Whether nothing is loaded from elsewhere."""
        loaded = [str(a.get("src") or "") for _, a in self.tags if "src" in a]
        return all(source.startswith("data:") for source in loaded) and not {"link", "iframe"} & {
            t for t, _ in self.tags
        }
