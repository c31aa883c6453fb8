"""`sightsound data list|fetch|build|show|clean`: data sets by name, and the space that prepared data take."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from sightsound.cli.common import Parser
from sightsound.cli.tables import text_table
from sightsound.data.sources.base import SourceOptions

EXAMPLE = """Data sets known by name, each of which becomes a table like your own.

  sightsound data list
  sightsound data fetch mnist+fsdd
  sightsound data build mnist+fsdd --pairs 20000
  sightsound data build video --root clips/ --every 2
  sightsound data show avmnist
  sightsound data clean

A name also stands for its table in `sightsound train NAME`; hub:OWNER/NAME is a Hugging Face data set.
"""
ACTIONS = ("list", "fetch", "build", "show", "clean")


def run(arguments: Sequence[str]) -> None:
    """Parses and runs the action."""
    parser = Parser("data", "list|fetch|build|show|clean [NAME]", EXAMPLE)
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("name", nargs="?", help="a data set; of clean: what to remove, as it is listed, or all")
    parser.add_argument("--mirror", help="of fetch: a folder, or the address of one, that has the files")
    parser.add_class_arguments(SourceOptions, nested_key=None)
    given = parser.parse(arguments).as_dict()
    action, name, mirror = given.pop("action"), given.pop("name"), given.pop("mirror")
    if action in ("fetch", "build", "show") and not name:
        parser.error(f"{action} needs the name of a data set; `sightsound data list` shows them")
    if action == "list":
        list_sources()
    elif action == "clean":
        clean(name)
    elif action == "fetch":
        from sightsound.data.datasets import fetch

        if given["root"] and not Path(given["root"]).is_dir():
            parser.error(f"--root {given['root']}: there is no such folder")
        fetch(name, mirror or given["root"], print)
    elif action == "build":
        from sightsound.data.datasets import dataset

        print(dataset(name, SourceOptions(**given)))
    else:
        show(name, SourceOptions(**given))


def list_sources() -> None:
    """Prints every name with a line about it."""
    from sightsound.data.sources import SOURCES

    for name, known in SOURCES.items():
        print(f"{name:<23}{known.about}")
    print(f"{'hub:OWNER/NAME':<23}a Hugging Face data set, or hub:FOLDER for one on disk")


def show(name: str, options: SourceOptions) -> None:
    """Prints what a data set, or an encoder, is, where it comes from and whether it is here."""
    from sightsound.data.datasets import built_folder
    from sightsound.data.sources import source
    from sightsound.downloads import fetched_path

    known = source(name)
    print(f"{name}: {known.about}\nLicence: {known.licence}")
    if known.parts:
        print(f"Made of: {' and '.join(known.parts)}")
    missing = [download for download in known.downloads if not fetched_path(name, download).exists()]
    for download in known.downloads:
        there = "not here" if download in missing else "here"
        print(f"  {download.url} ({download.size / 1e6:.1f} MB, {there})")
    if known.encoder:
        how = f"Fetch it: `sightsound data fetch {name}`. Then {known.encoder}" if missing else known.encoder
        print(f"{how} takes it.")
        return
    table = built_folder(name, options) / "table.csv"
    if not table.exists():
        print("Not built with these options yet.")
        return
    from sightsound.cli.inspect import inspect_table
    from sightsound.config import columns_type

    print(f"Built: {table}\n")
    inspect_table(str(table), columns_type()())


def clean(name: str | None) -> None:
    """Without a name, prints what uses disk space; with one, or `all`, removes it."""
    from sightsound.data.prepared.cache import list_cached, remove
    from sightsound.downloads import cache_folder

    found, others = list_cached()
    if name is None:
        if found:
            rows = [[one.folder.name, f"{one.size / 1e6:.1f} MB", one.what] for one in found]
            print(text_table([["name", "size", "what"], *rows]))
        print(f"{cache_folder()}: {sum(one.size for one in found) / 1e6:.1f} MB")
        for folder in others:
            print(f"{folder}: not made by sightsound, so it is not counted, and never removed")
        print("Remove one with `sightsound data clean NAME`, everything with `sightsound data clean all`.")
        return
    chosen = [one for one in found if name in ("all", one.folder.name)]
    if not chosen and name != "all":
        print(f"There is nothing called {name!r}; `sightsound data clean` lists what there is.", file=sys.stderr)
        sys.exit(1)
    for one in chosen:
        remove(one)
        print(f"removed {one.folder.name}: {one.size / 1e6:.1f} MB")
    if name == "all":
        for folder in others:
            print(f"left alone {folder}: nothing in it says that sightsound made it")
