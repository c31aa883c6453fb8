"""Writes how far a classifier carries: `generalization.html`, one file, with `generalization.csv` beside it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from sightsound.data.text import without_formulas
from sightsound.report.figures import short, svg
from sightsound.report.page import write_page
from sightsound.studies.generalization import Fold, MeanInterval, mean_of, table_of


def write_generalization(folds: list[Fold], by_group: bool, run: Path) -> Path:
    """Writes both files into the folder of the study; the path of `generalization.html`.

    Args:
        folds: one for each group, or for each share of the training rows.
        by_group: which of these.
        run: the folder.
    """
    table = table_of(folds)
    without_formulas(table).to_csv(run / "generalization.csv", index=False)
    return write_page(
        run / "generalization.html",
        name=run.name,
        by_group=by_group,
        folds=folds,
        rows=table.to_dict("records"),
        means=means(table) if by_group else {},
        figure=groups_figure(table) if by_group else sizes_figure(table),
    )


def means(table: pd.DataFrame) -> dict[str, MeanInterval]:
    """Accuracy of each subset over the folds."""
    return {str(subset): mean_of(part["accuracy"].tolist()) for subset, part in table.groupby("modalities", sort=False)}


def groups_figure(table: pd.DataFrame) -> Markup:
    """A dot with its interval for each group and subset, the worst group first; SVG."""
    order = table.groupby("name")["accuracy"].mean().sort_values(ascending=False).index
    figure = Figure(figsize=(10, 0.45 * len(order) + 1.4), layout="constrained")
    axes = figure.subplots()
    subsets = table.groupby("modalities", sort=False)
    for number, (subset, part) in enumerate(subsets):
        part = part.set_index("name").reindex(order)
        place = [i + 0.2 * (number - (subsets.ngroups - 1) / 2) for i in range(len(order))]
        errors = [part["accuracy"] - part["low"], part["high"] - part["accuracy"]]
        axes.errorbar(part["accuracy"], place, xerr=errors, fmt="o", capsize=3, label=str(subset))
    axes.set_yticks(range(len(order)), [short(str(name)) for name in order])
    axes.set(xlabel="accuracy", xlim=(None, 1.005))
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return svg(figure)


def sizes_figure(table: pd.DataFrame) -> Markup:
    """Accuracy of each subset over the number of training rows, and on training rows dotted; SVG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots()
    for subset, part in table.groupby("modalities", sort=False):
        (line,) = axes.plot(part["trained"], part["accuracy"], marker="o", label=str(subset))
        axes.fill_between(part["trained"], part["low"], part["high"], alpha=0.2, color=line.get_color())
        axes.plot(part["trained"], part["train_accuracy"], ":", color=line.get_color())
    axes.set(xlabel="training rows (dotted: accuracy on these)", ylabel="accuracy", xscale="log", ylim=(None, 1.01))
    axes.set_xticks(sorted(set(table["trained"])), [f"{n:,}" for n in sorted(set(table["trained"]))])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return svg(figure)
