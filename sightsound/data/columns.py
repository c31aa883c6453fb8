"""Finds the role of each column of a table: names are matched in any case, and near misses are reported."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NamedTuple

from sightsound.config import ColumnsConfig
from sightsound.errors import TableError, did_you_mean
from sightsound.modalities.base import MODALITIES, modality

SYNONYMS = {  # other names in common use; those of modalities are declared by `Modality`
    "label": {"class", "species", "category", "target"},
    "group": {"speaker", "subject", "site", "patient", "location", "session", "recording", "recorder"},
    "split": {"set", "subset", "partition", "fold"},
}
NEAR = 0.8  # likeness above which an unused name may be a misspelt one


class Columns(NamedTuple):
    """The position of each role's column in the table, and sentences for the user."""

    position: dict[str, int]
    notes: list[str]


def match(
    table: str,
    names: Sequence[str],
    columns: ColumnsConfig,
    assumed: ColumnsConfig,
    roles: Sequence[str],
    labelled: bool,
) -> Columns:
    """Finds the columns that the configuration names.

    Args:
        table: the table's name, for messages.
        names: the names of all columns, as written in the table.
        columns: the names to find.
        assumed: the default names, which may be missing; a name that differs from its default must exist.
        roles: the roles to find.
        labelled: whether the label must exist.

    Raises:
        TableError: a column that was named or is needed does not exist; or a name matches two columns.
    """
    position: dict[str, int] = {}
    roles = [role for role in roles if hasattr(columns, role)]  # a plugin may have come later than a configuration
    for role in roles:
        name = getattr(columns, role)
        places = _places(name, names)
        if len(places) > 1:
            found = " and ".join(repr(names[place]) for place in places)
            raise TableError(f"{table}: {found} are both the column {name!r} ({role}). Rename one of them.")
        if places:
            position[role] = places[0]
        elif name != getattr(assumed, role):
            raise TableError(f"{table}: there is no column {name!r} (--columns.{role}). {did_you_mean(name, names)}")
    if labelled and "label" not in position:
        raise TableError(_nowhere(table, f"no {columns.label!r} column", columns.label, "label", names))
    if not set(MODALITIES) & set(position):
        raise TableError(_nowhere(table, f"no {' and no '.join(MODALITIES)} column", columns.image, "image", names))
    return Columns(position, _near_misses(names, columns, position, roles))


def _places(name: str, names: Sequence[str]) -> list[int]:
    """Returns the positions of a name: exact matches, else those that ignore case and surrounding blanks."""
    exact = [place for place, other in enumerate(names) if other == name]
    return exact or [place for place, other in enumerate(names) if _plain(other) == _plain(name)]


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _near_misses(
    names: Sequence[str], columns: ColumnsConfig, position: dict[str, int], roles: Sequence[str]
) -> list[str]:
    """Returns a sentence for each unused column whose name resembles that of one that was not found."""
    notes = []
    free = {_plain(name): name for place, name in enumerate(names) if place not in position.values()}
    for role in roles:
        if role in position:
            continue
        near = difflib.get_close_matches(_plain(getattr(columns, role)), free, 1, NEAR)
        synonyms = modality(role).synonyms if role in MODALITIES else SYNONYMS.get(role, ())
        near = near or [name for name in free if name in synonyms]
        if near:
            name = free.pop(near[0])
            notes.append(f"the column {name!r} is not used; if it is the {role}, name it: --columns.{role} {name!r}")
    return notes


def _nowhere(table: str, what: str, name: str, role: str, names: Sequence[str]) -> str:
    options = [f"--columns.{name} NAME" for name in (MODALITIES if role in MODALITIES else [role])]
    alone = " There is one column only: is it divided by something else? --columns.separator" if len(names) == 1 else ""
    return f"{table}: there is {what}. {did_you_mean(name, names)} Name it with {' and '.join(options)}.{alone}"
