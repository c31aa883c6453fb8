"""The public classifier: files or a table in, predictions or metrics out; saved to and loaded from a bundle.

Training and use read files through the same functions, so what was tested is what is shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.bundle import Bundle, read_bundle, write_bundle
from sightsound.bundle.files import bundle_errors
from sightsound.config import ColumnsConfig, Config, MissingConfig
from sightsound.config.given import with_missing
from sightsound.data.asked import columns_like, rows_to_measure, rows_to_predict
from sightsound.data.datasets import TableLike
from sightsound.data.decode import chunks, given_rows, over_time
from sightsound.data.files import name_of
from sightsound.data.table import Rejected, Table
from sightsound.errors import ConfigError, NothingLeftError
from sightsound.hardware import check_device
from sightsound.inference.answer_table import description, flat_frame, probability_rows
from sightsound.inference.measured_table import measure_table
from sightsound.inference.prediction import (
    Asked,
    abstain,
    answer_table_rows,
    check_share,
    embedded_rows,
    imputation,
    prediction,
)
from sightsound.inference.subsets import all_answers
from sightsound.missing import Imputers
from sightsound.modalities.base import modality
from sightsound.network.build import restore_network
from sightsound.network.classifier import ClassifierNetwork
from sightsound.progress import progress_bar
from sightsound.types import Prediction

Array = NDArray[Any]
Missing = str | dict[str, str] | MissingConfig | None  # a policy, or one for each modality
Columns = ColumnsConfig | Mapping[str, str] | None  # all names, or some by role beside those of the training


class Classifier:
    """A trained network with everything it needs to predict from files.

    Args:
        network: the trained network.
        config: the configuration with all sizes set.
        labels: C class names.
        metrics: its metrics, in the structure of `metrics.json`; may be empty.
        imputers: the imputers of each policy that imputes a missing modality; may be empty.

    Attributes:
        classes_: (C,) class names, in the order of all per-class values.
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
        self.classes_ = np.array(labels)
        self.metrics = metrics or {}
        self.imputers = dict(imputers or {})

    @property
    def _labels(self) -> list[str]:
        return [str(label) for label in self.classes_]

    def to(self, device: str | torch.device) -> Classifier:
        """Moves the classifier to a device, such as "cuda", where it then predicts. Raises ConfigError if it cannot."""
        check_device(device)
        self.network.to(device)
        for imputers in self.imputers.values():
            imputers.to(device)
        return self

    def __repr__(self) -> str:
        return f"<Classifier: {'. '.join(description(self.config, self._labels, self.metrics))}>"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return "<br>".join(map(escape, description(self.config, self._labels, self.metrics)))

    def under(self, missing: Missing) -> Classifier:
        """Returns the classifier with other missing-data policies; None: unchanged.

        Raises:
            ConfigError: an unknown policy.
        """
        if missing is None:
            return self
        return Classifier(self.network, with_missing(self.config, missing), self._labels, self.metrics, self.imputers)

    def predict(
        self,
        image: Any = None,
        audio: Any = None,
        abstain_below: float = 0.0,
        missing: Missing = None,
        **others: Any,
    ) -> Prediction:
        """Classifies one image, one sound, or a pair.

        Args:
            image: path, bytes or open file; Pillow image; or (H, W), (H, W, channels) or (channels, H, W), uint8 or
                floats from 0 to 1, as an array, tensor or list (`data.values`).
            audio: path, bytes or open file; or a pair of samples (N,), (N, channels) or (channels, N), float in -1 to 1
                or int16, int32 or uint8, and their rate in Hz. Either may be a dictionary of Hugging Face.
            abstain_below: no label is given where the largest probability is below this.
            missing: the missing-data policy, or one for each modality; default: the classifier's.
            others: files of other modalities that are registered, by name.

        Raises:
            FileError: a file cannot be read.
            ConfigError: nothing was given, or a modality that the classifier lacks, or an unknown policy; or a modality
                that the policy `drop` requires was not given.
        """
        if missing is not None:
            return self.under(missing).predict(image, audio, abstain_below, **others)
        check_share(abstain_below)
        given = {m: x for m, x in {"image": image, "audio": audio, **others}.items() if x is not None}
        unknown = [m for m in given if m not in self.config.modalities]
        if unknown or not given:
            what = f"{unknown[0]} was given" if unknown else "nothing was given"
            raise ConfigError(f"This classifier knows {' and '.join(self.config.modalities)}, and {what}.")
        given = {m: modality(m).given(x) for m, x in given.items()}
        said = None
        while said is None:
            absent = [m for m in self.config.modalities if m not in given and getattr(self.config.missing, m) == "drop"]
            if absent:
                raise ConfigError(f"{absent[0]} is missing, and the policy is drop. Give it, or another: --missing")
            with given_rows(self.config, given) as rows:
                try:
                    said = all_answers(self.network, rows, impute=imputation(self.config, self.imputers))
                except NothingLeftError:
                    if len(given) == 1:
                        raise
                    del given[rows.reading]
        asked = Asked(rows.starts, {m: name_of(x) for m, x in given.items()}, rows.damage, flags=rows.flags)
        return abstain(prediction(said, asked, self._labels, self.config, self.network.decision), abstain_below)

    def predict_table(
        self, table: TableLike, columns: Columns = None, abstain_below: float = 0.0, missing: Missing = None
    ) -> pd.DataFrame:
        """Classifies each row of a table.

        Args:
            table: the rows; or a folder of files, of which those of one name are a row.
            columns: the names of the table's columns, or of some of them by role.
            abstain_below: no label is given where the largest probability is below this.
            missing: as in `predict`.

        Returns:
            the table's own columns, then `predicted` and the rest of `answer_table.flat_columns`; rows numbered from 0.
            A row that cannot be used has the reason in `error`, one with a bad file in MODALITY_error.
        """
        if missing is not None:
            return self.under(missing).predict_table(table, columns, abstain_below)
        rows = self.rows_to_predict(table, columns)
        return flat_frame(self._answers(rows, abstain_below), self.config, self._labels, rows.given)

    def predict_proba(
        self, table: TableLike, columns: Columns = None, missing: Missing = None, skip_bad_files: bool = False
    ) -> NDArray[np.float64]:
        """Returns (rows, C) probabilities of a table's rows, in its order; of the classes in the order of `classes_`.

        Args:
            table: as in `predict_table`.
            columns: as in `predict_table`.
            missing: as in `predict`.
            skip_bad_files: a row without a usable file is NaN; one with one bad file is predicted from the other.

        Raises:
            TableError: a row or a file cannot be used and `skip_bad_files` is False; it lists all of them.
        """
        if missing is not None:
            return self.under(missing).predict_proba(table, columns, None, skip_bad_files)
        rows = self.rows_to_predict(table, columns)
        return probability_rows(self._answers(rows), rows.name, self._labels, skip_bad_files)

    def _answers(self, rows: Table, abstain_below: float = 0.0) -> dict[int, Prediction | Rejected]:
        """Returns predictions by row number, in the order of the table."""
        results = {row: one for part in self.predict_parts(rows, abstain_below) for row, one in part.items()}
        return {row: results[row] for row in rows.frame["row"]}

    def rows_to_predict(self, table: TableLike, columns: Columns = None) -> Table:
        """Reads a table for predicting; reports warnings about it, and which modality it lacks."""
        return rows_to_predict(table, self.columns(columns), self.config)

    def predict_parts(
        self, rows: Table, abstain_below: float = 0.0, skip: int = 0
    ) -> Iterator[dict[int, Prediction | Rejected]]:
        """Classifies a table in parts of some thousand rows, so that memory stays flat.

        Args:
            rows: what `rows_to_predict` returns.
            abstain_below: no label is given where the largest probability is below this.
            skip: the number of parts to skip at the beginning.

        Yields:
            predictions by row number; a row that cannot be used gives the reason.
        """
        check_share(abstain_below)
        impute = imputation(self.config, self.imputers)
        parts = list(chunks(rows, whole_groups=over_time(rows, self.config) is not None))
        done = sum(len(part.frame) for part in parts[:skip])
        with progress_bar("predicting", len(rows.frame), "row", done=done) as bar:
            for part in parts[skip:]:
                answered = answer_table_rows(self.network, self.config, self._labels, part, impute)
                bar.update(len(part.frame))
                yield {
                    row: one if isinstance(one, Rejected) else abstain(one, abstain_below)
                    for row, one in sorted(answered.items())
                }

    def embed(self, table: TableLike, columns: Columns = None) -> dict[str, Array]:
        """Computes per modality (rows, D) unimodal embeddings of a table's rows, in its order; arguments as above.

        They are NaN where a file is missing or cannot be read; `predict_table` reports which.
        """
        rows = self.rows_to_predict(table, columns)
        parts = [embedded_rows(self.network, self.config, part) for part in chunks(rows)]
        return {m: np.concatenate([part[m] for part in parts]) for m in self.config.modalities}

    def evaluate(
        self,
        table: TableLike,
        columns: Columns = None,
        skip_bad_files: bool = False,
        abstain_below: float = 0.0,
        missing: Missing = None,
    ) -> dict[str, Any]:
        """Measures accuracy, macro and per-class metrics and confusion, for each subset of the modalities.

        If the table has a split column with test rows, only these count. With `abstain_below`, "abstaining" holds for
        each subset the share of rows for which the classifier does not abstain, and the accuracy over these. `missing`
        is that of `predict`; imputation affects "as given", the metrics of all rows with their present modalities.

        Returns:
            the structure of `metrics.json`.

        Raises:
            TableError: there are no usable rows; or a row cannot be used and `skip_bad_files` is False.
        """
        if missing is not None:
            return self.under(missing).evaluate(table, columns, skip_bad_files, abstain_below)
        check_share(abstain_below)
        rows, split, rejected = self.labelled_rows(table, columns)
        impute, bad = imputation(self.config, self.imputers), None if skip_bad_files else rejected
        measured = measure_table(self.network, self.config, self._labels, rows, bad, impute, abstain_below)
        return {"split": split} | measured

    def labelled_rows(self, table: TableLike, columns: Columns = None) -> tuple[Table, str, list[Rejected]]:
        """Returns the rows to measure on, their split ("test" or "all"), and rows without a known label or any file."""
        return rows_to_measure(table, self.columns(columns), self.config, self._labels, self.metrics.get("table"))

    def columns(self, given: Columns) -> ColumnsConfig:
        """Returns a table's column names: those of the training, except for the given ones."""
        return columns_like(self.config.columns, given)

    def save(self, folder: str | Path) -> None:
        """Writes a bundle. Raises BundleError if that fails."""
        bundle = Bundle(dict(self.network.state_dict()), self.config, self._labels, self.metrics)
        imputers = {policy: dict(of.state_dict()) for policy, of in self.imputers.items()}
        decision = self.network.decision.named(self._labels)
        write_bundle(Path(folder), bundle._replace(imputers=imputers, decision=decision))


def load(folder: str | Path, *, trust: bool = False) -> Classifier:
    """Loads the classifier of a bundle.

    Args:
        folder: the folder of the bundle.
        trust: whether modules that it names may be imported, for the user's own encoders, strategies or policies.
            Importing runs their code. Without it, nothing runs that is not part of sightsound, or imported already.

    Raises:
        BundleError: it is not a bundle, damaged, or of a newer format; or it must be trusted.
    """
    bundle = read_bundle(Path(folder), trust)
    with bundle_errors(Path(folder)):
        network, imputers = restore_network(bundle, trust)
    return Classifier(network, bundle.config, bundle.labels, bundle.metrics, imputers)
