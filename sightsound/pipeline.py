"""The classifier as people hold it: files or a table in, predictions or metrics out; saved to and loaded from a bundle.

Training and use read files through the same functions, so what was tested is what is shipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.answers import all_answers, answer_rows, joined, measure_answers
from sightsound.build import build_network, new_imputers
from sightsound.bundle import Bundle, read_bundle, write_bundle
from sightsound.config import (
    ColumnsConfig,
    Config,
    MissingConfig,
    check_names,
    filling_policies,
    missing_config,
)
from sightsound.data.files import name_of
from sightsound.data.table import Rejected, Table, dropped_rows, incomplete_rows, read_table
from sightsound.errors import BundleError, ConfigError, NothingLeftError, TableError
from sightsound.inference import GIVEN, chunks, clips, damages, given_rows, over_time, prepare_rows, summary
from sightsound.missing import FEWEST_COMPLETE, Fill, Imputers, filler
from sightsound.model import ClassifierNetwork
from sightsound.predictions import check_share, prediction, withheld
from sightsound.progress import progress_bar
from sightsound.types import Prediction

Array = NDArray[Any]
Missing = str | dict[str, str] | MissingConfig | None  # a policy, or one for each sense


class Classifier:
    """A trained network with everything it needs to answer about files.

    Args:
        network: with its trained weights.
        config: with all sizes filled in.
        labels: C class names.
        metrics: what it reached, in the shape of `metrics.json`; may be empty.
        imputers: for each policy that fills in a missing sense, what does so; may be empty.
    """

    def __init__(
        self,
        network: ClassifierNetwork,
        config: Config,
        labels: list[str],
        metrics: dict[str, Any] | None = None,
        imputers: Mapping[str, Imputers] | None = None,
    ) -> None:
        self.network = network.eval()
        self.config = config
        self.labels = labels
        self.metrics = metrics or {}
        self.imputers = dict(imputers or {})

    def under(self, missing: Missing) -> Classifier:
        """The same classifier with other policies for what is missing or damaged; None: as it is.

        Raises:
            ConfigError: an unknown policy.
        """
        if missing is None:
            return self
        if isinstance(missing, dict):
            check_names(MissingConfig, missing, "missing.")
            missing = dataclasses.replace(self.config.missing, **missing)
        config = dataclasses.replace(self.config, missing=missing_config(missing))
        return Classifier(self.network, config, self.labels, self.metrics, self.imputers)

    def fill(self) -> Fill | None:
        """What stands in for a missing sense under the policies in force.

        Raises:
            ConfigError: a policy that this classifier has not learnt.
        """
        policies = filling_policies(self.config)
        for m, policy in policies.items():
            if policy not in self.imputers:
                raise ConfigError(
                    f"missing.{m} is {policy!r}, and this classifier has not learnt it: it was trained on fewer than "
                    f"{FEWEST_COMPLETE} rows with all senses, or it is a policy of your own: train with --missing."
                )
        return filler(self.imputers, policies)

    def predict(
        self,
        image: Any = None,
        audio: Any = None,
        abstain_below: float = 0.0,
        missing: Missing = None,
    ) -> Prediction:
        """Classifies one image, one sound, or a pair.

        Args:
            image: path, bytes or open file; Pillow image; or (H, W), (H, W, channels) or (channels, H, W), uint8 or
                floats from 0 to 1, as an array, tensor or list (`data.values`).
            audio: path, bytes or open file; or a pair of samples (N,), (N, channels) or (channels, N), float in -1 to 1
                or int16, int32 or uint8, and their rate in Hz. Either may be a dictionary of Hugging Face.
            abstain_below: no label is given where the largest probability is below this.
            missing: the policy for what is missing or damaged, or one for each sense; default: the classifier's.

        Raises:
            FileError: a file cannot be read.
            ConfigError: nothing was given, a sense that the classifier does not know, or an unknown policy; or a sense
                was not given that the policy `drop` asks for.
        """
        if missing is not None:
            return self.under(missing).predict(image, audio, abstain_below)
        check_share(abstain_below)
        given = {m: x for m, x in (("image", image), ("audio", audio)) if x is not None}
        unknown = [m for m in given if m not in self.config.modalities]
        if unknown or not given:
            what = f"{unknown[0]} was given" if unknown else "nothing was given"
            raise ConfigError(f"This classifier knows {' and '.join(self.config.modalities)}, and {what}.")
        given = {m: GIVEN[m](x) for m, x in given.items()}
        said = None
        while said is None:
            absent = [m for m in self.config.modalities if m not in given and getattr(self.config.missing, m) == "drop"]
            if absent:
                raise ConfigError(
                    f"{absent[0]} is missing, and the policy is drop. Give it, or another policy: --missing"
                )
            with given_rows(self.config, given) as rows:
                try:
                    with self.network.filling(self.fill()):
                        said = all_answers(self.network, rows)
                except NothingLeftError:
                    if len(given) == 1:
                        raise
                    del given[rows.reading]
        source = {m: name_of(x) for m, x in given.items()}
        return withheld(prediction(said, rows.starts, source, rows.damage, self.labels, self.config), abstain_below)

    def predict_table(
        self,
        table: str | Path | pd.DataFrame,
        columns: ColumnsConfig | None = None,
        abstain_below: float = 0.0,
        missing: Missing = None,
    ) -> list[Prediction | Rejected]:
        """Classifies each row of a table, in order; a row that cannot be used gives the reason in place of a score.

        Args:
            table: the rows.
            columns: what the table calls its columns.
            abstain_below: no label is given where the largest probability is below this.
            missing: as in `predict`.
        """
        if missing is not None:
            return self.under(missing).predict_table(table, columns, abstain_below)
        check_share(abstain_below)
        rows = read_table(table, columns or self.config.columns, labelled=False)
        results: dict[int, Prediction | Rejected] = {}
        with progress_bar("predicting", len(rows.frame), "row") as bar, self.network.filling(self.fill()):
            for chunk in chunks(rows, whole_groups=over_time(rows, self.config) is not None):
                results |= self._predict_chunk(chunk)
                bar.update(len(chunk.frame))
        found = [results[row] for row in rows.frame["row"]]
        return [r if isinstance(r, Rejected) else withheld(r, abstain_below) for r in found]

    def evaluate(
        self,
        table: str | Path | pd.DataFrame,
        columns: ColumnsConfig | None = None,
        skip_bad_files: bool = False,
        abstain_below: float = 0.0,
        missing: Missing = None,
    ) -> dict[str, Any]:
        """Accuracy, macro and per-class numbers and confusion, for each subset of the senses.

        If the table has a split column with test rows, only these count. With `abstain_below`, "abstaining" says for
        each subset how many rows are answered when less sure answers are withheld, and how many of these are right.
        `missing` as in `predict`; what it fills in counts in "as given", the numbers of all rows with what they have.

        Returns:
            the shape of `metrics.json`.

        Raises:
            TableError: no usable rows; or a row cannot be used and `skip_bad_files` is False.
        """
        if missing is not None:
            return self.under(missing).evaluate(table, columns, skip_bad_files, abstain_below)
        check_share(abstain_below)
        rows, split, rejected = self.labelled_rows(table, columns)
        left_out = {bad.row for bad in dropped_rows(rows, self.config.modalities, self.config.missing)}
        rows = rows.without(left_out)
        parts = []
        with progress_bar("evaluating", len(rows.frame), "row") as bar, self.network.filling(self.fill()):
            for chunk in chunks(rows, whole_groups=over_time(rows, self.config) is not None):
                cut = clips(chunk, self.config)
                prepared, unreadable = prepare_rows(cut, self.config, None)
                rejected += unreadable
                if len(prepared):
                    numbers = cut.frame["row"].to_numpy()[prepared.rows.numpy()]
                    between = over_time(cut.with_frame(cut.frame.iloc[prepared.rows.numpy()]), self.config)
                    parts.append(answer_rows(self.network, prepared, numbers, between))
                bar.update(len(chunk.frame))
        if rejected and not (skip_bad_files and parts):
            raise TableError(summary(rows.name, rejected))
        if not parts:
            raise TableError(f"{rows.name}: no row has all senses, and the policy is drop. Give another: --missing")
        answered = joined(parts)
        number = {label: i for i, label in enumerate(self.labels)}
        labels = rows.frame.set_index("row")["label"].loc[answered.row.tolist()]
        target = np.array([number[label] for label in labels])
        dropped = {"left_out": len(left_out)} if left_out else {}
        return {"split": split, **dropped, **measure_answers(answered, target, self.labels, abstain_below)}

    def labelled_rows(
        self, table: str | Path | pd.DataFrame, columns: ColumnsConfig | None = None
    ) -> tuple[Table, str, list[Rejected]]:
        """The rows to measure on, their split ("test" or "all"), and the rows without a known label or any sense."""
        rows = read_table(table, columns or self.config.columns)
        split = "test" if len(rows.part("test").frame) else "all"
        rows = rows.part("test") if split == "test" else rows
        rejected = incomplete_rows(rows, self.config.modalities)
        strange = rows.frame["label"][~rows.frame["label"].isin([*self.labels, ""])]
        known = ", ".join(self.labels)
        rejected += [
            Rejected(row, "", f"the class {label!r} is not one of {known}")
            for row, label in zip(strange.index.tolist(), strange.tolist(), strict=True)
        ]
        return rows.without({bad.row for bad in rejected}), split, rejected

    def save(self, folder: str | Path) -> None:
        """Writes a bundle. Raises BundleError if that cannot be done."""
        weights = dict(self.network.state_dict())
        imputers = {policy: dict(of.state_dict()) for policy, of in self.imputers.items()}
        write_bundle(Path(folder), Bundle(weights, self.config, self.labels, self.metrics, imputers))

    def _predict_chunk(self, table: Table) -> dict[int, Prediction | Rejected]:
        results: dict[int, Prediction | Rejected] = {}
        results |= {bad.row: bad for bad in dropped_rows(table, self.config.modalities, self.config.missing)}
        results |= {bad.row: bad for bad in incomplete_rows(table, self.config.modalities, labelled=False)}
        cut = clips(table.without(set(results)), self.config)
        prepared, unreadable = prepare_rows(cut, self.config, None)
        results |= {bad.row: bad for bad in unreadable}
        if not len(prepared):
            return results
        frame = cut.frame.iloc[prepared.rows.numpy()]
        said = all_answers(self.network, prepared, over_time(cut.with_frame(frame), self.config))
        damage = damages(cut.with_frame(frame), self.config)
        there = {m: (store.entry[prepared.rows] > 0).numpy() for m, store in prepared.stores.items()}
        numbers = frame["row"].to_numpy()
        starts = frame["start_seconds"].to_numpy() if "start_seconds" in frame else np.zeros(len(frame))
        for row in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == row)
            source = {m: str(table.path(frame[m].iloc[places[0]])) for m in there if there[m][places].all()}
            of_row = {subset: answer.at(places) for subset, answer in said.items()}
            of_files = {m: found[places] for m, found in damage.items() if m in source}
            results[row] = prediction(of_row, starts[places].tolist(), source, of_files, self.labels, self.config)
        return results


def _imputers(network: ClassifierNetwork, saved: dict[str, dict[str, torch.Tensor]]) -> dict[str, Imputers]:
    """What a bundle has learnt for each policy."""
    found = {policy: new_imputers(network, policy) for policy in saved}
    for policy, weights in saved.items():
        found[policy].load_state_dict(weights)
    return found


def load(folder: str | Path) -> Classifier:
    """The classifier in a bundle.

    Raises:
        BundleError: not a bundle, damaged, or of a newer format.
    """
    bundle = read_bundle(Path(folder))
    network = build_network(bundle.config, len(bundle.labels))
    try:
        network.load_state_dict(bundle.weights)
        imputers = _imputers(network, bundle.imputers)
    except RuntimeError as error:
        raise BundleError(f"{folder}: the weights do not fit what config.json describes: {error}") from error
    return Classifier(network, bundle.config, bundle.labels, bundle.metrics, imputers)
