"""A robustness study as typed: what is missing, damaged, contradictory; stopped and gone on with."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sightsound.data.dataset import Rows
from sightsound.inference.subsets import answer_rows
from sightsound.missing import IMPUTERS
from sightsound.modalities.audio import bursts
from sightsound.modalities.base import modality as modality_of
from sightsound.modalities.corruptions import AUDIO, IMAGE
from sightsound.studies.robustness.conditions import (
    EITHER,
    Condition,
    Decoded,
    lose_parts,
    with_missing,
)
from sightsound.studies.robustness.curves import curves
from sightsound.studies.robustness.measure import Measurement
from sightsound.studies.robustness.study import LOST_SHARES, RobustnessOptions, decoded_rows, run_robustness

FEW = 9  # rows: three of each class


@pytest.fixture(scope="module")
def studied(trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    import sightsound as ss

    run = tmp_path_factory.mktemp("robust") / "run"
    options = RobustnessOptions(rows=FEW)
    ss.robustness(trained[1] / "bundle", trained[0], options=options, out=run, say=lambda line: None)
    return pd.read_csv(run / "robustness.csv", keep_default_na=False), run


def of(frame: pd.DataFrame, kind: str, modality: str = "", level: float = 0.0, policy: str = "") -> pd.Series:
    same = (frame["kind"] == kind) & (frame["modality"] == modality) & (frame["policy"] == policy)
    [row] = frame[same & np.isclose(frame["level"], level)].iloc
    return row


def test_all_conditions_are_there(studied: tuple[pd.DataFrame, Path]) -> None:
    frame, _ = studied
    policies = 1 + len(IMPUTERS)
    assert len(frame) == 1 + 2 * 3 * 10 * policies + 1 + 2 * 3 * len(LOST_SHARES) + 5 * (len(IMAGE) + len(AUDIO))
    assert frame[["accuracy", "macro_f1"]].apply(pd.to_numeric).stack().between(0, 1).all()


def test_damage_hurts(studied: tuple[pd.DataFrame, Path]) -> None:
    frame, _ = studied
    assert of(frame, "clean")["accuracy"] > 0.9
    for m, known in (("image", IMAGE), ("audio", AUDIO)):
        worst = [float(of(frame, kind, m, 5)["unimodal"]) for kind in known]
        assert min(worst) < 0.7 and np.mean(worst) < 0.97 * float(of(frame, "clean")["accuracy"])
    assert (
        float(of(frame, "contradiction", "audio", 1)["disagreement"])
        > 0.3
        > 0.1
        > float(of(frame, "clean")["disagreement"])
    )


def test_all_images_missing_is_the_sound_alone(studied: tuple[pd.DataFrame, Path], trained: tuple[Path, Path]) -> None:
    import sightsound as ss

    metrics = ss.load(trained[1] / "bundle").evaluate(trained[0])["subsets"]
    for m, other in (("image", "audio"), ("audio", "image")):
        assert of(studied[0], "missing", m, 1.0, "ignore")["accuracy"] == pytest.approx(metrics[other]["accuracy"])


def test_a_gain_is_over_ignoring_what_is_missing(studied: tuple[pd.DataFrame, Path]) -> None:
    frame = studied[0]
    for kind, modality, policy in (("missing", "image", "predict"), ("dead pixels", "image", "linear")):
        one, ignored = (of(frame, kind, modality, 0.7, name) for name in (policy, "ignore"))
        assert float(one["gain"]) == pytest.approx(one["accuracy"] - ignored["accuracy"])
        assert float(one["gain_low"]) <= float(one["gain"]) <= float(one["gain_high"]) and ignored["gain"] == ""
    clean = of(frame, "clean")
    assert float(clean["low"]) <= clean["accuracy"] <= float(clean["high"])


def test_filling_in_and_interpolating_help(studied: tuple[pd.DataFrame, Path]) -> None:
    frame, _ = studied
    chance = 1 / 3
    for m in ("image", "audio"):
        assert of(frame, "missing", m, 1.0, "predict")["accuracy"] > 2 * chance
    lost = [of(frame, "dead pixels", "image", 0.7, policy)["unimodal"] for policy in ("ignore", "linear", "gaussian")]
    assert min(map(float, lost[1:])) >= float(lost[0])


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_worker_processes_interpolate_the_same(
    modality: str, trained: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sightsound as ss

    classifier = ss.load(trained[1] / "bundle")
    rows, _, _ = classifier.labelled_rows(trained[0])
    decoded, _ = decoded_rows(classifier, rows, RobustnessOptions(rows=8))
    options, kind = getattr(classifier.config, modality), modality_of(modality).lost_part
    found = []
    for enough in (1000, 1):
        monkeypatch.setattr("sightsound.studies.robustness.conditions.WORTH_PROCESSES", enough)
        changed = lose_parts(decoded, Condition(kind, modality, 0.3, "gaussian"), options, np.random.default_rng(0))
        store = changed.stores[modality]
        found.append(store.values[torch.arange(len(store.values))])
    torch.testing.assert_close(*found, rtol=0, atol=0)
    before = decoded.rows.stores[modality]
    assert not torch.equal(found[0], before.values[torch.arange(len(before.values))])


def test_bursts_by_hand() -> None:
    lost = bursts(8000, 80, 0.3, np.random.default_rng(0))
    assert lost.sum() == 2400 and len(lost) == 8000
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    runs = edges[1::2] - edges[::2]
    assert (runs % 80 == 0).all() and np.median(runs) >= 400
    assert bursts(8001, 80, 1.0, np.random.default_rng(0)).all()


def test_the_report_needs_no_network(studied: tuple[pd.DataFrame, Path]) -> None:
    page = (studied[1] / "robustness.html").read_text()
    assert page.count('<figure class="chart') == 6 + 2 + len(IMAGE) + len(AUDIO) and "contradict each other" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "src=" not in page


def test_a_study_that_was_cut_off_goes_on(
    studied: tuple[pd.DataFrame, Path], trained: tuple[Path, Path], typed, tmp_path: Path
) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(studied[1], run)
    lines = (run / "conditions.jsonl").read_text().splitlines(keepends=True)
    missing = sum("missing" in line for line in lines)
    kept = lines[:100] + lines[missing:-40]  # anew: most of what is missing, and the last corruptions
    (run / "conditions.jsonl").write_text("".join(kept) + lines[-40][:20])
    arguments = ("robustness", trained[1] / "bundle", trained[0], "--rows", FEW, "--out", run)
    assert "--resume" in typed(*arguments).err
    done = typed(*arguments, "--resume")
    assert done.code == 0, done.err
    assert f"{len(kept)} of {len(lines)} conditions are measured already." in done.out and "effective" in done.out
    pd.testing.assert_frame_equal(pd.read_csv(run / "robustness.csv", keep_default_na=False), studied[0])
    assert f"{len(lines)} of {len(lines)} conditions are measured already." in typed(*arguments, "--resume").out
    other = typed(*arguments, "--resume", "--rows", 10)
    assert other.code == 1 and "rows differ" in other.err


def test_one_row_contradicts_nothing(trained: tuple[Path, Path], typed, tmp_path: Path) -> None:
    frame = pd.read_csv(trained[0]).head(1)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    frame.to_csv(tmp_path / "t.csv", index=False)
    done = typed("robustness", trained[1] / "bundle", tmp_path / "t.csv", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "All rows are of one class" in done.out
    assert "contradict each other" not in (tmp_path / "run" / "robustness.html").read_text()


def test_wrong_tables(trained: tuple[Path, Path], typed, tmp_path: Path) -> None:
    bundle, frame = trained[1] / "bundle", pd.read_csv(trained[0])
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    lonely = frame.assign(audio="")
    lonely.to_csv(tmp_path / "lonely.csv", index=False)
    done = typed("robustness", bundle, tmp_path / "lonely.csv", "--out", tmp_path / "a")
    assert done.code == 1 and "no row has image and audio" in done.err and not (tmp_path / "a").exists()
    frame.loc[3, "image"] = "gone.png"
    frame.to_csv(tmp_path / "broken.csv", index=False)
    done = typed("robustness", bundle, tmp_path / "broken.csv", "--out", tmp_path / "b")
    assert done.code == 1 and "row 4" in done.err and "--on-bad-file skip" in done.err
    assert typed("robustness", bundle, trained[0], "--rows", 0).code == 1


def test_missing_by_class_takes_the_first_classes_first() -> None:
    target = np.array([2, 0, 1, 0, 2, 1] * 10)
    clean, seen, heard = (np.full(60, c) for c in range(3))
    without = {"image": heard, "audio": seen}
    rng = np.random.default_rng(0)
    answers = with_missing(clean, without, Condition("missing by class", "image", 1 / 3), target, rng)
    assert answers.tolist() == [0, 2, 0, 2, 0, 0] * 10  # the rows of class 0 are answered by the sound
    answers = with_missing(clean, without, Condition("missing", EITHER, 1.0), target, rng)
    assert set(answers.tolist()) == {1, 2}


def test_robustness_by_hand() -> None:
    found = [Measurement(Condition("clean"), 0.9, 0.9, 0.8, None, None)]
    found += [
        Measurement(Condition("blur", "image", s), 0.9 - 0.1 * s, 0.0, 0.8 - 0.12 * s, 0.5, None) for s in range(1, 6)
    ]
    [curve] = curves(found, {"image": 0.7})
    assert curve.accuracy == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]) and curve.unimodal == [0.7, *[0.5] * 5]
    assert curve.relative == pytest.approx(0.65)
    assert curve.effective == pytest.approx(0.3 - 0.25)  # late fusion loses 0.12 a step, 0.3 on average
    assert json.loads(json.dumps(found[0]))[0] == ["clean", "", 0.0, ""]


def test_late_fusion_is_the_mean_of_the_modalities(
    studied: tuple[pd.DataFrame, Path], trained: tuple[Path, Path]
) -> None:
    import sightsound as ss

    classifier = ss.load(trained[1] / "bundle")
    rows, _, _ = classifier.labelled_rows(trained[0])
    decoded, _ = decoded_rows(classifier, rows, RobustnessOptions())
    said = answer_rows(classifier.network, decoded.rows, decoded.numbers).probabilities
    mean = said[("image",)] / 2 + said[("audio",)] / 2
    clean = of(studied[0], "clean")
    assert clean["late"] == pytest.approx((mean.argmax(1) == decoded.target).mean())
    lost = of(studied[0], "missing", "image", 1.0, "predict")
    assert lost["late"] == pytest.approx((said[("audio",)].argmax(1) == decoded.target).mean())
    half = of(studied[0], "missing", "image", 0.5, "ignore")
    assert min(clean["late"], lost["late"]) <= half["late"] <= max(clean["late"], lost["late"])


def test_the_seed_draws_the_rows_and_the_damage(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sightsound as ss
    from sightsound.studies.robustness import measure

    found: list[tuple[list[int], float]] = []

    def noted(decoded: Decoded, condition: Condition, rate_hz: int, rng: np.random.Generator) -> Rows:
        found.append((decoded.numbers.tolist(), float(rng.random())))
        return decoded.rows

    wanted = [Condition("clean"), Condition("white-noise", "audio", 3)]
    monkeypatch.setattr("sightsound.studies.robustness.study.conditions", lambda *_: wanted)
    monkeypatch.setattr(measure, "corrupt", noted)
    classifier = ss.load(trained[1] / "bundle")
    for number, seed in enumerate((0, 0, 1)):
        options, run = RobustnessOptions(rows=8, seed=seed), tmp_path / f"{number}"
        run_robustness(classifier, trained[0], options, run, False, lambda line: None)
    first, again, other = found
    assert first == again and first[0] != other[0] and first[1] != other[1]
