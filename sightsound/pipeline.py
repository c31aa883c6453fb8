"""The classifier as people hold it: files or a table in, predictions or metrics out; saved to and loaded from a bundle.

Training and use read files through the same functions, so what was tested is what is shipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.bundle import Bundle, read_bundle, write_bundle
from sightsound.config import ColumnsConfig, Config, clip_seconds, image_shape
from sightsound.data.batches import loader
from sightsound.data.files import Source, image_from_array, name_of, probe_audio, waveform_from_array
from sightsound.data.table import Rejected, Table, incomplete_rows, read_table
from sightsound.data.windows import clip_starts
from sightsound.errors import BundleError, ConfigError, TableError
from sightsound.inference import (
    BATCH_ROWS,
    Answer,
    answer_rows,
    answers,
    blank,
    clips,
    joined,
    measure_answers,
    prepare_rows,
    reader,
    summary,
)
from sightsound.metrics import disagreement
from sightsound.model import ClassifierNetwork, build_network
from sightsound.progress import progress_bar
from sightsound.types import Batch, Clip, Prediction

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
        self,
        image: Source | Array | None = None,
        audio: Source | tuple[Array, int] | None = None,
        abstain_below: float = 0.0,
    ) -> Prediction:
        """Classifies one image, one sound, or a pair.

        Args:
            image: path, bytes of a file, or (H, W[, channels]) uint8.
            audio: path, bytes of a file, or a pair of samples (N,) or (N, channels) float and their rate in Hz.
            abstain_below: no label is given where the largest probability is below this.

        Raises:
            FileError: a file cannot be read.
            ConfigError: nothing was given, or a sense that the classifier does not know.
        """
        check_share(abstain_below)
        given = {m: x for m, x in (("image", image), ("audio", audio)) if x is not None}
        unknown = [m for m in given if m not in self.config.modalities]
        if unknown or not given:
            what = f"{unknown[0]} was given" if unknown else "nothing was given"
            raise ConfigError(f"This classifier knows {' and '.join(self.config.modalities)}, and {what}.")
        starts = self._starts(given.get("audio"))
        inputs = {}
        for m in self.config.modalities:
            each = [
                self._decode(m, given[m], start) if m in given else blank(self.config, m).numpy() for start in starts
            ]
            inputs[m] = torch.from_numpy(np.stack(each))
        present = {m: torch.full((len(starts),), m in given) for m in inputs}
        source = {m: name_of(x) if isinstance(x, str | Path | bytes) else "array" for m, x in given.items()}
        said = answers(self.network, self.network.featurize(Batch(inputs, present)))
        prediction = self._prediction(said, starts, tuple(m for m in inputs if m in given), source)
        return withheld(prediction, abstain_below)

    def predict_table(
        self, table: str | Path | pd.DataFrame, columns: ColumnsConfig | None = None, abstain_below: float = 0.0
    ) -> list[Prediction | Rejected]:
        """Classifies each row of a table, in order; a row that cannot be used gives the reason in place of a score.

        No label is given where the largest probability is below `abstain_below`.
        """
        check_share(abstain_below)
        rows = read_table(table, columns or self.config.columns, labelled=False)
        results: list[Prediction | Rejected] = []
        with progress_bar("predicting", len(rows.frame), "row") as bar:
            for chunk in _chunks(rows):
                results += self._predict_chunk(chunk)
                bar.update(len(chunk.frame))
        return [r if isinstance(r, Rejected) else withheld(r, abstain_below) for r in results]

    def evaluate(
        self,
        table: str | Path | pd.DataFrame,
        columns: ColumnsConfig | None = None,
        skip_bad_files: bool = False,
        abstain_below: float = 0.0,
    ) -> dict[str, Any]:
        """Accuracy, macro and per-class numbers and confusion, for each subset of the senses.

        If the table has a split column with test rows, only these count. With `abstain_below`, "abstaining" says for
        each subset how many rows are answered when less sure answers are withheld, and how many of these are right.

        Returns:
            the shape of `metrics.json`.

        Raises:
            TableError: no usable rows; or a row cannot be used and `skip_bad_files` is False.
        """
        check_share(abstain_below)
        rows, split, rejected = self.labelled_rows(table, columns)
        parts = []
        with progress_bar("evaluating", len(rows.frame), "row") as bar:
            for chunk in _chunks(rows):
                cut = clips(chunk, self.config)
                prepared, unreadable = prepare_rows(cut, self.config, None)
                rejected += unreadable
                if len(prepared):
                    numbers = cut.frame["row"].to_numpy()[prepared.rows.numpy()]
                    parts.append(answer_rows(self.network, prepared, numbers))
                bar.update(len(chunk.frame))
        if rejected and not (skip_bad_files and parts):
            raise TableError(summary(rows.name, rejected))
        answered = joined(parts)
        number = {label: i for i, label in enumerate(self.labels)}
        labels = rows.frame.set_index("row")["label"].loc[answered.row.tolist()]
        target = np.array([number[label] for label in labels])
        return {"split": split, **measure_answers(answered, target, self.labels, abstain_below)}

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
        write_bundle(Path(folder), Bundle(dict(self.network.state_dict()), self.config, self.labels, self.metrics))

    def _starts(self, audio: Any) -> list[float]:
        """Where the clips of a sound start; one at 0 where it is not cut, or where there is no sound."""
        step = self.config.audio.step_seconds
        if audio is None or not step:
            return [0.0]
        seconds = len(audio[0]) / audio[1] if isinstance(audio, tuple) else probe_audio(audio)
        return clip_starts(seconds, clip_seconds(self.config), step)

    def _decode(self, modality: str, given: Any, start_seconds: float) -> Array:
        """A file or an array as `reader` would give it."""
        if modality == "image":
            if isinstance(given, str | Path | bytes):
                return reader(self.config, modality)(given)
            return image_from_array(given, *image_shape(self.config))
        read = reader(self.config, modality)
        if isinstance(given, str | Path | bytes):
            return read(given, start_seconds=start_seconds)
        samples, rate = given
        return waveform_from_array(samples[round(start_seconds * rate) :], rate, **read.keywords)

    def _predict_chunk(self, table: Table) -> list[Prediction | Rejected]:
        results: dict[int, Prediction | Rejected] = {}
        results |= {bad.row: bad for bad in incomplete_rows(table, self.config.modalities, labelled=False)}
        cut = clips(table.without(set(results)), self.config)
        prepared, unreadable = prepare_rows(cut, self.config, None)
        results |= {bad.row: bad for bad in unreadable}
        if not len(prepared):
            return [results[row] for row in table.frame["row"]]
        said = [answers(self.network, self.network.featurize(batch)) for batch in loader(prepared, BATCH_ROWS)]
        whole = {subset: _joined_answers([batch[subset] for batch in said]) for subset in said[0]}
        frame = cut.frame.iloc[prepared.rows.numpy()]
        numbers = frame["row"].to_numpy()
        starts = frame["start_seconds"].to_numpy() if "start_seconds" in frame else np.zeros(len(frame))
        for row in np.unique(numbers).tolist():
            places = np.flatnonzero(numbers == row)
            source = {m: str(table.path(frame[m].iloc[places[0]])) for m in self.network.modalities}
            source = {m: file for m, file in source.items() if frame[m].iloc[places[0]]}
            of_row = {subset: _some(answer, places) for subset, answer in whole.items()}
            results[row] = self._prediction(of_row, starts[places].tolist(), tuple(source), source)
        return [results[row] for row in table.frame["row"]]

    def _prediction(
        self, said: dict[tuple[str, ...], Answer], starts: list[float], there: tuple[str, ...], source: dict[str, str]
    ) -> Prediction:
        """Of one row, with answers for each of its clips."""
        modalities = self.network.modalities
        fused = said[tuple(modalities)]
        probabilities = self._named(fused.probabilities.mean(0))
        length = clip_seconds(self.config) if "audio" in there else 0.0
        of_clips = []
        for start, each in zip(starts, fused.probabilities, strict=True):
            named = self._named(each)
            of_clips.append(
                Clip(float(start), float(start) + length, max(named, key=lambda label: named[label]), named)
            )
        weights = fused.weights
        alone = {m: said[(m,)].probabilities.mean(0) for m in there}
        return Prediction(
            label=max(probabilities, key=lambda label: probabilities[label]),
            probabilities=probabilities,
            per_modality={m: self._named(p) for m, p in alone.items()},
            weights=None if weights is None else {m: float(weights[m].mean()) for m in modalities},
            present=there,
            source=source,
            conflict=float(disagreement(torch.stack(list(alone.values())).numpy())) if len(alone) > 1 else None,
            strangeness={m: float(said[(m,)].strangeness[m].mean()) for m in there},
            clips=tuple(of_clips) if self.config.audio.step_seconds and "audio" in there else (),
        )

    def _named(self, probabilities: torch.Tensor) -> dict[str, float]:
        return dict(zip(self.labels, probabilities.tolist(), strict=True))


def check_share(abstain_below: float) -> None:
    """Raises ConfigError for what is no probability."""
    if not 0 <= abstain_below <= 1:
        raise ConfigError(f"abstain_below is {abstain_below}; it is a probability, from 0 to 1.")


def withheld(prediction: Prediction, below: float) -> Prediction:
    """The prediction, without its label where the largest probability is below a bound."""
    sure = max(prediction.probabilities.values()) >= below
    return prediction if sure else prediction._replace(label="")


def _chunks(table: Table) -> Iterator[Table]:
    """The table in parts, so that memory stays flat."""
    for start in range(0, len(table.frame), CHUNK_ROWS):
        yield table.with_frame(table.frame.iloc[start : start + CHUNK_ROWS])


def _joined_answers(parts: list[Answer]) -> Answer:
    """The answers to several batches as one."""
    weights = [part.weights for part in parts if part.weights is not None]
    return Answer(
        torch.cat([part.probabilities for part in parts]),
        _joined(weights) if weights else None,
        _joined([part.strangeness for part in parts]),
    )


def _joined(parts: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}


def _some(answer: Answer, places: Array) -> Answer:
    """The answers at some places."""
    weights = None if answer.weights is None else {m: w[places] for m, w in answer.weights.items()}
    return Answer(answer.probabilities[places], weights, {m: s[places] for m, s in answer.strangeness.items()})


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
