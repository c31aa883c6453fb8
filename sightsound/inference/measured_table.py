"""Measures a classifier on a table with labels, read in parts: Table -> the structure of `metrics.json`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sightsound.config import Config
from sightsound.data.clusters import clusters_of
from sightsound.data.decode import chunks, over_time, summary
from sightsound.data.table import Rejected, Table, dropped_rows
from sightsound.errors import TableError
from sightsound.inference.prediction import answered_to_measure
from sightsound.inference.subsets import concatenate, measure_answers
from sightsound.missing import Impute
from sightsound.network.classifier import ClassifierNetwork
from sightsound.progress import progress_bar


def measure_table(
    network: ClassifierNetwork,
    config: Config,
    labels: list[str],
    rows: Table,
    rejected: list[Rejected] | None,
    impute: Impute | None,
    abstain_below: float,
) -> dict[str, Any]:
    """Measures the predictions for all rows for each subset of the modalities.

    Args:
        network: the network in eval mode; it is not changed.
        config: the configuration with all sizes set.
        labels: class names, in their order.
        rows: the rows, each with a label among these.
        rejected: rows that cannot be used; None: they are skipped, and so are rows whose files cannot be read.
        impute: imputes missing modalities; None: they stay absent.
        abstain_below: as of `measure_answers`.

    Raises:
        TableError: a row cannot be used and `rejected` is not None; or no row remains.
    """
    left_out = {bad.row for bad in dropped_rows(rows, config.modalities, config.missing)}
    rows = rows.without(left_out)
    parts, unusable = [], list(rejected or ())
    with progress_bar("evaluating", len(rows.frame), "row") as bar:
        for chunk in chunks(rows, whole_groups=over_time(rows, config) is not None):
            answered_chunk, unreadable = answered_to_measure(network, config, chunk, impute)
            unusable += unreadable
            parts += [answered_chunk] if answered_chunk else []
            bar.update(len(chunk.frame))
    if unusable and not (rejected is None and parts):
        raise TableError(summary(rows.name, unusable))
    if not parts:
        raise TableError(f"{rows.name}: no row has all modalities, and the policy is drop. Give another: --missing")
    answered = concatenate(parts)
    target = pd.Index(labels).get_indexer(rows.frame.set_index("row")["label"].loc[answered.row.tolist()])
    dropped = {"left_out": len(left_out)} if left_out else {}
    clusters = clusters_of(rows, config.modalities, answered.row)
    return {**dropped, **measure_answers(answered, target, labels, clusters, abstain_below)}
