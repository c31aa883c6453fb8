"""Tables as text, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightsound.classifier import Classifier


def text_table(rows: Sequence[Sequence[Any]]) -> str:
    """Aligns rows in columns, the first row being the head; the first column to the left, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def withheld_alarms(classifier: Classifier, abstain_below: float) -> str:
    """Warns where answers by a threshold would be withheld since they are not probable; "" where there are none."""
    named = classifier.network.decision.answered_below(abstain_below, classifier.classes_.tolist())
    if not named:
        return ""
    return (
        f"Note: {', '.join(map(repr, named))}: answered from a probability below {abstain_below:g}, and "
        "--abstain-below withholds such answers."
    )


def metrics_table(metrics: dict[str, Any]) -> str:
    """Tabulates the metrics of each subset of the modalities."""
    from sightsound.data.clusters import resampled_over

    head = ["modalities", "rows", "accuracy", "95 % interval", "macro F1", "macro recall", "calibration error"]
    rows = [
        [
            name,
            numbers["rows"],
            f"{numbers['accuracy']:.4f}",
            "{:.4f} to {:.4f}".format(*numbers["accuracy_ci"]),
            f"{numbers['macro_f1']:.4f}",
            f"{numbers['macro_recall']:.4f}",
            f"{numbers['calibration_error']:.4f}",
        ]
        for name, numbers in metrics["subsets"].items()
    ]
    over = resampled_over(metrics.get("clusters"))
    return text_table([head, *rows]) + ("" if over == "the rows" else f"\nIntervals: bootstrap over {over}.")
