"""Writes what a robustness study came to: `robustness.html`, one file, with `robustness.csv` beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from sightsound.modalities.base import every_modality
from sightsound.report.figures import svg
from sightsound.report.page import write_page
from sightsound.studies.robustness.conditions import CLEAN, CONTRADICTION, EITHER
from sightsound.studies.robustness.curves import RobustnessCurve
from sightsound.studies.robustness.study import RobustnessStudy

COLUMNS, MISSING_COLUMNS = 4, 3


def write_robustness(study: RobustnessStudy, run: Path) -> Path:
    """Writes both files into the folder of the study; the path of `robustness.html`."""
    rows = [{**one.condition._asdict(), **one._asdict()} for one in study.measured]
    pd.DataFrame(rows).drop(columns="condition").to_csv(run / "robustness.csv", index=False)
    by_kind = {one.condition.kind: one for one in study.measured}
    missing = [curve for curve in study.curves if curve.kind.startswith("missing")]
    parts = [curve for curve in study.curves if curve.kind in {one.lost_part for one in every_modality()}]
    damaged = [curve for curve in study.curves if curve not in missing and curve not in parts]
    return write_page(
        run / "robustness.html",
        name=run.name,
        rows=study.rows,
        clean=by_kind[CLEAN],
        contradiction=by_kind.get(CONTRADICTION),
        missing=policies_figure(missing, "share of the rows") if missing else "",
        parts=policies_figure(parts, "share of the pixels or frames"),
        damaged=curves_figure(damaged, "severity"),
        curves=sorted(study.curves, key=lambda curve: curve.relative),
    )


def policies_figure(curves: Sequence[RobustnessCurve], xlabel: str) -> Markup:
    """A plot for each kind of loss: accuracy under each policy; dotted: the damaged modality only. SVG."""
    kinds = list(dict.fromkeys((curve.kind, curve.modality) for curve in curves))
    lines = -(-len(kinds) // MISSING_COLUMNS)
    figure = Figure(figsize=(11, 2.8 * lines + 0.4), layout="constrained")
    plots = figure.subplots(lines, MISSING_COLUMNS, squeeze=False, sharey=True).flatten()
    for plot, (kind, modality) in zip(plots, kinds, strict=False):
        for curve in curves:
            if (curve.kind, curve.modality) == (kind, modality):
                (line,) = plot.plot(curve.levels, curve.accuracy, marker=".", label=curve.policy)
                if curve.unimodal:
                    plot.plot(curve.levels, curve.unimodal, ":", color=line.get_color())
        plot.set_title(f"{'one or the other' if modality == EITHER else modality}: {kind}", fontsize=9)
        plot.set(ylim=(0, 1.02), yticks=np.linspace(0, 1, 6))
        plot.grid(alpha=0.3)
    for plot in plots[len(kinds) :]:
        plot.set_visible(False)
    figure.legend(*plots[0].get_legend_handles_labels(), loc="outside upper right", ncols=5, frameon=False, fontsize=9)
    figure.supxlabel(xlabel, fontsize=9)
    figure.supylabel("accuracy", fontsize=9)
    return svg(figure)


def curves_figure(curves: Sequence[RobustnessCurve], xlabel: str) -> Markup:
    """A small plot for each curve: accuracy with all that is there, and of the changed modality alone; SVG."""
    lines = -(-len(curves) // COLUMNS)
    figure = Figure(figsize=(11, 2.3 * lines + 0.4), layout="constrained")
    plots = figure.subplots(lines, COLUMNS, squeeze=False, sharey=True).flatten()
    for plot, curve in zip(plots, curves, strict=False):
        plot.plot(curve.levels, curve.accuracy, marker=".", color="#1f77b4", label="with both modalities")
        if curve.unimodal:
            plot.plot(curve.levels, curve.unimodal, marker=".", color="#e07b00", label="the changed modality alone")
        what = "one or the other" if curve.modality == EITHER else curve.modality
        plot.set_title(f"{what}: {curve.kind}", fontsize=9)
        plot.set(ylim=(0, 1.02), yticks=np.linspace(0, 1, 6))
        plot.grid(alpha=0.3)
    for plot in plots[len(curves) :]:
        plot.set_visible(False)
    handles, labels = next((p for p in plots[::-1] if p.get_visible()), plots[0]).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False, fontsize=9)
    figure.supxlabel(xlabel, fontsize=9)
    figure.supylabel("accuracy", fontsize=9)
    return svg(figure)
