"""The estimator keeps scikit-learn's conventions, alone and in its pipelines and searches."""

import dataclasses
import inspect
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

import sightsound as ss
from sightsound.errors import ConfigError, InputError, TableError
from sightsound.estimator import SECTIONS
from tests.conftest import write_table

CHECKS = [  # of those of scikit-learn all that need no table of numbers
    "check_classifiers_one_label",
    "check_classifiers_regression_target",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_tag",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_requires_y_none",
    "check_set_params",
    "check_supervised_y_no_nan",
    "check_valid_tag_types",
]
SHORT = {"epochs": 2, "batch_size": 16, "learning_rate": 0.02, "accelerator": "cpu"}
NUMBERS = {"low": 2, "middle": 10, "high": 1}  # in another order than as texts


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """48 rows, in another order than their numbers, with absolute paths; the label is a number."""
    file = write_table(tmp_path_factory.mktemp("data"), rows_per_class=16)
    frame = pd.read_csv(file).sample(frac=1, random_state=0)
    for m in ("image", "audio"):
        frame[m] = [str(file.parent / name) for name in frame[m]]
    return frame.assign(label=frame["label"].map(NUMBERS))


@pytest.fixture(scope="module")
def fitted(table: pd.DataFrame) -> ss.SightsoundEstimator:
    return ss.SightsoundEstimator(**{**SHORT, "epochs": 8}).fit(table, table["label"])


@pytest.mark.parametrize("name", CHECKS)
def test_scikit_learns_own_checks(name: str) -> None:
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip("this version of scikit-learn has no such check")
    check("SightsoundEstimator", ss.SightsoundEstimator())


def test_every_option_of_a_training_is_a_parameter_with_its_default() -> None:
    parameters = inspect.signature(ss.SightsoundEstimator).parameters
    options = {f.name: getattr(ss.Config(), f.name) for f in dataclasses.fields(ss.Config)}
    assert options.pop("seed") == parameters["random_state"].default
    mappings = (*SECTIONS, "fusion_options", "class_recall", "class_precision")
    assert {name: None if name in mappings else value for name, value in options.items()} == {
        name: parameters[name].default for name in options
    }
    assert set(parameters) - set(options) == {"random_state", "out", "say"}


def test_options_within_sections() -> None:
    estimator = ss.SightsoundEstimator(image={"height": 8}, missing="drop", audio=ss.AudioConfig(mel_bins=20))
    found = estimator.get_params()
    assert found["image"] == {"height": 8} and found["image__height"] == 8 and found["image__encoder"] == "auto"
    assert found["missing__audio"] == "drop" and found["audio__mel_bins"] == 20 and found["augment__mixup"] == 0
    same = clone(estimator).set_params(image__width=9, audio__hop_ms=5.0, missing__image="mean", epochs=3)
    assert same.image == {"height": 8, "width": 9} and estimator.image == {"height": 8} and same.epochs == 3
    assert same.get_params()["audio__mel_bins"] == 20 and same.get_params()["audio__hop_ms"] == 5
    assert same.missing == {"image": "mean", "audio": "drop"}
    for name in ("image__heigth", "heigth"):
        with pytest.raises(ValueError, match="heigth"):
            estimator.set_params(**{name: 3})
    assert "image__height" not in estimator.get_params(deep=False)
    assert repr(ss.SightsoundEstimator("vote", epochs=3)) == "SightsoundEstimator(epochs=3, fusion='vote')"


def test_labels_are_those_of_y(fitted: ss.SightsoundEstimator, table: pd.DataFrame) -> None:
    assert fitted.classes_.tolist() == [1, 2, 10] and fitted.classes_.dtype == table["label"].dtype
    assert fitted.classifier_.classes_.tolist() == ["1", "10", "2"]
    found = fitted.predict_proba(table)
    assert found.shape == (48, 3) and found.sum(axis=1) == pytest.approx(1)
    assert (fitted.predict(table) == fitted.classes_[found.argmax(axis=1)]).all()
    assert fitted.score(table, table["label"]) > 0.6  # which wrong columns would not reach
    first = table.iloc[0]
    alone = fitted.classifier_.predict(image=first["image"], audio=first["audio"]).probabilities
    assert found[0] == pytest.approx([alone["1"], alone["2"], alone["10"]], abs=1e-5)
    assert fitted.feature_names_in_.tolist() == ["image", "audio"] and fitted.n_features_in_ == 2
    np.testing.assert_allclose(fitted.predict_proba(table[["audio", "image"]][5:9]), found[5:9], atol=1e-6)
    assert fitted.predict(table[["audio"]]).shape == (48,)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(table), found)


def test_a_fit_is_quiet_leaves_nothing_and_is_the_same_each_time(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    estimator = ss.SightsoundEstimator(**SHORT)
    before, given = estimator.get_params(), table.copy()
    with pytest.raises(NotFittedError):
        estimator.predict(table)
    first = estimator.fit(table, table["label"]).predict_proba(table)
    again = estimator.fit(table.drop(columns="label"), table["label"].to_numpy()).predict_proba(table)
    np.testing.assert_array_equal(first, again)
    assert estimator.get_params() == before and table.equals(given)
    left = [path.name for path in tmp_path.iterdir()]
    assert all(name.startswith("torchinductor_") for name in left), left  # torch's own, of its first training
    assert capfd.readouterr() == ("", "")


def test_groups_are_not_cut_and_a_folder_is_kept(table: pd.DataFrame, tmp_path: Path) -> None:
    groups = np.arange(len(table)) % 7
    lines: list[str] = []
    drawn = []
    given = table.assign(times=0)
    for number, frame in enumerate((given, given.assign(Group=groups))):
        run = tmp_path / f"{number}"
        state = np.random.RandomState(5)
        estimator = ss.SightsoundEstimator(**SHORT, out=run, say=lines.append, random_state=state)
        estimator.fit(frame, frame["label"], groups=None if number else groups)
        splits = pd.read_csv(run / "splits.csv")
        drawn.append(splits["split"].tolist())
        of_split = splits.groupby("split")["row"].apply(lambda rows: set(groups[rows - 1]))
        assert set(of_split.index) == {"train", "val"} and not of_split["train"] & of_split["val"]
        assert (run / "report.html").exists() and f"Bundle: {run / 'bundle'}" in "".join(lines)
        assert estimator.classifier_.config.seed == np.random.RandomState(5).randint(2**31 - 1)
    assert drawn[0] == drawn[1]
    assert any("'times' is not used" in note for note in estimator.notes_)
    with pytest.raises(ss.RunError, match="there already"):
        estimator.fit(table, table["label"])


def test_cross_validation_and_a_search_over_a_pipeline(table: pd.DataFrame) -> None:
    labels, groups = table["label"].map(str), np.arange(len(table)) % 6
    frame = table.rename(columns={"image": "photo"}).drop(columns="label").assign(group=groups)
    estimator = ss.SightsoundEstimator(**SHORT, columns={"image": "photo"})
    scores = cross_val_score(estimator, frame, labels, groups=groups, cv=GroupKFold(2), error_score="raise")
    assert scores.shape == (2,)
    pipeline = Pipeline(
        [
            ("rename", FunctionTransformer(lambda given: given.rename(columns={"photo": "image"}))),
            ("classify", ss.SightsoundEstimator(**SHORT)),
        ]
    )
    grid = [{"classify__fusion": ["vote", "average"], "classify__epochs": [1]}, {"classify__image__height": [8]}]
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise", scoring="neg_log_loss").fit(frame, labels)
    assert len(search.cv_results_["params"]) == 3 and np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_["classify"].classifier_.config
    chosen = search.best_params_
    assert best.fusion == chosen.get("classify__fusion", "concat") and best.epochs == chosen.get("classify__epochs", 2)
    assert search.predict(frame).shape == (48,) and set(search.classes_) == {"1", "10", "2"}


def test_what_cannot_be_fitted(table: pd.DataFrame) -> None:
    estimator, labels = ss.SightsoundEstimator(**SHORT), table["label"]
    with pytest.raises(InputError, match="X is a ndarray"):
        estimator.fit(table.to_numpy(), labels)
    with pytest.raises(ValueError, match="inconsistent"):
        estimator.fit(table, labels[1:])
    with pytest.raises(InputError, match="cannot tell apart"):
        estimator.fit(table, ["a", "a "] * 24)
    with pytest.raises(ConfigError, match="image.heigth"):
        ss.SightsoundEstimator(image={"heigth": 3}).fit(table, labels)
    with pytest.raises(TableError, match="no image and no audio column"):
        estimator.fit(table.drop(columns=["image", "audio"]), labels)


def test_what_cannot_be_predicted(fitted: ss.SightsoundEstimator, table: pd.DataFrame) -> None:
    broken = table.copy()
    broken.iloc[2, broken.columns.get_indexer(["image", "audio"])] = ""
    with pytest.raises(TableError, match=r"1 row\(s\).*\n.*row 3"):
        fitted.predict(broken)
    with pytest.raises(InputError, match="X is a list"):
        fitted.predict([["a.png", "b.wav"]])


def test_a_column_that_is_not_there_is_warned_of(fitted: ss.SightsoundEstimator, table: pd.DataFrame) -> None:
    with pytest.warns(UserWarning, match="no column 'image': all rows are predicted without it"):
        fitted.predict(table.rename(columns={"image": "photo"}))
    files = table[["audio"]]
    with pytest.warns(UserWarning, match="no column 'image': the classifier is trained without it"):
        ss.SightsoundEstimator(epochs=1, batch_size=16).fit(files, table["label"])
