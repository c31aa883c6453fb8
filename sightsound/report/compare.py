"""Writes the report of a comparison: `compare.html`, one file, with `compare.csv` and `compare.json` beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from sightsound.data.clusters import resampled_over
from sightsound.data.text import without_formulas
from sightsound.report.figures import agreement as agreement_chart
from sightsound.report.figures import costs, gains, missing
from sightsound.report.page import short_name, version, when, write_page
from sightsound.run_folder import BUNDLE, read_notes
from sightsound.studies.comparison.candidates import CompareOptions
from sightsound.studies.comparison.compare import ComparisonStudy
from sightsound.studies.comparison.recommend import Recommendation
from sightsound.studies.comparison.summary import ComparisonRow, agreement, class_gains, differences
from sightsound.training.encoder_choice import doubt, measured_candidates


def write_comparison(
    study: ComparisonStudy,
    rows: list[ComparisonRow],
    found: Recommendation,
    labels: list[str],
    options: CompareOptions,
    run: Path,
    name: str = "",
) -> Path:
    """Writes the three files.

    Args:
        study: the finished comparison.
        rows: the rows of `studies.comparison.summary.rows`.
        found: the recommendation.
        labels: class names.
        options: the options of the comparison.
        run: its folder.
        name: the user's name of the table, such as that of a data set; default: the table's.

    Returns:
        the path of `compare.html`.
    """
    against = differences(study, found.accuracy)
    of_classes = class_gains(study, found.accuracy, labels)
    shares = agreement(study)
    flat = [_flat(row) for row in rows]
    for row in flat:
        if row["name"] in against:
            row |= {f"difference_{key}": value for key, value in against[row["name"]]._asdict().items()}
            row["difference_significant"] = against[row["name"]].significant
    without_formulas(pd.DataFrame(flat)).to_csv(run / "compare.csv", index=False)
    content = {
        "recommendation": found._asdict(),
        "dependence": study.dependence and study.dependence._asdict(),
        "joint": study.joint,
        "left_out": study.left_out,
        "failed": study.failed,
        "unimodal_train_seconds": study.unimodal_seconds,
        "agreement": shares,
        "class_gains": of_classes,
        "rows": flat,
    }
    (run / "compare.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    name, strategies = name or study.seeds[0].prepared.table.name, sum(row.family != "unimodal" for row in rows)
    what = f"{strategies} balances of {options.fusion}" if options.balance else f"{strategies} strategies"
    return write_page(
        run / "compare.html",
        title=f"{what} compared on {short_name(name)}",
        about=_about(study, len(labels), name, run),
        rows=rows,
        against=against,
        found=found,
        study=study,
        options=options,
        resampled_over=resampled_over(study.clusters["test"].as_metrics()),
        seeds=len(study.unimodal.test),
        encoders=measured_candidates(run),
        doubt=doubt,
        notes=read_notes(run),
        costs=[costs(rows, "latency_256_ms"), costs(rows, "train_seconds")],
        missing=missing(rows),
        gains=gains(of_classes, found.accuracy),
        agreement=agreement_chart(shares),
    )


def _about(study: ComparisonStudy, classes: int, name: str, run: Path) -> list[str]:
    config, table = study.seeds[0].config, study.seeds[0].prepared.table
    rows = table.frame.drop_duplicates("row")["split"].value_counts()
    return [
        f"Trained on {rows.get('train', 0):,} rows of {classes} classes in {name} for at most {config.epochs} epochs. "
        f"{rows.get('val', 0):,} validation rows choose; the numbers are of {len(study.target['test']):,} test rows, "
        "which choose nothing.",
        f"{when(run / BUNDLE)}, {version()}.",
    ]


def _flat(row: ComparisonRow) -> dict[str, Any]:
    values = row._asdict()
    alone = values.pop("unimodal")
    return {**values, **{f"{m}_only_accuracy": value for m, value in alone.items()}}
