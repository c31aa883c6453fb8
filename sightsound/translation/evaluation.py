"""Measures a translator by an independent classifier, the evaluator, on files as they are written to disk.

Test rows -> (translator) -> PNG and WAV -> (evaluator, `judge`) -> the class and the embedding of each -> metrics.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.classifier import Classifier
from sightsound.data.dataset import loader
from sightsound.data.decode import prepare_rows, summary
from sightsound.data.table import Table
from sightsound.errors import ConfigError, TableError
from sightsound.inference.subsets import BATCH_ROWS
from sightsound.translation import distances
from sightsound.translation.config import MODALITIES
from sightsound.translation.retrieval import Translation, image_from_sonified, nearest, other, sonify_image, write
from sightsound.translation.translator import Translator

RECALLS = (1, 5, 10)
MOST_TRAINING_FILES = 20_000  # largest number that is searched for copies
KEPT = 12  # translations of each direction that are shown, and as many wrong ones


@dataclass(frozen=True)
class TranslationOptions:
    """What an evaluation is made of."""

    rows: int = 1000
    """At most so many test rows, drawn by chance, are translated; twice as many are looked for."""
    n: int = 4
    """Translations of each, at least 2."""
    seed: int = 0
    """Of the rows, and of what is made of them."""
    evaluator: tuple[str, ...] = ()
    """Pretrained encoders (lite0; speech or yamnet) of the judge that is trained, which stay as they are: they took no
    part in the translator. Default: small networks, like those of the translator."""


class TranslatorEvaluation(NamedTuple):
    """A finished evaluation.

    Attributes:
        numbers: the metrics, as in `evaluation.json`.
        samples: for each direction, translations to show.
        failures: for each direction, translations that the evaluator assigns to another class, with that class.
    """

    numbers: dict[str, Any]
    samples: dict[str, list[list[Translation]]]
    failures: dict[str, list[tuple[Translation, str, str]]]


class Classified(NamedTuple):
    """The evaluator's classes (n,) and embeddings (n, D) of n files of one modality."""

    classes: NDArray[np.int64]
    embeddings: Tensor


def run_translator_evaluation(
    translator: Translator, judge: Classifier, table: Table, options: TranslationOptions, say: Callable[[str], object]
) -> TranslatorEvaluation:
    """Translates test rows in both directions and classifies the results.

    Args:
        translator: the translator to measure.
        judge: the evaluator, trained on recorded data only.
        table: a table with labels and a split; test rows are translated and compared with training rows.
        options: how many rows and translations.
        say: called with each line for the user.

    Raises:
        TableError: there is no complete test row, or the evaluator lacks a label.
        ConfigError: options are out of range.
    """
    if options.rows < 1 or options.n < 2:
        raise ConfigError("--rows is at least 1 and -n at least 2: how different translations are is measured too.")
    every = _complete(table, "test", judge)
    frame = every.sample(min(options.rows, len(every)), random_state=options.seed)
    train = _complete(table, "train", judge)
    numbers: dict[str, Any] = {"rows": len(frame), "n": options.n, "retrieval": {}}
    samples, failures = {}, {}
    for modality in MODALITIES:
        direction = f"{modality} to {other(modality)}"
        say(f"{direction}: {len(frame)} files, {options.n} translations of each")
        study = _Direction(translator, judge, table, frame, train, modality, options)
        numbers[direction], samples[direction], failures[direction] = study.measure()
    looked_for = every.sample(min(2 * options.rows, len(every)), random_state=options.seed)
    numbers["retrieval"] = retrieval(translator, table, looked_for)
    return TranslatorEvaluation(numbers, samples, failures)


class _Direction:
    """One direction: `wanted` is generated from `source`."""

    def __init__(
        self,
        translator: Translator,
        judge: Classifier,
        table: Table,
        frame: pd.DataFrame,
        train: pd.DataFrame,
        source: str,
        options: TranslationOptions,
    ) -> None:
        self.translator, self.judge, self.table, self.frame, self.options = translator, judge, table, frame, options
        self.source, self.wanted = source, other(source)
        self.target = _target(judge, frame)
        self.train = train.drop_duplicates(self.wanted)

    def measure(self) -> tuple[dict[str, Any], list[list[Translation]], list[tuple[Translation, str, str]]]:
        """Returns the metrics, translations to show, and wrong ones."""
        with tempfile.TemporaryDirectory() as folder:
            made, files = self._translate(Path(folder))
            judged = classify_files(self.judge, self.wanted, files)
            back = self._back(files[:: self.options.n])
            features = _features(self.translator, self.wanted, files)
        n, target = self.options.n, self.target
        right = (judged.classes == np.repeat(target, n)).reshape(-1, n)
        tested, known = self._files(self.frame, self.wanted), self._files(self.train, self.wanted)
        real, trained = classify_files(self.judge, self.wanted, tested), classify_files(self.judge, self.wanted, known)
        train_features = _features(self.translator, self.wanted, known[:MOST_TRAINING_FILES])
        real_features = _features(self.translator, self.wanted, tested)
        played_back = self._played_back()
        numbers = {
            "coherence": distances.share(right),
            "coherence_of_real": distances.share(real.classes == target),
            "round_trip": distances.share(back == target),
            "sonified_round_trip": distances.share(played_back == target) if self.source == "image" else None,
            "frechet": distances.frechet(judged.embeddings[::n], trained.embeddings),
            "frechet_of_real": distances.frechet(real.embeddings, trained.embeddings),
            "diversity": distances.within(features.unflatten(0, (-1, n))),
            "diversity_of_real": distances.within_classes(*self._distinct(real_features)),
            "near_copies": distances.share(distances.copies(features, train_features)),
            "near_copies_of_real": distances.share(distances.copies(real_features, train_features)),
            "groups": self._groups(features, train_features),
        }
        wrong = [(i, k) for i, k in zip(*np.nonzero(~right), strict=True)][:KEPT]
        labels = self.judge.classes_.tolist()
        failed = [(made[i][k], labels[target[i]], labels[judged.classes[i * n + k]]) for i, k in wrong]
        return numbers, made[:KEPT], failed

    def _translate(self, folder: Path) -> tuple[list[list[Translation]], list[str]]:
        """Returns the translations of each row, and the files to which all of them are written, in order."""
        translate = self.translator.image_to_audio if self.source == "image" else self.translator.audio_to_image
        found = translate(self._files(self.frame, self.source), self.options.n, "generate", self.options.seed)
        made = [of_one[: self.options.n] for of_one in found]  # only the first window of a long sound
        return made, [str(write(one, folder / str(i))) for i, one in enumerate(itertools.chain(*made))]

    def _back(self, files: list[str]) -> NDArray[np.int64]:
        """Returns the classes of the first translations, translated back."""
        back = self.translator.audio_to_image if self.source == "image" else self.translator.image_to_audio
        with tempfile.TemporaryDirectory() as folder:
            returned = [
                str(write(of_one[0], Path(folder) / str(i)))
                for i, of_one in enumerate(back(files, 1, "generate", self.options.seed))
            ]
            return classify_files(self.judge, self.source, returned).classes

    def _played_back(self) -> NDArray[np.int64]:
        """Returns the classes of images that were sonified and drawn again: the baseline."""
        if self.source != "image":
            return np.zeros(0, np.int64)
        with tempfile.TemporaryDirectory() as folder:
            files: list[str] = []
            for i, file in enumerate(self._files(self.frame, "image")):
                [sound] = sonify_image(file)
                [again] = image_from_sonified(write(sound, Path(folder) / f"{i}"))
                files.append(str(write(again, Path(folder) / f"{i}")))
            return classify_files(self.judge, "image", files).classes

    def _distinct(self, features: Tensor) -> tuple[Tensor, NDArray[np.int64]]:
        """Returns the features of each distinct recorded file, and its class."""
        first = ~self.frame.duplicated(self.wanted).to_numpy()
        return features[torch.from_numpy(first)], self.target[first]

    def _groups(self, features: Tensor, train_features: Tensor) -> dict[str, int] | None:
        """Counts the training files' groups (speakers) among the nearest neighbours of translations."""
        groups = self.train["group"].to_numpy()[:MOST_TRAINING_FILES]
        if (groups == "").any():
            return None
        closest = distances.closest(features, train_features)
        return {"covered": len(np.unique(groups[closest])), "of": len(np.unique(groups))}

    def _files(self, frame: pd.DataFrame, modality: str) -> list[str]:
        return [str(self.table.path(name)) for name in frame[modality]]


def classify_files(judge: Classifier, modality: str, files: Sequence[str]) -> Classified:
    """Classifies files of one modality alone."""
    rows, rejected = prepare_rows(_table_of(files, modality), judge.config, None)
    if rejected:
        raise TableError(summary("the files to judge", rejected))
    classes, embeddings = [], []
    with torch.inference_mode():
        for batch in loader(rows, BATCH_ROWS):
            output = judge.network.fuse(judge.network.featurize(batch.to(judge.network.device)))
            classes.append(output.unimodal_logits[modality].argmax(1).cpu())
            embeddings.append(output.embeddings[modality].cpu())
    return Classified(torch.cat(classes).numpy(), torch.cat(embeddings))


def retrieval(translator: Translator, table: Table, frame: pd.DataFrame) -> dict[str, Any]:
    """Measures the rank of the first row of the same class among the nearest of the other modality."""
    labels = frame["label"].to_numpy()
    meanings = {}
    for m in MODALITIES:
        files = [str(table.path(name)) for name in frame[m]]
        rows, _ = prepare_rows(_table_of(files, m), translator.reading, None)
        found = [translator.meanings(m, batch.inputs[m]) for batch in loader(rows, BATCH_ROWS)]
        meanings[m] = torch.cat(found)
    numbers: dict[str, Any] = {"rows": len(frame)}
    for m in MODALITIES:
        order, _ = nearest(meanings[other(m)], meanings[m], len(frame))
        same = labels[order.numpy()] == labels[:, None]
        rank = np.where(same.any(1), same.argmax(1) + 1, len(frame))
        recall = {f"recall@{k}": distances.share(rank <= k) for k in RECALLS}
        numbers[f"{m} to {other(m)}"] = {**recall, "mean_rank": float(rank.mean())}
    return numbers


def _table_of(files: Sequence[str], modality: str) -> Table:
    """Builds a table of one column of files."""
    columns = dict.fromkeys(("image", "audio", "label", "split", "group", "time", "image_mask", "audio_mask"), "")
    frame = pd.DataFrame({**columns, modality: list(files)}, index=range(1, len(files) + 1))
    return Table("files", Path(), frame.assign(row=frame.index))


def _features(translator: Translator, modality: str, files: Sequence[str]) -> Tensor:
    """Computes standardised features of files, as flat vectors (n, numbers)."""
    network = translator.network
    rows, _ = prepare_rows(_table_of(files, modality), translator.reading, None)
    with torch.inference_mode():
        found = [
            network.standardize[modality](network.features[modality](batch.inputs[modality]))
            for batch in loader(rows, BATCH_ROWS)
        ]
    return torch.cat(found).flatten(1)


def _complete(table: Table, split: str, judge: Classifier) -> pd.DataFrame:
    """Returns the rows of a split that have both modalities and a class of the evaluator."""
    frame = table.part(split).frame
    frame = frame[(frame[list(MODALITIES)] != "").all(axis=1)]
    if not len(frame):
        raise TableError(
            f"{table.name}: no {split} row has an image and a sound. A split column says which rows are which."
        )
    strange = sorted(set(frame["label"]) - set(judge.classes_.tolist()))
    if strange:
        raise TableError(
            f"{table.name}: the judge does not know the class {strange[0]!r}; it knows {', '.join(judge.classes_)}."
        )
    return frame


def _target(judge: Classifier, frame: pd.DataFrame) -> NDArray[np.int64]:
    number = {label: i for i, label in enumerate(judge.classes_.tolist())}
    return np.array([number[label] for label in frame["label"]])
