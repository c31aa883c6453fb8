"""Google Speech Commands v0.02 (Warden, 2018): one folder a word, official validation and test lists, as a table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sightsound.data.sources.base import DataSource, SourceOptions, find, not_found
from sightsound.downloads import Download, cache_folder

PLACES = (".", "speech-commands", "speech_commands_v0.02", "SpeechCommands/speech_commands_v0.02")
LISTS = {"val": "validation_list.txt", "test": "testing_list.txt"}
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def build(options: SourceOptions, folder: Path) -> None:
    """Writes `table.csv`; the recordings stay where they are."""
    read(options).to_csv(folder / "table.csv", index=False)


def read(options: SourceOptions) -> pd.DataFrame:
    """Reads columns audio (absolute path), label (the word), split and group (the speaker).

    Raises:
        SourceError: the folder or one of its lists is missing, or there are no recordings.
    """
    fetched = cache_folder() / "fetched" / "speech-commands"
    root = find(options.root, fetched, "speech-commands", PLACES, LISTS["test"]).resolve()
    words = DIGITS if options.words == "digits" else sorted(p.name for p in root.iterdir() if p.is_dir())
    files = [file for word in words if word[0] not in "_." for file in sorted((root / word).glob("*.wav"))]
    if not files:
        raise not_found("speech-commands", "WORD/NAME.wav", [root])
    split_of: dict[str, str] = {}
    for split, name in LISTS.items():
        if not (root / name).exists():
            raise not_found("speech-commands", f"{name} (it comes with the archive and makes the splits)", [root])
        split_of |= dict.fromkeys((root / name).read_text().split(), split)
    return pd.DataFrame(
        {
            "audio": [str(file) for file in files],
            "label": [file.parent.name for file in files],
            "split": [split_of.get(f"{file.parent.name}/{file.name}", "train") for file in files],
            "group": [file.name.partition("_nohash_")[0] for file in files],
        }
    )


SOURCE = DataSource(
    about="105,829 recordings of 35 words by 2,618 speakers; --words digits for zero to nine",
    licence="CC BY 4.0; P. Warden, Google",
    build=build,
    downloads=(
        Download(
            "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            2_428_923_189,
        ),
    ),
)
