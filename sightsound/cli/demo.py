"""`sightsound demo`: from table to report on embedded data, in one to two minutes."""

from collections.abc import Sequence
from pathlib import Path

from sightsound.cli.common import Parser
from sightsound.cli.tables import metrics_table

EPOCHS = 14  # as good as the 30 of the default on these data, in half the time
EXAMPLE = """Writes real handwritten digits and spoken digits (both in noise) as files with a table, trains on them, and
shows what the image, the sound and both together reach.

  sightsound demo
  sightsound demo --out runs/again --seed 1
"""


def run(arguments: Sequence[str]) -> None:
    """Parses, writes the data and trains."""
    parser = Parser("demo", "", EXAMPLE)
    parser.add_argument("--out", default="runs/demo", help="folder for data, run and report (default: runs/demo)")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of the training (default: {EPOCHS})")
    given = parser.parse(arguments)
    from sightsound.api import train
    from sightsound.data.sources import digits

    out = Path(given.out)
    print(f"Writing the data to {out / 'data'}")
    table = digits.write(out / "data")
    resume = (out / "run" / "request.json").exists()
    classifier = train(table, out=out / "run", resume=resume, seed=given.seed, epochs=given.epochs)
    print(f"\n{metrics_table(classifier.metrics)}\n")
    print(f"Now try:\n  sightsound predict {out / 'run' / 'bundle'} --image {out / 'data' / 'images' / '0007.png'}")
