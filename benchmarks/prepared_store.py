"""The prepared store: how fast it is built, what reading costs, what memory training takes, how soon a run starts.

    python benchmarks/prepared_store.py build --root ../shared/data
    python benchmarks/prepared_store.py read --root ../shared/data
    python benchmarks/prepared_store.py memory --rows 10000 200000
    python benchmarks/prepared_store.py start --root ../shared/data

build: rows per second of 60,000 MNIST + FSDD pairs, against a plain loop with Pillow and librosa.load in one process;
    also where every row has a sound file of its own, so that nothing is won by reading a file once.
read: the share of a training step of the default model that goes into getting its batch of 128 from the store.
memory: resident memory of a training, in processes of their own, on files made for it.
start: seconds from the command to the first training step, the second time.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from PIL import Image

from sightsound.config import AudioConfig, Config, ImageConfig
from sightsound.data.dataset import loader
from sightsound.data.datasets import dataset
from sightsound.data.decode import prepare_rows
from sightsound.data.sources import SourceOptions
from sightsound.data.table import read_table
from sightsound.hardware import tune_process
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import fit
from sightsound.training.loop import Watcher
from sightsound.training.prepare import prepare

FIXED = Config(image=ImageConfig(height=28, width=28, channels=1), audio=AudioConfig(clip_seconds=1.0))
PAIRS = 54_545  # with as many validation pairs as there are images left: all 60,000


def plain_loop(frame: pd.DataFrame, root: Path) -> float:
    """Rows per second of what people write first."""
    import librosa

    librosa.load(root / frame["audio"].iloc[0], sr=16000)  # its imports
    start = time.perf_counter()
    for image, sound in zip(frame["image"], frame["audio"], strict=True):
        np.asarray(Image.open(root / image).convert("L").resize((28, 28)))
        librosa.load(root / sound, sr=16000)
    return len(frame) / (time.perf_counter() - start)


def build(given: argparse.Namespace) -> None:
    """Rows per second."""
    table = dataset("mnist+fsdd", SourceOptions(root=given.root, pairs=PAIRS))
    frame = pd.read_csv(table)
    frame = frame[frame["split"] != "test"].reset_index(drop=True)
    frame["image"] = [str(table.parent / image) for image in frame["image"]]
    with tempfile.TemporaryDirectory() as folder:
        own = frame.copy()  # a copy of the sound for each row
        for i, sound in enumerate(frame["audio"]):
            shutil.copy(sound, Path(folder) / f"{i}.wav")
            own.loc[i, "audio"] = str(Path(folder) / f"{i}.wav")
        for name, rows in (("as it is", frame), ("a sound file for each row", own)):
            speeds: dict[str, list[float]] = {"plain": [], "ours": []}
            for _ in range(given.rounds):
                speeds["plain"].append(plain_loop(rows.sample(3000, random_state=0), Path()))
                os.environ["SIGHTSOUND_CACHE"] = tempfile.mkdtemp(dir=folder)
                start = time.perf_counter()
                prepare_rows(read_table(rows), FIXED, None, keep=True)
                speeds["ours"].append(len(rows) / (time.perf_counter() - start))
            plain, ours = (statistics.median(values) for values in speeds.values())
            ratio, cores = ours / plain, os.cpu_count() or 1
            print(json.dumps({"rows": len(rows), "files": name, **speeds, "ratio": ratio, "per core": ratio / cores}))


class Clock(Watcher):
    """Seconds of each step, from batch to batch."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def after_step(self, *_: object) -> None:
        """Reads the clock."""
        self.at.append(time.perf_counter())


def read(given: argparse.Namespace) -> None:
    """Share of a step."""
    table = dataset("mnist+fsdd", SourceOptions(root=given.root, pairs=PAIRS))
    tune_process()
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(read_table(table), Config(batch_size=128, epochs=1), Path(folder))
        clock = Clock()
        network = on_cached(prepared.network, prepared.cached)
        fit(network, prepared.config, prepared.rows, Path(folder), [clock])
        reading = []
        batches = iter(loader(prepared.rows["train"], 128, seed=0))
        for _ in range(len(clock.at) - 1):
            start = time.perf_counter()
            next(batches)
            reading.append(time.perf_counter() - start)
    step = statistics.median(np.diff(clock.at).tolist())
    batch = statistics.median(reading)
    print(json.dumps({"step_ms": 1000 * step, "batch_ms": 1000 * batch, "share": batch / step}))


def write_files(folder: Path, rows: int) -> Path:
    """A table of so many images and sounds, each its own."""
    rng = np.random.default_rng(0)
    table = folder / f"table-{rows}.csv"
    if table.exists():
        return table
    for i in range(rows):
        place = folder / f"{i // 1000:04d}"
        if (place / f"{i}.wav").exists():
            continue
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (28, 28), dtype=np.uint8)).save(place / f"{i}.png", compress_level=1)
        soundfile.write(place / f"{i}.wav", rng.uniform(-0.5, 0.5, 4000), 8000, subtype="PCM_16")
    names = [f"{i // 1000:04d}/{i}" for i in range(rows)]
    frame = pd.DataFrame({"image": [f"{n}.png" for n in names], "audio": [f"{n}.wav" for n in names]})
    frame["label"] = rng.integers(0, 10, rows)
    frame.to_csv(table, index=False)
    return table


def memory(given: argparse.Namespace) -> None:
    """Peak of the resident memory, a process for each size; the store is built beforehand."""
    folder = Path(given.folder)
    for rows in given.rows:
        table = write_files(folder, rows)
        peaks = []
        for _ in range(2):  # the first builds the store
            out = subprocess.run(
                [sys.executable, __file__, "train", "--table", table], check=True, capture_output=True, text=True
            ).stdout
            peaks.append(json.loads(out.splitlines()[-1])["peak_mb"])
        print(json.dumps({"rows": rows, "peak_mb building": peaks[0], "peak_mb": peaks[1]}), flush=True)


def train(given: argparse.Namespace) -> None:
    """One epoch, and the peak of the process's resident memory."""
    with tempfile.TemporaryDirectory() as folder:
        tune_process()
        prepared = prepare(read_table(given.table), Config(epochs=1), Path(folder))
        network = on_cached(prepared.network, prepared.cached)
        fit(network, prepared.config, prepared.rows, Path(folder))
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def start(given: argparse.Namespace) -> None:
    """Seconds until `sightsound train mnist+fsdd` shows the bar of its first step; the first run prepares."""
    seconds = []
    for _ in range(given.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            command = ["train", "mnist+fsdd", "--root", given.root, "--pairs", str(PAIRS), "--out", f"{folder}/run"]
            began = time.perf_counter()
            process = subprocess.Popen([sys.executable, "-m", "sightsound", *command], stderr=subprocess.PIPE)
            seen = b""
            while process.stderr and b"training joint" not in seen:
                read = process.stderr.read1(1000)  # type: ignore[attr-defined]  # a BufferedReader, which the stubs hide
                if not read:
                    raise SystemExit(f"The training ended before its first step:\n{seen.decode()}")
                seen += read
            seconds.append(time.perf_counter() - began)
            process.kill()
            process.wait()
    print(json.dumps({"first": seconds[0], "later": seconds[1:], "median": statistics.median(seconds[1:])}))


MEASURES = {"build": build, "read": read, "memory": memory, "start": start, "train": train}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("--root", default="../shared/data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 200_000])
    parser.add_argument("--folder", default="/tmp/sightsound_rows", help="of memory: where the files go (2 GB)")
    parser.add_argument("--table", help="of train")
    given = parser.parse_args()
    MEASURES[given.measure](given)


if __name__ == "__main__":
    main()
