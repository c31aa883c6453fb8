"""The trials of encoders: on which rows they are trained and measured, and when the small network's is over."""

from pathlib import Path

import pandas as pd
import pytest
import torch

import sightsound as ss
from sightsound.data.table import read_table
from sightsound.network.build import check_parts
from sightsound.training import encoder_trials
from sightsound.training.encoder_choice import in_words
from sightsound.training.encoder_trials import Candidate, Race, Trials, _alone
from sightsound.training.prepare import prepare
from sightsound.training.stage import F1

RIVAL = Candidate("image", "lite0", True, 0.89, standard_error=0.02, training_rows=9, parameters=3000)


def test_a_race_is_decided_when_nothing_can_change_it() -> None:
    def ended(*scores: float, of: int = 9) -> tuple[int, str]:
        race = Race(RIVAL, of)
        for number, score in enumerate(scores, 1):
            if race.after_epoch(torch.nn.Identity(), {F1: score}):
                return number, race.ended
        return 0, race.ended

    assert ended(0.5, 0.8, 0.912, 0.95) == (3, "ended early, better than lite0 after 3 of 9 epochs")
    # at the end: 0.31 + 5 * 0.11 / 2
    assert ended(0.1, 0.2, 0.3, 0.31, 0.31) == (4, "ended early, too far behind lite0 after 4 of 9 epochs")
    assert ended(0.1, 0.1, 0.1, of=10) == (0, "")  # too early
    assert ended(0.2, 0.5, 0.78, 0.85, 0.88) == (0, "")  # it rises: 0.78 after 0.2 may become anything
    assert ended(0.88, 0.1, 0.1, 0.1) == (0, "")  # the best epoch counts
    assert ended(0.1, of=1) == ended(0.99, of=1) == (1, "")  # which was its end in any case
    in_a_fold = Race(RIVAL, 9, to_win=False)
    assert not any(in_a_fold.after_epoch(torch.nn.Identity(), {F1: score}) for score in (0.5, 0.99, 1.0))


def test_the_rows_of_a_trial_keep_split_and_classes(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.read_csv(table)
    frame.loc[0, "image"] = ""
    frame.loc[len(frame) - 1, "label"] = "rare"
    frame["split"] = ["test" if i % 5 == 0 else "val" if i % 5 == 1 else "train" for i in range(len(frame))]
    frame.to_csv(table, index=False)
    config = ss.Config(image=ss.ImageConfig(encoder="resnet"), audio=ss.AudioConfig(encoder="convnet"))
    prepared = prepare(read_table(table, config.columns), config, tmp_path)
    trials = Trials("image", read_table(table, config.columns), config, prepared, tmp_path)
    monkeypatch.setattr(encoder_trials, "FEW_ROWS", 1)
    [every] = [part.frame for part in trials._parts(False)[1]]
    few = trials._some(every, 8).frame
    assert few["split"].value_counts().to_dict() == {"val": 12, "train": 8} and set(few["label"]) == set(frame["label"])
    assert len(every) == (frame["split"] != "test").sum()
    assert (every.set_index("row")["split"] == frame["split"].loc[every["row"] - 1].to_numpy()).all()
    assert (every["image"] != "").all() and trials._some(every, 8).frame.equals(few)


def test_few_validation_rows_are_helped_by_the_training_rows(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.read_csv(table)
    frame["split"] = ["test" if i % 5 == 0 else "val" if i % 5 == 1 else "train" for i in range(len(frame))]
    frame["group"] = [f"g{i // 2}" if i < 20 else "" for i in range(len(frame))]
    frame.loc[frame.index[-2:], "label"] = "rare"  # two rows, in two folds at most
    frame.to_csv(table, index=False)
    config = ss.Config(image=ss.ImageConfig(encoder="resnet"), audio=ss.AudioConfig(encoder="convnet"))
    prepared = prepare(read_table(table, config.columns), config, tmp_path)
    trials = Trials("image", read_table(table, config.columns), config, prepared, tmp_path)
    folds = [part.frame.set_index("row") for part in trials._parts(True)[1]]
    held = [fold.index[fold["split"] == "val"].tolist() for fold in folds]
    learned = [fold.index[fold["split"] == "train"].tolist() for fold in folds]
    known = set(frame.index[frame["split"] != "test"] + 1)
    assert len(folds) == 3 and len(set().union(*held)) == sum(map(len, held)) <= len(known)
    assert set().union(*held) | {len(frame), len(frame) - 1} >= known
    for of, others, fold in zip(held, learned, folds, strict=True):
        assert not set(of) & set(others) and set(of) | set(others) <= known and 0.2 < len(of) / len(known) < 0.5
        groups = fold["group"].where(fold["group"] != "")
        assert (groups.groupby(groups).agg(lambda of, splits=fold["split"]: splits.loc[of.index].nunique()) == 1).all()
        assert set(fold["label"][of]) <= set(fold["label"][others])
    again = trials._parts(True)[1]
    assert all(part.frame.equals(same.frame) for part, same in zip(trials._parts(True)[1], again, strict=True))
    monkeypatch.setattr(encoder_trials, "TRAINING_ROWS", 5)
    assert len(trials._parts(False)[1]) == 1 and len(trials._parts(True)[1][0].part("train").frame) < len(known)


def test_each_row_is_answered_by_a_network_that_has_not_learned_from_it(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that say nothing of their labels: whoever were measured on rows that it learned from would be above."""
    frame = pd.read_csv(table)
    frame["label"] = frame["label"].sample(frac=1, random_state=0).to_numpy()
    frame["split"] = ["val" if i % 6 == 1 else "train" for i in range(len(frame))]
    frame.to_csv(table, index=False)
    config = ss.Config(image=ss.ImageConfig(encoder="resnet"), audio=ss.AudioConfig(encoder="convnet"), epochs=20)
    prepared = prepare(read_table(table, config.columns), config, tmp_path)
    trials = Trials("audio", read_table(table, config.columns), config, prepared, tmp_path / "trials")
    one = trials.result_of(Candidate("audio", "speech", True), None)
    assert one.folds == 3 and one.validation_rows == len(frame) and one.training_rows == round(len(frame) * 2 / 3)
    assert one.macro_f1 < 0.6 and 0 < one.standard_error < 0.2
    said = in_words("audio", [one._replace(chosen=True)])
    assert f"on {len(frame)} rows, by cross-validation)" in said


def test_options_of_one_modality_s_encoder_leave_the_choice_of_the_other_s(tmp_path: Path) -> None:
    config = ss.Config(image=ss.ImageConfig(encoder="resnet", encoder_options={"width": 8}))
    alone = _alone(config, "audio", ss.AudioConfig(encoder="convnet"))
    assert alone.modalities == ("audio",) and alone.image.encoder_options == {}
    check_parts(alone)
