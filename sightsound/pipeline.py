"""The classifier as people hold it: files or a table in, predictions or metrics out; saved to and loaded from a bundle.

Training and use read files through the same functions, so what was tested is what is shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.bundle import Bundle, read_bundle, write_bundle
from sightsound.config import ColumnsConfig, Config, clip_seconds, image_shape
from sightsound.data.batches import loader
from sightsound.data.files import Source, image_from_array, name_of, waveform_from_array
from sightsound.data.table import Rejected, Table, incomplete_rows, read_table
from sightsound.errors import BundleError, ConfigError, TableError
from sightsound.inference import (
    BATCH_ROWS,
    Answer,
    answer_rows,
    answers,
    blank,
    measure_answers,
    prepare_rows,
    reader,
    summary,
)
from sightsound.model import ClassifierNetwork, build_network
from sightsound.progress import progress_bar
from sightsound.types import Batch, Prediction

Array = NDArray[Any]
CHUNK_ROWS = 2048  # rows of a table held in memory at once while predicting


class Classifier:
    """A trained network with everything it needs to answer about files.

    Args:
        network: with its trained weights.
        config: with all sizes filled in.
        labels: C class names.
        metrics: what it reached, in the shape of `metrics.json`; may be empty.
    """

    def __init__(
        self, network: ClassifierNetwork, config: Config, labels: list[str], metrics: dict[str, Any] | None = None
    ) -> None:
        self.network = network.eval()
        self.config = config
        self.labels = labels
        self.metrics = metrics or {}

    def predict(
        self, image: Source | Array | None = None, audio: Source | tuple[Array, int] | None = None
    ) -> Prediction:
        """Classifies one image, one sound, or a pair.

        Args:
            image: path, bytes of a file, or (H, W[, channels]) uint8.
            audio: path, bytes of a file, or a pair of samples (N,) or (N, channels) float and their rate in Hz.

        Raises:
            FileError: a file cannot be read.
            ConfigError: nothing was given, or a sense that the classifier does not know.
        """
        given = {m: x for m, x in (("image", image), ("audio", audio)) if x is not None}
        unknown = [m for m in given if m not in self.config.modalities]
        if unknown or not given:
            said = f"{unknown[0]} was given" if unknown else "nothing was given"
            raise ConfigError(f"This classifier knows {' and '.join(self.config.modalities)}, and {said}.")
        inputs = {m: blank(self.config, m) for m in self.config.modalities}
        inputs |= {m: torch.from_numpy(self._decode(m, x)) for m, x in given.items()}
        present = {m: torch.tensor([m in given]) for m in inputs}
        batch = self.network.featurize(Batch({m: x[None] for m, x in inputs.items()}, present))
        source = {m: name_of(x) if isinstance(x, str | Path | bytes) else "array" for m, x in given.items()}
        return self._predictions(batch, [source])[0]

    def predict_table(
        self, table: str | Path | pd.DataFrame, columns: ColumnsConfig | None = None
    ) -> list[Prediction | Rejected]:
        """Classifies each row of a table, in order; a row that cannot be used gives the reason in place of a score."""
        rows = read_table(table, columns or self.config.columns, labelled=False)
        results: list[Prediction | Rejected] = []
        with progress_bar("predicting", len(rows.frame), "row") as bar:
            for start in range(0, len(rows.frame), CHUNK_ROWS):
                chunk = Table(rows.name, rows.root, rows.frame.iloc[start : start + CHUNK_ROWS])
                results += self._predict_chunk(chunk)
                bar.update(len(chunk.frame))
        return results

    def evaluate(
        self, table: str | Path | pd.DataFrame, columns: ColumnsConfig | None = None, skip_bad_files: bool = False
    ) -> dict[str, Any]:
        """Accuracy, macro and per-class numbers and confusion, for each subset of the senses.

        If the table has a split column with test rows, only these count.

        Returns:
            the shape of `metrics.json`.

        Raises:
            TableError: no usable rows; or a row cannot be used and `skip_bad_files` is False.
        """
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
        rows = rows.without({bad.row for bad in rejected})
        prepared, unreadable = prepare_rows(rows, self.config, self.labels)
        rejected += unreadable
        if rejected and not (skip_bad_files and len(prepared)):
            raise TableError(summary(rows.name, rejected))
        return {"split": split, **measure_answers(answer_rows(self.network, prepared), prepared, self.labels)}

    def save(self, folder: str | Path) -> None:
        """Writes a bundle. Raises BundleError if that cannot be done."""
        write_bundle(Path(folder), Bundle(dict(self.network.state_dict()), self.config, self.labels, self.metrics))

    def _decode(self, modality: str, given: Any) -> Array:
        """A file or an array as `reader` would give it."""
        if isinstance(given, str | Path | bytes):
            return reader(self.config, modality)(given)
        if modality == "image":
            return image_from_array(given, *image_shape(self.config))
        samples, rate = given
        audio = self.config.audio
        return waveform_from_array(samples, rate, audio.sample_rate_hz, clip_seconds(self.config), audio.crop)

    def _predict_chunk(self, table: Table) -> list[Prediction | Rejected]:
        results: dict[int, Prediction | Rejected] = {}
        results |= {bad.row: bad for bad in incomplete_rows(table, self.config.modalities, labelled=False)}
        usable = table.without(set(results))
        prepared, unreadable = prepare_rows(usable, self.config, None)
        results |= {bad.row: bad for bad in unreadable}
        numbers = usable.frame.index[prepared.rows.numpy()]
        for start, batch in enumerate(loader(prepared, BATCH_ROWS)):
            of_batch = numbers[start * BATCH_ROWS : (start + 1) * BATCH_ROWS]
            source = [
                {m: str(table.path(files[m])) for m in self.config.modalities if files[m]}
                for files in usable.frame.loc[of_batch].to_dict("records")
            ]
            results |= dict(zip(of_batch, self._predictions(batch, source), strict=True))
        return [results[row] for row in table.frame.index]

    def _predictions(self, batch: Batch, source: list[dict[str, str]]) -> list[Prediction]:
        """One for each row of a batch of features."""
        modalities = self.network.modalities
        said = answers(self.network, batch)
        fused = said[tuple(modalities)]
        predictions = []
        for i, files in enumerate(source):
            there = tuple(m for m in modalities if batch.present[m][i])
            probabilities = self._named(fused, i)
            predictions.append(
                Prediction(
                    label=max(probabilities, key=lambda label: probabilities[label]),
                    probabilities=probabilities,
                    per_modality={m: self._named(said[(m,)], i) for m in there},
                    weights=None if fused.weights is None else {m: float(fused.weights[m][i]) for m in modalities},
                    present=there,
                    source=files,
                )
            )
        return predictions

    def _named(self, said: Answer, i: int) -> dict[str, float]:
        return dict(zip(self.labels, said.probabilities[i].tolist(), strict=True))


def load(folder: str | Path) -> Classifier:
    """The classifier in a bundle.

    Raises:
        BundleError: not a bundle, damaged, or of a newer format.
    """
    bundle = read_bundle(Path(folder))
    network = build_network(bundle.config, len(bundle.labels))
    try:
        network.load_state_dict(bundle.weights)
    except RuntimeError as error:
        raise BundleError(f"{folder}: the weights do not fit what config.json describes: {error}") from error
    return Classifier(network, bundle.config, bundle.labels, bundle.metrics)
