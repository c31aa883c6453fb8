"""Training speed against the same classic network in Keras, in one go: who is faster a step, who is right sooner.

The network: image CNN (conv 32, pool, dense 128), sound BiLSTM 64 -> dense 64, concat -> dense 64, on 28 x 28 pixels
and 80 x 128 frames. Both sides train through their own usual procedure; features are computed before the clock starts.
Rounds alternate between the two; the figures are medians over all epochs but the first of each round. Keras needs an
environment of its own (tensorflow-cpu, soundfile, scipy).

    python benchmarks/classic_speed.py --keras-python tf/bin/python --keras-script classic_keras.py \
        --data ../shared/data --rounds 3
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from sightsound.config import NO_CHANGES, AudioConfig, Config, ImageConfig
from sightsound.data.datasets import dataset
from sightsound.data.sources import SourceOptions
from sightsound.data.table import read_table
from sightsound.hardware import tune_process
from sightsound.inference.subsets import answer_rows
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import fit
from sightsound.training.loop import Watcher
from sightsound.training.prepare import prepare

CLASSIC = {
    "balance": "auxiliary",  # the fused answer teaches the encoders, as on the other side
    "image": ImageConfig(encoder="cnn"),
    "audio": AudioConfig(encoder="bilstm", mel_bins=128, clip_seconds=1.0),
    "augment": NO_CHANGES,  # the other side has none
}
TARGET = 0.985


def ours(table: Path, batch_size: int, epochs: int) -> list[float]:
    """Samples per second of each epoch."""
    config = Config(**CLASSIC, batch_size=batch_size, epochs=epochs)
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(read_table(table), config, Path(folder))
        network = on_cached(prepared.network, prepared.cached)
        fit(network, prepared.config, prepared.rows, Path(folder))
        log = pd.read_csv(Path(folder) / "logs" / "joint" / "metrics.csv")
        return [len(prepared.rows["train"]) / seconds for seconds in log["train_seconds"].dropna()]


def keras(given: argparse.Namespace, *arguments: str) -> list[dict[str, Any]]:
    """What the Keras script printed: one record for each phase."""
    command = [given.keras_python, given.keras_script, "--pairs", str(given.pairs), *arguments]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


class Until(Watcher):
    """Scores the test rows after each epoch while the clock stands still; stops at the target."""

    def __init__(self, rows: Any, numbers: Any) -> None:
        self.rows, self.numbers, self.seconds, self.accuracies, self.hit = rows, numbers, 0.0, [], False

    def after_epoch(self, network: Any, numbers: Any) -> bool:
        """Scores."""
        self.seconds += numbers["train_seconds"]
        network.eval()
        said = answer_rows(network, self.rows, self.numbers).probabilities[tuple(network.modalities)]
        target = self.rows.target[self.rows.rows].numpy()
        self.accuracies.append(float((said.argmax(1) == target).mean()))
        network.train()
        self.hit = self.accuracies[-1] >= TARGET
        return self.hit


def ours_until(table: Path, seed: int) -> Until:
    """Seconds of training with all defaults until the target."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(read_table(table), Config(seed=seed), Path(folder))
        rows = prepared.rows["test"]
        until = Until(rows, prepared.table.part("test").frame["row"].to_numpy())
        network = on_cached(prepared.network, prepared.cached)
        fit(network, prepared.config, prepared.rows, Path(folder), [until])
        return until


def emit(**record: Any) -> None:
    """One JSON line, at once."""
    print(json.dumps(record), flush=True)


def compare_speed(given: argparse.Namespace, table: Path) -> None:
    """Samples per second of the same network, at two batch sizes."""
    for batch_size in (32, 128):
        speeds: dict[str, list[float]] = {"keras": [], "ours": []}
        for _ in range(given.rounds):
            size = ["--batch-size", str(batch_size), "--epochs", str(given.epochs)]
            records = keras(given, "--phase", "fusion_e2e", *size)
            epochs = next(r["epoch_s"] for r in records if r["phase"] == "fusion_e2e")
            speeds["keras"] += [given.pairs / seconds for seconds in epochs[1:]]
            speeds["ours"] += ours(table, batch_size, given.epochs)[1:]
        middle = {name: statistics.median(values) for name, values in speeds.items()}
        emit(measure="samples_per_s", batch_size=batch_size, **middle, all=speeds)
        ratio = middle["ours"] / middle["keras"]
        print(f"batch {batch_size}: Keras {middle['keras']:.0f}/s, ours {middle['ours']:.0f}/s, ratio {ratio:.2f}")


def compare_time_to_target(given: argparse.Namespace, table: Path) -> None:
    """Seconds of training until the target, each side in its best way."""
    seconds: dict[str, list[float]] = {"keras": [], "ours": []}
    for seed in range(given.rounds):
        reached = []
        for size in (["--batch-size", "32", "--epochs", "2"], ["--batch-size", "128", "--epochs", "3"]):
            same = ["--phase", "time_to", "--target", str(TARGET), "--audio-norm", "std", "--max-epochs", "6"]
            records = [r for r in keras(given, *same, "--seed", str(seed), *size) if r["phase"] == "time_to"]
            reached += [r["seconds"] for r in records if r["seconds"]]
            emit(measure="time_to", who="keras", seed=seed, schemes=records)
        until = ours_until(table, seed)
        seconds["keras"].append(min(reached, default=float("inf")))
        seconds["ours"].append(until.seconds if until.hit else float("inf"))
        emit(measure="time_to", who="ours", seed=seed, accuracies=until.accuracies)
    keras_s, ours_s = (statistics.median(seconds[name]) for name in ("keras", "ours"))
    emit(measure="seconds_to_target", target=TARGET, all=seconds)
    print(f"seconds to {TARGET}: Keras {keras_s:.1f}, ours {ours_s:.1f}, ratio {keras_s / ours_s:.1f}")


MEASURES = {"speed": compare_speed, "time_to": compare_time_to_target}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras-python", required=True)
    parser.add_argument("--keras-script", required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--measure", choices=[*MEASURES, "all"], default="all")
    given = parser.parse_args()
    table = dataset("mnist+fsdd", SourceOptions(root=str(given.data), pairs=given.pairs))
    tune_process()
    for name, measure in MEASURES.items():
        if given.measure in (name, "all"):
            measure(given, table)


if __name__ == "__main__":
    main()
