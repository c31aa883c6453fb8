"""The site has every document and every public name, and its links lead where the documents' links lead."""

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import sightsound
from tools.docs_site import ON_GITHUB, OUTSIDE, reference, site_links

ROOT = Path(__file__).parents[2]
THERE = {"index.md", "CONTRIBUTING.md", "CHANGELOG.md", "missing.md", "picture.svg"}


def test_the_navigation_has_every_document() -> None:
    listed = set(re.findall(r"[\w./-]+\.md\b", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")} | set(OUTSIDE) | {"reference.md"}


def test_the_reference_has_every_public_name_where_it_is() -> None:
    places = re.findall(r"^::: (\S+)\.(\w+)$", reference(), flags=re.MULTILINE)
    assert {name for _, name in places} >= set(sightsound._PLACES)
    for module, name in places:
        found = getattr(import_module(module), name)
        assert (found.__name__ if isinstance(found, ModuleType) else f"{found.__module__}.{name}") == f"{module}.{name}"


def test_links_of_the_readme_lead_to_pages() -> None:
    text = "[a](docs/missing.md#gaps) [b](CONTRIBUTING.md) ![c](docs/picture.svg) [d](#here) [e](https://f.org/docs/x)"
    expected = "[a](missing.md#gaps) [b](CONTRIBUTING.md) ![c](picture.svg) [d](#here) [e](https://f.org/docs/x)"
    assert site_links(text, "index.md", THERE) == expected


def test_links_of_a_guide_lead_to_pages() -> None:
    text = "[a](../README.md) [b](missing.md) [c](../CHANGELOG.md)"
    assert site_links(text, "fusion.md", THERE) == "[a](index.md) [b](missing.md) [c](CHANGELOG.md)"


def test_what_is_no_page_is_shown_by_github_and_what_is_nowhere_stays() -> None:
    assert site_links("[a](configs)", "index.md", THERE) == f"[a]({ON_GITHUB}configs)"
    assert site_links("[a](../Makefile)", "fusion.md", THERE) == f"[a]({ON_GITHUB}Makefile)"
    assert site_links("[a](gone.md)", "fusion.md", THERE) == "[a](gone.md)"  # mkdocs refuses it


def test_code_is_left_as_it_is() -> None:
    text = "```python\nself.project[m](docs/missing.md)\n```\n`[a](docs/missing.md)`"
    assert site_links(text, "index.md", THERE) == text
