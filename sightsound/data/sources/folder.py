"""A folder of classes as a table: `class/name.png` and `class/name.wav` share a row; either may be alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sightsound.data.sources.base import Source, SourceOptions
from sightsound.errors import SourceError, TableError

ENDINGS = {
    "image": {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"},
    "audio": {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"},
}


def read(root: Path) -> pd.DataFrame:
    """Columns image, audio (paths relative to `root`, "" where missing) and label (the folder's name).

    Raises:
        TableError: no class folder, no file of a known ending, or two files for one place.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for file in sorted(root.glob("*/*")):
        modality = next((m for m, endings in ENDINGS.items() if file.suffix.lower() in endings), None)
        if modality is None or file.name.startswith("."):
            continue
        row = rows.setdefault((file.parent.name, file.stem), {"image": "", "audio": "", "label": file.parent.name})
        if row[modality]:
            raise TableError(f"{file}: {row[modality]} is the {modality} of the same row; rename one of the two.")
        row[modality] = str(file.relative_to(root))
    if not rows:
        known = " ".join(sorted(ENDINGS["image"] | ENDINGS["audio"]))
        raise TableError(f"{root}: no class folders with files of a known kind in them ({known}).")
    return pd.DataFrame(list(rows.values()))


def _build(options: SourceOptions, folder: Path) -> None:
    if not options.root:
        raise SourceError("folder: say where the classes are: --root FOLDER, which holds CLASS/a.png and CLASS/a.wav")
    root = Path(options.root).resolve()
    frame = read(root)
    for modality in ENDINGS:
        frame[modality] = [str(root / file) if file else "" for file in frame[modality]]
    frame.to_csv(folder / "table.csv", index=False)


SOURCE = Source(about="your own folder of CLASS/a.png and CLASS/a.wav; --root FOLDER", licence="yours", build=_build)
