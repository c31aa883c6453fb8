"""Writes the report of a generalization study: `generalization.html`, one file, with `generalization.csv` beside it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sightsound.config import Config
from sightsound.data.text import without_formulas
from sightsound.report.figures import groups, sizes
from sightsound.report.page import kind_of, short_name, version, when, write_page
from sightsound.studies.generalization import Fold, MeanInterval, mean_of, table_of


def write_generalization(folds: list[Fold], by_group: bool, config: Config, table: str, run: Path) -> Path:
    """Writes both files into the folder of the study.

    Args:
        folds: one for each group, or for each share of the training rows.
        by_group: which of these.
        config: of the classifier whose training was repeated.
        table: what the table is called.
        run: the folder.

    Returns:
        the path of `generalization.html`.
    """
    numbers = table_of(folds)
    without_formulas(numbers).to_csv(run / "generalization.csv", index=False)
    what = "Each group left out in turn" if by_group else "More and more training rows"
    averages = means(numbers) if by_group else {}
    return write_page(
        run / "generalization.html",
        title=f"{what}: {kind_of(config)}, on {short_name(table)}",
        about=[
            f"{len(folds)} trainings on rows of {table}; {when(run / 'generalization.csv')}, {version()}.",
        ],
        by_group=by_group,
        folds=folds,
        rows=numbers.to_dict("records"),
        means=averages,
        conclusion=groups_conclusion(numbers, averages) if by_group else sizes_conclusion(numbers),
        figure=groups(numbers) if by_group else sizes(numbers),
    )


def means(table: pd.DataFrame) -> dict[str, MeanInterval]:
    """Accuracy of each subset over the folds."""
    return {str(subset): mean_of(part["accuracy"].tolist()) for subset, part in table.groupby("modalities", sort=False)}


def groups_conclusion(table: pd.DataFrame, averages: dict[str, MeanInterval]) -> str:
    """What a new group can expect, and which group is the hardest, in words."""
    subset, mean = next(iter(averages.items()))
    part = table[table["modalities"] == subset]
    worst = part.iloc[int(part["accuracy"].argmin())]
    return (
        f"On a group that it has not met, {100 * mean.value:.1f} % of the answers with {subset} are right on average "
        f"({100 * mean.low:.1f} to {100 * mean.high:.1f} %). The hardest group is {worst['name']}: "
        f"{100 * worst['accuracy']:.1f} % of {worst['tested']} rows."
    )


def sizes_conclusion(table: pd.DataFrame) -> str:
    """Whether more rows would help, by the last step of the curve."""
    subset = table["modalities"].iloc[0]
    part = table[table["modalities"] == subset].sort_values("trained")
    last, before = part.iloc[-1], part.iloc[-2 if len(part) > 1 else -1]
    gain = last["accuracy"] - before["accuracy"]
    clear = last["low"] > before["accuracy"]
    return (
        f"From {before['trained']:,} to {last['trained']:,} training rows, the accuracy with {subset} goes from "
        f"{100 * before['accuracy']:.1f} to {100 * last['accuracy']:.1f} % ({100 * gain:+.1f} points). "
        f"{'More rows are likely to help.' if clear else 'That is within the interval: more rows may not help much.'}"
    )
