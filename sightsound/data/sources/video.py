"""Video files as a table: an image and the sound of each, or of every few seconds of it. Needs the extra `video`.

The folder holds `class/name.mp4` (or any other kind that FFmpeg reads). A video without sound gives rows without
audio, one without images gives rows without image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.sources.base import DataSource, SourceOptions, write_wav
from sightsound.data.text import without_formulas
from sightsound.errors import FileError, SourceError, needs_extra
from sightsound.progress import progress_bar

ENDINGS = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".mpg", ".mpeg", ".ogv", ".3gp", ".flv"}
SLIVER = 0.1  # of a segment: a shorter rest at the end is left out; sound and images seldom end together


class Segment(NamedTuple):
    """A segment of a video: start and end in seconds, image (H, W, 3) or None, samples (N, channels) or None."""

    start: float
    end: float
    picture: NDArray[np.uint8] | None
    samples: NDArray[np.float32] | None
    sample_rate_hz: int


def build(options: SourceOptions, folder: Path) -> None:
    """Writes `images/`, `sounds/` and `table.csv` (image, audio, label, group, time, end_second).

    Raises:
        SourceError: there is no folder, no video in it, or some cannot be read and `on_bad_file` is stop.
    """
    if not options.root:
        raise SourceError("video: say where the videos are: --root FOLDER, which holds CLASS/NAME.mp4 and so on")
    root = Path(options.root)
    files = [file for file in sorted(root.glob("*/*")) if file.suffix.lower() in ENDINGS]
    if not files:
        raise SourceError(f"{root}: no videos CLASS/NAME with one of these endings: {' '.join(sorted(ENDINGS))}")
    for name in ("images", "sounds"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows, bad = [], []
    with progress_bar("reading videos", len(files)) as bar:
        for file in files:
            stem = f"{file.parent.name}-{file.name}"
            try:
                for i, part in enumerate(parts(file, options.every)):
                    row = {
                        "image": "",
                        "audio": "",
                        "label": file.parent.name,
                        "group": f"{file.parent.name}/{file.name}",
                    }
                    if part.picture is not None:
                        row["image"] = f"images/{stem}-{i:05d}.png"
                        Image.fromarray(part.picture).save(folder / row["image"])
                    if part.samples is not None and len(part.samples):
                        row["audio"] = f"sounds/{stem}-{i:05d}.wav"
                        write_wav(folder / row["audio"], part.samples, part.sample_rate_hz)
                    if row["image"] or row["audio"]:
                        rows.append({**row, "time": part.start, "end_second": part.end})
            except FileError as error:
                bad.append((str(file), error.reason))
            bar.update()
    if bad:
        without_formulas(pd.DataFrame(bad, columns=["file", "reason"])).to_csv(folder / "rejected.csv", index=False)
        if options.on_bad_file == "stop" or not rows:
            listed = "\n".join(f"  {file}: {reason}" for file, reason in bad[:10])
            raise SourceError(
                f"{root}: {len(bad)} of {len(files)} videos cannot be read:\n{listed}\n"
                "Mend them, or go on without these: --on-bad-file skip"
            )
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)


def parts(path: Path, every: float | None) -> Iterator[Segment]:
    """Yields the segments of a video: one for the whole, or one for every `every` seconds. Raises FileError."""
    try:
        import av
    except Exception as error:  # a damaged library raises anything
        raise SourceError(f"Reading videos {needs_extra('video', error)}") from error
    try:
        with av.open(str(path)) as container:
            seen = [(time, frame) for time, frame in _pictures(container, every)]
        with av.open(str(path)) as container:
            samples, rate = _sound(container)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise FileError(str(path), f"the video is damaged, or none ({error})") from error
    seconds = max([len(samples) / rate if rate else 0.0, *(end for (_, end), _ in seen)])
    if not seconds:
        raise FileError(str(path), "the video has neither pictures nor sound")
    step = every or seconds
    pictures = {round(start / step): picture for (start, _), picture in seen}
    for i in range(max(int(np.ceil(seconds / step - SLIVER)), 1)):
        start, end = i * step, min((i + 1) * step, seconds)
        heard = samples[round(start * rate) : round(end * rate)] if rate else None
        yield Segment(start, end, pictures.get(i), heard, rate)


def _pictures(container: Any, every: float | None) -> Iterator[tuple[tuple[float, float], NDArray[np.uint8]]]:
    """Yields for each segment the image nearest to its middle, with its start and the end of its images."""
    if not container.streams.video:
        return
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    length = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
    step = every or length or 1.0
    best: dict[int, tuple[float, Any]] = {}
    last = 0.0
    for frame in container.decode(stream):
        time = float(frame.time or 0.0)
        last = max(last, time)
        i = int(time // step) if every else 0
        away = abs(time - (i + 0.5) * step)
        if i not in best or away < best[i][0]:
            best[i] = (away, frame)
    for i, (_, frame) in best.items():
        yield (i * step, last + 1 / float(stream.average_rate or 25)), frame.to_ndarray(format="rgb24")


def _sound(container: Any) -> tuple[NDArray[np.float32], int]:
    """Returns all samples (N, channels) and their rate; (0, 1) and 0 where there is no sound."""
    if not container.streams.audio:
        return np.zeros((0, 1), np.float32), 0
    import av

    rate = container.streams.audio[0].rate
    resampler = av.AudioResampler(format="fltp", rate=rate)
    blocks = []
    for frame in container.decode(container.streams.audio[0]):
        blocks += [block.to_ndarray().T for block in resampler.resample(frame)]
    samples = np.concatenate(blocks).astype(np.float32) if blocks else np.zeros((0, 1), np.float32)
    return samples, rate if len(samples) else 0


SOURCE = DataSource(
    about="your own videos: a folder of CLASS/NAME.mp4; --root FOLDER, --every SECONDS",
    licence="yours",
    build=build,
)
