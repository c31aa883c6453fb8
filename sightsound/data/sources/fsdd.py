"""Free Spoken Digit Dataset (Z. Jackson et al.): `recordings/{digit}_{speaker}_{index}.wav` as a table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sightsound.data.sources.base import DataSource, SourceOptions, find
from sightsound.downloads import Download, cache_folder
from sightsound.errors import SourceError

PLACES = (".", "recordings", "fsdd", "fsdd/recordings", "free-spoken-digit-dataset-1.0.9/recordings")
TEST_RECORDINGS = 5  # recordings of each speaker and digit: the official test set
VALIDATION = 10  # every tenth of the others


def build(options: SourceOptions, folder: Path) -> None:
    """Writes `table.csv`; the recordings stay where they are."""
    frame = read(options)
    frame[["audio", "label", "split", "group"]].to_csv(folder / "table.csv", index=False)


def read(options: SourceOptions) -> pd.DataFrame:
    """Reads columns audio (absolute path), label, split and group (the speaker), in the order of the names.

    By recording: index 0 to 4 test, as is official; 9, 19, 29, 39 and 49 validate. By speaker: of those in alphabetical
    order the last one tests and the one before validates.

    Raises:
        SourceError: no recordings, or a name of another form.
    """
    fetched = cache_folder() / "fetched" / "fsdd"
    recordings = sorted(find(options.root, fetched, "fsdd", PLACES, "[0-9]_*_*.wav").resolve().glob("*.wav"))
    names = [path.stem.split("_") for path in recordings]
    for path, name in zip(recordings, names, strict=True):
        if len(name) != 3 or not name[0].isdigit() or not name[2].isdigit():
            raise SourceError(f"{path}: fsdd's names have the form digit_speaker_index.wav. Is this another data set?")
    frame = pd.DataFrame(names, columns=["label", "group", "index"])
    frame["audio"] = [str(path) for path in recordings]
    index = frame["index"].astype(int)
    speakers = sorted(frame["group"].unique())
    test, val = index < TEST_RECORDINGS, index % VALIDATION == VALIDATION - 1
    if options.split_by == "speaker":
        if len(speakers) < 3:
            raise SourceError(f"fsdd: {len(speakers)} speaker(s) cannot be split in three. --split-by recording can.")
        test, val = frame["group"] == speakers[-1], frame["group"] == speakers[-2]
    frame["split"] = "train"
    frame.loc[val, "split"] = "val"
    frame.loc[test, "split"] = "test"
    return frame


SOURCE = DataSource(
    about="spoken digits: 5 speakers x 10 digits x 50 recordings at 8 kHz",
    licence="CC BY-SA 4.0; Z. Jackson et al., Free Spoken Digit Dataset v1.0.9",
    build=build,
    downloads=(
        Download(
            "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",
            "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
            11_975_353,
        ),
    ),
)
