"""What comparing twelve strategies and both modalities costs, in units of one joint training of concatenation.

Both with the same epochs, one after the other, files prepared before; the comparison with its tests and its bundle.

python benchmarks/compare_cost.py --data avmnist --root ../shared/data --pairs 20000 --epochs 10
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import sightsound as ss
from sightsound.data.sources import SourceOptions

TWELVE = (  # four of each family
    "concat,average,gated,bilinear,vote,product,stacking,confidence,mmtm,central,bottleneck,cross-attention"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="avmnist")
    parser.add_argument("--root", default="../shared/data")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--strategies", default=TWELVE)
    given = parser.parse_args()
    source = SourceOptions(root=given.root, pairs=given.pairs)
    ss.train(given.data, source=source, epochs=1, out=Path(tempfile.mkdtemp()) / "run")  # the files are prepared now
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        ss.train(given.data, source=source, epochs=given.epochs, out=Path(folder) / "joint")
        seconds["joint concat"] = time.perf_counter() - begin
        begin = time.perf_counter()
        options = ss.CompareOptions(given.strategies, seeds=1)
        ss.compare(given.data, source=source, options=options, epochs=given.epochs, out=Path(folder) / "compared")
        seconds["compare"] = time.perf_counter() - begin
    print(json.dumps({**seconds, "ratio": seconds["compare"] / seconds["joint concat"]}))


if __name__ == "__main__":
    main()
