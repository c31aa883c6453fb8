"""`sightsound compare TABLE`: which fusion strategy, or balance, is best for these data, with the evidence."""

from collections.abc import Sequence
from dataclasses import fields

from sightsound.cli.common import Parser, run_options
from sightsound.cli.tables import text_table
from sightsound.config import from_dict

EXAMPLE = """Trains each modality, then each fusion strategy on the same data and budget, several times over; recommends
one in words; writes compare.html, compare.csv, compare.json and the winner's bundle. With --balance it compares ways to
keep one modality from starving the other, each of which trains one strategy jointly.

  sightsound compare table.csv --out runs/compared
  sightsound compare table.csv --strategies concat,product,mmtm --seeds 5 --budget 30 --out runs/compared
  sightsound compare table.csv --balance all --fusion concat --out runs/balances
  sightsound compare table.csv --out runs/compared --resume
"""
OF_STRATEGIES = frozenset({"fusion", "fusion_options", "schedule", "balance", "modality_dropout"})


def run(arguments: Sequence[str]) -> None:
    """Parses, compares and prints."""
    parser = Parser("compare", "TABLE", EXAMPLE)
    parser.add_argument("--strategies", default="all", help="names with commas between, or all")
    parser.add_argument("--balance", help="compare balances in place of strategies: names with commas between, or all")
    parser.add_argument("--fusion", default="concat", help="of --balance: the strategy that each of them trains")
    parser.add_argument("--seeds", type=int, default=3, help="how often everything is trained")
    parser.add_argument("--budget", type=float, help="minutes after which nothing new is begun")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at the same time")
    given = run_options(parser, arguments, OF_STRATEGIES)
    from sightsound.api import compare
    from sightsound.studies.comparison.candidates import CompareOptions

    options = CompareOptions(**{f.name: given.options.pop(f.name) for f in fields(CompareOptions)})
    done = compare(**given.where, options=options, config=from_dict(given.options))
    head = [
        "balance" if options.balance else "strategy",
        "family",
        "training",
        "accuracy",
        "95 % interval",
        "macro F1",
        "ms for 256",
        "train s",
    ]
    lines = [
        [
            row.name,
            row.family,
            row.training,
            f"{row.accuracy:.4f}",
            f"{row.accuracy_low:.4f} to {row.accuracy_high:.4f}",
            f"{row.macro_f1:.4f}",
            f"{row.latency_256_ms:.1f}",
            f"{row.train_seconds:.1f}",
        ]
        for row in sorted(done.rows, key=lambda row: -row.accuracy)
    ]
    print(f"\n{text_table([head, *lines])}\n")
    print("\n".join(f"- {line}" for line in done.found.lines))
