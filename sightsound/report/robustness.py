"""Writes the report of a robustness study: `robustness.html`, one file, with `robustness.csv` beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sightsound.config import Config
from sightsound.modalities.base import every_modality
from sightsound.report.figures import by_policy, by_severity
from sightsound.report.page import kind_of, short_name, version, when, write_page
from sightsound.studies.robustness.conditions import CLEAN, CONTRADICTION, EITHER, Condition
from sightsound.studies.robustness.curves import RobustnessCurve
from sightsound.studies.robustness.measure import Measurement
from sightsound.studies.robustness.study import MEASURED, RobustnessStudy

NAMED = 3  # kinds of damage in the conclusion
HALF = 0.5  # of the rows or parts: where policies are compared in words


def write_robustness(study: RobustnessStudy, config: Config, table: str, run: Path) -> Path:
    """Writes both files into the folder of the study.

    Args:
        study: what was measured.
        config: of the classifier.
        table: what the table is called.
        run: the folder.

    Returns:
        the path of `robustness.html`.
    """
    rows = [{**one.condition._asdict(), **one._asdict()} for one in study.measured]
    pd.DataFrame(rows).drop(columns="condition").to_csv(run / "robustness.csv", index=False)
    by_kind = {one.condition.kind: one for one in study.measured}
    missing, parts, damaged = split(study.curves)
    return write_page(
        run / "robustness.html",
        title=f"What missing and damaged files cost {kind_of(config)}, on {short_name(table)}",
        about=[
            f"Measurement on {study.rows:,} complete test rows of {table}, {when(run / MEASURED)}, {version()}.",
        ],
        conclusion=conclusion(study),
        clean=by_kind[CLEAN],
        contradiction=by_kind.get(CONTRADICTION),
        missing=by_policy(missing, "share of the rows", study.rows),
        parts=by_policy(parts, "share of the pixels or frames", study.rows),
        damaged=by_severity(damaged, "severity"),
        curves=sorted(study.curves, key=lambda curve: curve.relative),
    )


def split(
    curves: Sequence[RobustnessCurve],
) -> tuple[list[RobustnessCurve], list[RobustnessCurve], list[RobustnessCurve]]:
    """Curves of missing files, of lost parts, and of damaged files."""
    missing = [curve for curve in curves if curve.kind.startswith("missing")]
    parts = [curve for curve in curves if curve.kind in lost_parts()]
    return missing, parts, [curve for curve in curves if curve not in missing and curve not in parts]


def conclusion(study: RobustnessStudy) -> list[str]:
    """States what lowers accuracy most, and which policy helps; with 95 % intervals where they were measured."""
    missing, parts, damaged = split(study.curves)
    known = {one.condition: one for one in study.measured}
    [clean] = [one for one in study.measured if one.condition.kind == CLEAN]
    lines = [f"With the files as they are, {_share(clean)} of the rows are right."]
    absent = [one for one in study.measured if one.condition[0] == "missing" and one.condition.level == 1]
    without = [one for one in absent if one.condition.policy == "ignore" and one.condition.modality != EITHER]
    if without:
        told = "; without any ".join(f"{one.condition.modality}: {_share(one)}" for one in without)
        lines.append(f"Right without any {told}.")
    hurt = [known[Condition(c.kind, c.modality, c.levels[-1], c.policy)] for c in damaged]
    worst = sorted(hurt, key=lambda one: one.accuracy)[:NAMED]
    if worst:
        told = "; ".join(f"{one.condition.modality}, {one.condition.kind}: {_share(one)}" for one in worst)
        lines.append(f"The damage that hurts most, by what is right at severity {worst[0].condition.level:g}: {told}.")
    lines += _policies([c for c in missing if c.kind == "missing" and c.modality == EITHER], known, "files are missing")
    for name in lost_parts():
        lines += _policies([curve for curve in parts if curve.kind == name], known, f"there are {name}")
    return lines


def lost_parts() -> list[str]:
    """Returns the names of the parts that a study removes, of each modality that has some."""
    return [one.lost_part for one in every_modality() if one.lost_part]


def _policies(curves: Sequence[RobustnessCurve], known: dict[Condition, Measurement], what: str) -> list[str]:
    """A sentence about which policy helps most; nothing where there is no choice."""
    plain = [curve for curve in curves if curve.policy == "ignore"]
    if len(curves) < 2 or not plain:
        return []
    best = max(curves, key=lambda curve: (curve.relative, curve.policy == "ignore"))
    if best is plain[0]:
        return [f"When {what}, no policy does better than to ignore what is not there."]
    level = min(best.levels, key=lambda share: abs(share - HALF))
    of_best, of_plain = (known[Condition(c.kind, c.modality, level, c.policy)] for c in (best, plain[0]))
    told = (
        f"When {100 * level:.0f} % of the {what}, the policy {best.policy} does best: {_share(of_best)} right, against "
        f"{_share(of_plain)} under ignore"
    )
    if of_best.gain is None or of_best.gain_low is None or of_best.gain_high is None:
        return [f"{told}."]
    low, high = 100 * of_best.gain_low, 100 * of_best.gain_high
    significant = "" if low > 0 else ", not significant"
    return [f"{told}; the difference is {100 * of_best.gain:+.1f} points ({low:+.1f} to {high:+.1f}{significant})."]


def _share(one: Measurement) -> str:
    """An accuracy with its interval."""
    interval = "" if one.low is None or one.high is None else f" ({100 * one.low:.1f} to {100 * one.high:.1f} %)"
    return f"{100 * one.accuracy:.1f} %{interval}"
