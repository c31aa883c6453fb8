"""Reads a folder of classes as a table: `class/name.png` and `class/name.wav` share a row; either may be missing.

`train/`, `val/` and `test/` at the top are splits. Skipped files are reported.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pandas as pd

from sightsound.data.endings import modality_of_endings
from sightsound.data.formats import Cells
from sightsound.data.sources.base import DataSource, SourceOptions
from sightsound.errors import SourceError, TableError
from sightsound.modalities.base import MODALITIES
from sightsound.types import SPLIT_OF

NAMED = 3  # kinds of files in a sentence


def read(root: Path, labelled: bool = True) -> Cells:
    """Reads columns image, audio (paths relative to `root`, "" where missing), label (the folder's name), and split.

    Args:
        root: the folder of CLASS/name.png, or SPLIT/CLASS/name.png where all top folders are named as splits.
        labelled: whether files must lie in the folder of their class. If not, all files count, however deep they lie,
            and the label is "" for those that lie in `root` itself.

    Raises:
        TableError: there is no file of a known ending, or two files belong in one cell.
    """
    files = sorted(Path(folder, name).relative_to(root) for folder, _, names in os.walk(root) for name in names)
    files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    modality_of = modality_of_endings()
    known = [file for file in files if file.suffix.lower() in modality_of]
    tops = {file.parts[0] for file in known if len(file.parts) > 1}
    split = bool(tops) and all(top.lower() in SPLIT_OF for top in tops) and not _are_classes(known)
    deep = 1 + labelled + split
    used = [file for file in known if len(file.parts) == deep] if labelled else known
    if not used:
        raise TableError(f"{root}: {_nothing(known, labelled)} ({' '.join(sorted(modality_of))}).")
    rows: dict[Path, dict[str, str]] = {}
    for file in used:
        modality = modality_of[file.suffix.lower()]
        above = file.parts[split:-1]
        new = {"label": above[0] if above else "", "split": file.parts[0] if split else ""}
        row = rows.setdefault(file.with_suffix(""), {**dict.fromkeys(MODALITIES, ""), **new})
        if row[modality]:
            raise TableError(
                f"{root / file}: {row[modality]} is the {modality} of the same row; rename one of the two."
            )
        row[modality] = str(file)
    frame = pd.DataFrame(list(rows.values()), dtype=object)  # names may be undecodable
    return Cells(frame if split else frame.drop(columns="split"), _passed_over(files, used))


def _are_classes(files: list[Path]) -> bool:
    """Returns whether folders that are named as splits hold files themselves, as folders of classes do."""
    return any(len(file.parts) == 2 for file in files)


def _passed_over(files: list[Path], used: list[Path]) -> list[str]:
    """Returns sentences about the files that are in no row."""
    left = set(files) - set(used)
    endings = modality_of_endings()
    misplaced = sorted(file for file in left if file.suffix.lower() in endings)
    notes = []
    if misplaced:
        notes.append(
            f"{len(misplaced)} file(s) are not in the folder of a class and passed over, such as {misplaced[0]}"
        )
    kinds = Counter(file.suffix.lower() or "(no ending)" for file in left - set(misplaced))
    if kinds:
        most = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(NAMED))
        more = f" and {len(kinds) - NAMED} more kinds" if len(kinds) > NAMED else ""
        notes.append(f"files of other kinds are passed over: {most}{more}. These are read: {' '.join(sorted(endings))}")
    return notes


def _nothing(known: list[Path], labelled: bool) -> str:
    if known and labelled:
        return f"no class folders with files in them, CLASS/name.png; {len(known)} lie elsewhere, such as {known[0]}"
    return f"no {'class folders with ' if labelled else ''}files of a known kind in {'them' if labelled else 'it'}"


def _build(options: SourceOptions, folder: Path) -> None:
    if not options.root:
        raise SourceError("folder: say where the classes are: --root FOLDER, which holds CLASS/a.png and CLASS/a.wav")
    root = Path(options.root).resolve()
    frame = read(root).frame
    for modality in MODALITIES:
        frame[modality] = [str(root / file) if file else "" for file in frame[modality]]
    frame.to_csv(folder / "table.csv", index=False)


SOURCE = DataSource(
    about="your own folder of CLASS/a.png and CLASS/a.wav; --root FOLDER", licence="yours", build=_build
)
