"""Hugging Face data sets as a table: `hub:OWNER/NAME`, or `hub:FOLDER` for one on disk. Needs the extra `hub`.

Columns are found by their type. Files are written undecoded, so that they are decoded as a user's own files are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from sightsound.data.sources.base import SourceOptions
from sightsound.errors import SourceError, needs_extra
from sightsound.progress import notice, progress_bar
from sightsound.types import SPLIT_OF

PREFIX = "hub:"


def build(name: str, options: SourceOptions, folder: Path) -> None:
    """Writes the files of all splits and `table.csv`.

    Args:
        name: the name after "hub:": OWNER/NAME, OWNER/NAME:CONFIGURATION or a folder.
        options: not used.
        folder: the folder to write to.

    Raises:
        SourceError: it does not exist, has no image and no audio column, or no label.
    """
    parts = _load(name)
    first = next(iter(parts.values()))
    columns = _columns(name, first.features)
    names = first.features[columns["label"]]
    rows: list[dict[str, str]] = []
    with progress_bar(f"writing {name}", sum(len(part) for part in parts.values()), "row") as bar:
        for split, part in parts.items():
            for number, row in enumerate(part):
                label = row[columns["label"]]
                found = {"label": names.int2str(label) if hasattr(names, "int2str") and label is not None else label}
                for modality in ("image", "audio"):
                    content = row[columns[modality]] if modality in columns else None
                    found[modality] = _written(content, folder, f"{modality}s/{split}-{number:06d}")
                rows.append({**found, "split": SPLIT_OF.get(split.lower(), "")})
                bar.update()
    frame = pd.DataFrame(rows)
    if (frame["split"] == "").any():
        unknown = ", ".join(split for split in parts if split.lower() not in SPLIT_OF)
        notice(f"{PREFIX}{name}: what the split {unknown} is for is not known, so the rows are split by chance.")
        frame = frame.drop(columns="split")
    frame.to_csv(folder / "table.csv", index=False)


def _load(name: str) -> dict[str, Any]:
    """Loads split -> rows, whose images and sounds are not decoded."""
    try:
        import datasets
    except Exception as error:  # a damaged library raises anything
        raise SourceError(f"A Hugging Face data set {needs_extra('hub', error)}") from error
    try:
        if (Path(name) / "dataset_dict.json").exists() or (Path(name) / "state.json").exists():
            loaded = datasets.load_from_disk(name)
        else:
            path, _, configuration = name.partition(":")
            loaded = datasets.load_dataset(path, configuration or None)
    except Exception as error:  # network, hub and file errors of four libraries
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SourceError(
            f"{PREFIX}{name} cannot be loaded: {first} Without a network, save the data set to a folder "
            f"(`save_to_disk`) and give {PREFIX}FOLDER."
        ) from error
    parts = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    for split, part in parts.items():
        for column, feature in part.features.items():
            if type(feature).__name__ in ("Image", "Audio"):
                part = part.cast_column(column, type(feature)(decode=False))
        parts[split] = part
    return parts


def _columns(name: str, features: dict[str, Any]) -> dict[str, str]:
    """Finds the columns of image, audio and label."""
    kinds = {column: type(feature).__name__ for column, feature in features.items()}
    found = {}
    for modality, kind in (("image", "Image"), ("audio", "Audio"), ("label", "ClassLabel")):
        of_kind = [column for column in kinds if kinds[column] == kind]
        named = [column for column in kinds if column in (modality, f"{modality}s", "class", "category")]
        if of_kind or (modality == "label" and named):
            found[modality] = (of_kind or named)[0]
    listed = ", ".join(f"{column} ({kind})" for column, kind in kinds.items())
    if "image" not in found and "audio" not in found:
        raise SourceError(f"{PREFIX}{name}: no column holds images or sounds. There are: {listed}.")
    if "label" not in found:
        raise SourceError(f"{PREFIX}{name}: no column of classes, nor one called label. There are: {listed}.")
    for modality in ("image", "audio"):
        if modality not in found:
            notice(
                f"{PREFIX}{name} has no {modality} column; its rows have the other modality alone. There are: {listed}."
            )
    return found


def _written(content: dict[str, Any] | None, folder: Path, stem: str) -> str:
    """Writes the bytes of an image or a sound; returns the file's name for the table, "" for none."""
    if not content or not (content.get("bytes") or content.get("path")):
        return ""
    if not content.get("bytes"):
        return str(Path(content["path"]).resolve())
    ending = Path(content.get("path") or "").suffix
    file = stem + (ending if re.fullmatch(r"[.]\w{1,5}", ending) else "")
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content["bytes"])
    return file
