"""A classifier of images and sounds as a scikit-learn estimator: X is a DataFrame of paths, y the labels.

(X, y) -> table -> `train` -> `Classifier.predict_proba` -> (rows, C). It works in pipelines and searches.
"""

from __future__ import annotations

import dataclasses
import numbers
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_is_fitted

from sightsound.api import train
from sightsound.classifier import Classifier
from sightsound.config import AudioConfig, AugmentConfig, ColumnsConfig, Config, ImageConfig, MissingConfig, check_names
from sightsound.config.given import with_options
from sightsound.data import cells
from sightsound.data.frames import columns_by_name, warn_of_missing, with_row_numbers
from sightsound.errors import ConfigError, InputError
from sightsound.modalities.base import MODALITIES
from sightsound.progress import Say, hidden
from sightsound.training.run import run_training
from sightsound.types import Prediction

DEFAULT = Config()
SECTIONS: dict[str, type[Any]] = {
    f.name: type(getattr(DEFAULT, f.name))
    for f in dataclasses.fields(Config)
    if dataclasses.is_dataclass(getattr(DEFAULT, f.name))
}
Section = Mapping[str, Any] | None


class SightsoundEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Trains and uses a classifier by the conventions of scikit-learn.

    `fit(X, y)` takes a DataFrame with the columns image and audio (paths, or bytes; relative to the current folder; an
    empty one is missing), and where there are such group, split and time, as any table of `train`. Without the column
    split, all rows train but those that are drawn to validate (15 %; whole groups).

    Args:
        fusion: the strategy. This and all parameters up to `accelerator` are the options of `Config`, by their names.
        image: options of a section in part, as a dict, or all as a dataclass; one of them in a search is called
            image__height. So are audio, columns, augment, missing and fusion_options.
        random_state: the seed of `Config`; None, or a generator of numpy: drawn at each `fit`.
        out: a new run folder for the bundle, the report and the logs; None: a temporary one, which is removed. Leave it
            None in searches, whose fits would all need the same folder.
        say: called with each line about what happens, such as print, and there are progress bars; None: quiet.

    Attributes:
        classes_: (C,) the labels, sorted, of the type of y.
        classifier_: the trained `Classifier`, to save it or to predict single files.
        notes_: sentences about what was noticed in X, such as files that are twice in it.
        feature_names_in_: the columns of X that hold files.
        n_features_in_: how many these are.
    """

    def __init__(
        self,
        fusion: str = DEFAULT.fusion,
        *,
        fusion_options: dict[str, Any] | None = None,
        modalities: tuple[str, ...] = DEFAULT.modalities,
        plugins: tuple[str, ...] = DEFAULT.plugins,
        image: Section | ImageConfig = None,
        audio: Section | AudioConfig = None,
        columns: Section | ColumnsConfig = None,
        augment: Section | AugmentConfig = None,
        missing: Section | str | MissingConfig = None,
        on_bad_file: str = DEFAULT.on_bad_file,
        group_split: bool = DEFAULT.group_split,
        schedule: str = DEFAULT.schedule,
        balance: str = DEFAULT.balance,
        class_weights: str | dict[str, float] = DEFAULT.class_weights,
        logit_adjustment: str | float = DEFAULT.logit_adjustment,
        class_recall: dict[str, float] | None = None,
        class_precision: dict[str, float] | None = None,
        guard: str | bool = DEFAULT.guard,
        epochs: int | None = DEFAULT.epochs,
        patience: int = DEFAULT.patience,
        batch_size: int = DEFAULT.batch_size,
        learning_rate: float = DEFAULT.learning_rate,
        weight_decay: float = DEFAULT.weight_decay,
        modality_dropout: float = DEFAULT.modality_dropout,
        precision: str = DEFAULT.precision,
        accelerator: str = DEFAULT.accelerator,
        random_state: int | np.random.RandomState | None = DEFAULT.seed,
        out: str | Path | None = None,
        say: Say | None = None,
    ) -> None:
        self.fusion = fusion
        self.modalities = modalities
        self.plugins = plugins
        self.image = image
        self.audio = audio
        self.columns = columns
        self.augment = augment
        self.missing = missing
        self.on_bad_file = on_bad_file
        self.group_split = group_split
        self.fusion_options = fusion_options
        self.schedule = schedule
        self.balance = balance
        self.class_weights = class_weights
        self.logit_adjustment = logit_adjustment
        self.class_recall = class_recall
        self.class_precision = class_precision
        self.guard = guard
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.modality_dropout = modality_dropout
        self.precision = precision
        self.accelerator = accelerator
        self.random_state = random_state
        self.out = out
        self.say = say

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All parameters by name; `deep`: those within sections too, as image__height."""
        found: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for section, kind in SECTIONS.items():
                values = {f.name: getattr(getattr(DEFAULT, section), f.name) for f in dataclasses.fields(kind)}
                values |= {name: value for name, value in _given(found[section]).items() if name in values}
                found |= {f"{section}__{name}": value for name, value in values.items()}
            found |= {f"fusion_options__{name}": value for name, value in _given(self.fusion_options).items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Sets parameters by name; one within a section as image__height=64, which leaves the others there as they are.

        Raises:
            ValueError: there is no such parameter; InputError, which is one, for one within a section.
        """
        within: dict[str, dict[str, Any]] = {}
        for name in list(params):
            section, found, option = name.partition("__")
            if found and section in (*SECTIONS, "fusion_options"):  # the strategy checks its options itself
                within.setdefault(section, {})[option] = params.pop(name)
        try:
            for section in SECTIONS.keys() & within.keys():
                check_names(SECTIONS[section], within[section], f"{section}__")
        except ConfigError as error:
            raise InputError(str(error)) from error
        super().set_params(**params)
        for section, values in within.items():
            setattr(self, section, _given(getattr(self, section)) | values)
        return self

    def fit(self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None) -> Self:  # noqa: N803
        """Trains on all rows.

        Args:
            X: (rows, columns) as the class says; a column of labels is not read.
            y: (rows,) labels: texts, whole numbers or truth values.
            groups: (rows,) rows of one group never end up on both sides of the split into training and validation rows;
                in place of the column group.

        Raises:
            InputError: X is no DataFrame, y no labels, or they do not fit each other; a ValueError.
            SightsoundError: something else that you can mend; the message says how.
        """
        classes, labels = self._labels(y)
        config, frame = self._config(), with_row_numbers(X)
        check_consistent_length(X, y, groups)
        names = config.columns
        frame = frame.drop(columns=columns_by_name(frame, names.label)).assign(**{names.label: labels})
        if groups is not None:
            given = column_or_1d(groups)
            frame = frame.drop(columns=columns_by_name(frame, names.group)).assign(**{names.group: given})
        if not columns_by_name(frame, names.split) and not config.group_split:
            frame[names.split] = "train"
        self.notes_: list[str] = []
        warn_of_missing(frame, [getattr(names, m) for m in config.modalities], "the classifier is trained without it")
        with self._quiet():
            self.classifier_ = self._trained(frame, config)
        self.classes_ = classes
        self._places = [_texts(classes).index(name) for name in self.classifier_.classes_.tolist()]
        files = [column for m in config.modalities for column in columns_by_name(frame, getattr(names, m))]
        self.feature_names_in_ = np.array([column for column in frame if column in files], dtype=object)
        self.n_features_in_ = len(files)
        return self

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:  # noqa: N803
        """(rows,) the label of each row of a DataFrame: the most probable one, unless the options say otherwise.

        Arguments and errors as of `predict_proba`.
        """
        most = self.predict_proba(X).argmax(axis=1)
        if self.classifier_.network.decision:
            with self._quiet():
                rows = self.classifier_.rows_to_predict(with_row_numbers(X))
                said = {row: one for part in self.classifier_.predict_parts(rows) for row, one in part.items()}
            names = _texts(self.classes_)
            most = np.array([names.index(cast(Prediction, said[row]).label) for row in sorted(said)])
        predicted: NDArray[Any] = self.classes_[most]
        return predicted

    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:  # noqa: N803
        """(rows, C) the probability of each of `classes_`, for each row of a DataFrame.

        Args:
            X: as of `fit`; one column of files is enough, and group and time matter only to policies that use them.

        Raises:
            NotFittedError: before `fit`.
            TableError: a row or a file cannot be used, whatever `on_bad_file` says; the message lists all of them.
        """
        check_is_fitted(self, "classifier_")
        frame = with_row_numbers(X)
        warn_of_missing(frame, self.feature_names_in_, "all rows are predicted without it")
        with self._quiet():
            found = self.classifier_.predict_proba(frame)
        every = np.zeros((len(found), len(self.classes_)))
        every[:, self._places] = found  # a class whose rows were all left out is in `classes_` alone
        return every

    def _trained(self, frame: pd.DataFrame, config: Config) -> Classifier:
        def note(line: str) -> None:
            if line.startswith("Note: "):
                self.notes_.append(line.removeprefix("Note: "))
            if self.say is not None:
                self.say(line)

        if self.out is not None:
            return train(frame, config=config, out=self.out, say=note)
        with tempfile.TemporaryDirectory(prefix="sightsound-") as folder:
            return run_training(frame, config, Path(folder) / "run", False, note)

    def _config(self) -> Config:
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(Config) if f.name != "seed"}
        given = {name: value for name, value in options.items() if value is not None or getattr(DEFAULT, name) is None}
        for name in ("class_weights", "class_recall", "class_precision"):
            if isinstance(given.get(name), dict):  # classes of y, which may be numbers
                given[name] = {cells.texts([label])[0]: value for label, value in given[name].items()}
        state: Any = self.random_state
        if not isinstance(state, numbers.Integral):
            state = check_random_state(state).randint(2**31 - 1)
        return with_options(None, given | {"seed": int(state)})

    def _labels(self, y: ArrayLike) -> tuple[NDArray[Any], list[str]]:
        """The classes, and for each row the name of its class in the table."""
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        given = column_or_1d(y, warn=True)
        assert_all_finite(given, input_name="y")
        check_classification_targets(given)
        classes, places = np.unique(given, return_inverse=True)
        names = _texts(classes)
        if len(names) < 2:
            raise InputError(f"Every row has the label {names[0]!r}; a classifier needs two classes or more.")
        if "" in names or len(set(names)) < len(names):
            raise InputError(
                f"y has classes that a table cannot tell apart, or from an empty one: {', '.join(map(repr, names))}"
            )
        return classes, [names[place] for place in places]

    def _quiet(self) -> AbstractContextManager[None]:
        return hidden() if self.say is None else nullcontext()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # of numbers
        tags.input_tags.string = tags.input_tags.allow_nan = True
        return tags


def _given(section: Any) -> dict[str, Any]:
    """What is given of a section's options."""
    if isinstance(section, str):
        section = dict.fromkeys(MODALITIES, section)
    if dataclasses.is_dataclass(section):
        return {f.name: getattr(section, f.name) for f in dataclasses.fields(section)}
    return dict(section) if isinstance(section, Mapping) else {}


def _texts(classes: NDArray[Any]) -> list[str]:
    return cells.texts(classes.tolist())
