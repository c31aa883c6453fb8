"""Handwritten and spoken digits paired by label: MNIST with FSDD or with Speech Commands.

Each image gets a sound of its class (for `digit-sum` of any), drawn by the seed; no image and no recording is in two
splits. The draws are written by number and name to `pairs.csv`, which is the same on every computer.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from sightsound.data.sources import fsdd, mnist, speech_commands
from sightsound.data.sources.base import DataSource, SourceOptions
from sightsound.errors import SourceError
from sightsound.progress import progress_bar

PAIRS = 20_000
VALIDATION = 10  # one validation pair, of other images, for so many training pairs


def build(sound: str, options: SourceOptions, folder: Path, summed: bool = False) -> None:
    """Writes the images that are used, `table.csv` and `pairs.csv`.

    Args:
        sound: fsdd or speech-commands.
        summed: whether the sound is of any digit, and the label is the sum of both digits modulo 10.
        options: the options; `pairs` is the number for training; all test images are paired.
        folder: the folder to write to.

    Raises:
        SourceError: files are missing, or there are fewer images than pairs asked for.
    """
    pools = _sounds(sound, options)
    images = {split: mnist.read(options.root, split) for split in mnist.PARTS}
    pairs, count = options.pairs or PAIRS, len(images["train"][0])
    most = count * VALIDATION // (VALIDATION + 1)
    if not 0 < pairs <= most:
        raise SourceError(f"mnist+{sound}: --pairs is {pairs}; it can be 1 to {most}, since others have to validate.")
    rng = np.random.default_rng(options.seed)
    order = rng.permutation(count)
    chosen = {
        "train": ("train", order[:pairs]),
        "val": ("train", order[pairs : pairs + max(pairs // VALIDATION, 1)]),
        "test": ("test", np.arange(len(images["test"][0]))),
    }
    rows = []
    with progress_bar(f"writing mnist+{sound}", sum(len(numbers) for _, numbers in chosen.values())) as bar:
        for split, (part, numbers) in chosen.items():
            (folder / split).mkdir(parents=True, exist_ok=True)
            by_label = dict(list(pools[pools["split"] == split].groupby("label")))
            for number in numbers:
                pixels, seen = images[part][0][number], int(images[part][1][number])
                heard = int(rng.integers(10)) if summed else seen
                if str(heard) not in by_label:
                    raise SourceError(f"mnist+{sound}: there is no {split} recording of the digit {heard}.")
                drawn = by_label[str(heard)].iloc[rng.integers(len(by_label[str(heard)]))]
                label = str((seen + heard) % 10) if summed else str(seen)
                file = f"{split}/{number:05d}.png"
                Image.fromarray(pixels).save(folder / file, compress_level=1)
                rows.append((file, drawn["audio"], label, split, drawn["group"], number))
                bar.update()
    frame = pd.DataFrame(rows, columns=["image", "audio", "label", "split", "group", "mnist_index"])
    frame["recording"] = ["/".join(Path(path).parts[-2:]) for path in frame["audio"]]
    frame[["split", "label", "mnist_index", "recording"]].to_csv(folder / "pairs.csv", index=False)
    frame[["image", "audio", "label", "split", "group"]].to_csv(folder / "table.csv", index=False)


def _sounds(sound: str, options: SourceOptions) -> pd.DataFrame:
    """Reads columns audio, label ("0" to "9"), split, group."""
    if sound == "fsdd":
        return fsdd.read(options)
    frame = speech_commands.read(dataclasses.replace(options, words="digits"))
    frame["label"] = frame["label"].map({word: str(digit) for digit, word in enumerate(speech_commands.DIGITS)})
    return frame


def _source(sound: str, about: str) -> DataSource:
    return DataSource(about, "as its parts", functools.partial(build, sound), parts=("mnist", sound))


DIGIT_SUM = DataSource(
    "mnist and fsdd, paired whatever their digits; the class is the sum's last digit; --pairs N",
    "as its parts",
    functools.partial(build, "fsdd", summed=True),
    parts=("mnist", "fsdd"),
)
FSDD = _source("fsdd", "handwritten and spoken digits paired by label; --pairs N")
SPEECH_COMMANDS = _source("speech-commands", "handwritten digits and the words zero to nine; --pairs N")
