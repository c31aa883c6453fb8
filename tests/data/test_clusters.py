"""Rows that belong together: how they are found, resampled and tested; simulations with a known truth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, ttest_1samp

from sightsound.data.clips import cut_into_clips
from sightsound.data.clusters import Clusters, clusters_of, codes_of, lowest_mean, resampled_over
from sightsound.data.table import read_table
from sightsound.inference.metrics import measure
from sightsound.studies.comparison.significance import best_of, clustered_p, compare_to


def recordings(accuracy: float, rng: np.random.Generator, count: int = 100, rows: int = 10) -> np.ndarray:
    """Answers (count * rows,) that are right or wrong nearly as a whole recording is easy or hard."""
    easy = rng.beta(accuracy * 0.5, (1 - accuracy) * 0.5, count)
    return (rng.random((count, rows)) < easy[:, None]).ravel()


OF_TEN = Clusters("audio file", (np.repeat(np.arange(100), 10),))


def found_in(frame: pd.DataFrame, folder: Path) -> Clusters:
    for name in {*frame["image"], *frame["audio"]} - {""}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    frame.to_csv(folder / "table.csv", index=False)
    return clusters_of(read_table(folder / "table.csv"), ("image", "audio"), np.arange(1, len(frame) + 1))


def test_groups_come_first_and_rows_without_one_stand_alone(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": list("abcd"), "audio": list("eeff"), "label": "x", "group": ["s", "t", "s", ""]})
    found = found_in(frame, tmp_path)
    assert found.by == "group" and found.codes[0].tolist() == [0, 1, 0, 2]


def test_else_files_that_several_rows_share_whatever_they_are_called(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": list("abcd"), "audio": ["e", "./e", "f", ""], "label": "x"})
    found = found_in(frame, tmp_path)
    assert found.by == "audio file" and found.codes[0].tolist() == [0, 0, 1, 2]  # what is missing is shared by nobody


def test_files_of_both_modalities_count_unless_one_lies_within_the_other(tmp_path: Path) -> None:
    crossed = pd.DataFrame({"image": list("aabb"), "audio": list("efef"), "label": "x"})
    found = found_in(crossed, tmp_path / "crossed")
    assert found.by == "image file and audio file" and len(found.codes) == 2
    nested = pd.DataFrame({"image": list("aabbcc"), "audio": list("eeeeff"), "label": "x"})
    found = found_in(nested, tmp_path / "nested")
    assert found.by == "audio file"
    alone = pd.DataFrame({"image": list("ab"), "audio": list("ef"), "label": "x"})
    assert found_in(alone, tmp_path / "alone").by == "row"


def drawn_of(clusters: Clusters, seed: int, times: int) -> np.ndarray:
    return np.concatenate(list(clusters.draws(np.random.default_rng(seed), times)))


def test_whole_clusters_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    [drawn] = drawn_of(Clusters("group", (np.array([0, 0, 1, 1, 1]),)), 0, 1)
    assert drawn[0] == drawn[1] and drawn[2] == drawn[3] == drawn[4] and drawn[0] + drawn[2] == 2
    both = Clusters("image file and audio file", (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])))
    for drawn in drawn_of(both, 1, 40):
        assert np.linalg.matrix_rank(drawn.reshape(2, 2)) == 1 and drawn.sum() == 4  # a product of both (Owen, 2007)
    apart = Clusters("image file and audio file", (np.array([0, 1]), np.array([0, 1])))
    assert drawn_of(apart, 0, 40).any(axis=1).all()  # one in eight products is empty, and drawn again
    wanted = np.random.default_rng(3).integers(0, 7, (9, 7))
    drawn = drawn_of(Clusters.of_rows(7), 3, 9)
    assert drawn.tolist() == [np.bincount(one, minlength=7).tolist() for one in wanted]
    monkeypatch.setattr("sightsound.data.clusters.LARGEST_DRAW", 15)  # which changes nothing with one set
    assert (drawn_of(Clusters.of_rows(7), 3, 9) == drawn).all()


def test_a_part_of_the_rows_keeps_its_clusters() -> None:
    part = OF_TEN.at(np.array([0, 1, 995]))
    assert part.by == "audio file" and part.codes[0].tolist() == [0, 0, 1]


def test_codes_number_what_is_equal_and_leave_what_is_empty_alone() -> None:
    assert codes_of(["b", "", "a", "b", ""]).tolist() == [0, 1, 2, 0, 3]


def test_an_interval_covers_the_truth_where_rows_are_repeated() -> None:
    rng = np.random.default_rng(0)
    covered = {"row": 0, "audio file": 0}
    for _ in range(100):
        right = recordings(0.8, rng)
        answers = np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
        for clusters in (Clusters.of_rows(1000), OF_TEN):
            low, high = measure(answers, np.zeros(1000, int), ["a", "b"], clusters, resamples=150)["accuracy_ci"]
            covered[clusters.by] += low <= 0.8 <= high
    assert covered["audio file"] >= 90 and covered["row"] < 75


def test_equal_classifiers_are_rarely_called_different_where_rows_are_repeated() -> None:
    rng = np.random.default_rng(0)
    called = {"row": 0, "audio file": 0}
    for _ in range(80):
        right = {name: recordings(0.8, rng)[None] for name in ("one", "other")}
        for clusters in (Clusters.of_rows(1000), OF_TEN):
            called[clusters.by] += compare_to("one", right, clusters, resamples=300)["other"].significant
    assert called["audio file"] <= 5 and called["row"] > 20


def test_the_sign_flip_test_is_mcnemars_where_every_row_stands_alone() -> None:
    one = np.array([1, 1, 1, 0, 1, 1, 1, 0, 1], bool)
    other = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0], bool)
    assert clustered_p(one, other, Clusters.of_rows(9)) == pytest.approx(binomtest(6, 7).pvalue)
    assert clustered_p(one, one, Clusters.of_rows(9)) == 1.0


def test_the_sign_flip_test_by_hand() -> None:
    # clusters differ by 2, 1 and -1: of the 8 signs the sum is at least 2 away from zero in 4 + 2
    one, other = np.array([1, 1, 1, 0], bool), np.array([0, 0, 0, 1], bool)
    clusters = Clusters("group", (np.array([0, 0, 1, 2]),))
    sums = np.array([2, 1, -1])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1)
    expected = (np.abs(sums @ signs) >= abs(sums.sum())).mean()
    assert clustered_p(one, other, clusters) == pytest.approx(expected) == pytest.approx(0.75)
    # of several ways of belonging together the one that is least sure decides
    crossed = Clusters("image file and audio file", (np.arange(4), np.array([0, 0, 0, 0])))
    assert clustered_p(one, other, crossed) == 1.0


def test_the_best_of_many_equal_strategies_is_rarely_called_better() -> None:
    rng = np.random.default_rng(0)
    called = {"best": 0, "chosen": 0}
    for _ in range(60):
        unimodal = rng.random((1, 400)) < 0.8
        right = {f"s{i}": rng.random((1, 400)) < 0.8 for i in range(24)}
        best = max(right, key=lambda name: right[name].mean())
        gain = best_of("unimodal", {"unimodal": unimodal, **right}, Clusters.of_rows(400), resamples=400)
        called["best"] += gain.significant
        called["chosen"] += compare_to("unimodal", {"unimodal": unimodal, best: right[best]}, resamples=400)[
            best
        ].significant
    assert called["best"] <= 3 and called["chosen"] >= 8


def test_a_strategy_that_is_better_is_found_among_many() -> None:
    rng = np.random.default_rng(0)
    right = {"unimodal": rng.random((2, 1000)) < 0.8} | {f"s{i}": rng.random((2, 1000)) < 0.8 for i in range(10)}
    right["better"] = rng.random((2, 1000)) < 0.9
    gain = best_of("unimodal", right, Clusters.of_rows(1000))
    assert gain.significant and gain.low < 0.1 < gain.high and gain.mean == pytest.approx(0.1, abs=0.02)


def test_clips_do_not_hide_the_recordings_that_rows_share(tmp_path: Path) -> None:
    """Long sounds are cut with a group for each row, which is none of the user's."""
    frame = pd.DataFrame({"image": list("abcd"), "audio": list("eeff"), "label": "x"})
    for name in {*frame["image"], *frame["audio"]}:
        (tmp_path / name).write_text(name)
    frame.to_csv(tmp_path / "table.csv", index=False)
    clips = cut_into_clips(read_table(tmp_path / "table.csv"), "audio", np.full(4, 3.0), 1.0, 1.0)
    found = clusters_of(clips, ("image", "audio"), np.arange(1, 5))
    assert len(clips.frame) == 12 and found.by == "audio file" and found.codes[0].tolist() == [0, 0, 1, 1]


def test_rows_without_a_group_belong_together_by_their_files(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": list("abcdef"), "audio": list("vvwwxy"), "label": "x"})
    frame["group"] = ["s", "s", "", "", "", "t"]
    found = found_in(frame, tmp_path / "partly")
    assert found.by == "group" and found.codes[0].tolist() == [0, 0, 1, 1, 2, 3]
    one = found_in(frame.assign(group="s"), tmp_path / "one")  # numbers about one group are numbers about its rows
    assert one.by == "audio file" and one.codes[0].tolist() == [0, 0, 1, 1, 2, 3]


def test_a_file_that_is_shared_by_chance_does_not_widen_everything(tmp_path: Path) -> None:
    names = np.arange(40).astype(str)
    frame = pd.DataFrame({"image": np.char.add("i", names), "audio": np.char.add("a", names), "label": "x"})
    frame.loc[1, "image"], frame.loc[5, "audio"] = "i0", "a4"
    found = found_in(frame, tmp_path / "few")
    assert len(found.codes) == 1 and found.number == 38
    everywhere = found_in(frame.assign(image="i0", audio=np.char.add("a", names)), tmp_path / "all")
    assert everywhere.by == "row"  # a picture that stands in every row tells no rows apart


def test_two_clusters_that_do_equally_well_are_no_certainty() -> None:
    right = np.tile([True] * 8 + [False] * 2, 2)
    answers = np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
    of_two = Clusters("group", (np.repeat([0, 1], 10),))
    assert measure(answers, np.zeros(20, int), ["a", "b"], of_two)["accuracy_ci"] == (0, 1)
    assert "too few" in resampled_over(of_two.as_metrics()) and "too few" not in resampled_over(OF_TEN.as_metrics())


def test_few_clusters_are_no_proof() -> None:
    rng = np.random.default_rng(0)
    called = {"best": 0, "guard": 0}
    for _ in range(60):
        clusters = Clusters("group", (np.repeat(np.arange(3), 20),))
        right = {name: np.repeat(rng.random(3) < 0.5, 20)[None] for name in ("one", "other")}
        called["best"] += best_of("one", right, clusters, resamples=100).significant
        called["guard"] += lowest_mean(np.repeat(rng.normal(0, 1, 3), 20), clusters) > 0
    assert called["best"] == 0 and called["guard"] <= 7
    assert lowest_mean(np.ones(5), Clusters("group", (np.zeros(5, int),))) == -np.inf


def test_few_clusters_that_all_agree_are_proof() -> None:
    """Five groups have 32 ways to flip their signs, of which none would ever be rare enough."""
    rng = np.random.default_rng(0)
    clusters = Clusters("group", (np.repeat(np.arange(5), 400),))
    right = {name: rng.random((1, 2000)) < share for name, share in (("one", 0.1), ("other", 0.95), ("same", 0.1))}
    right |= {f"s{i}": rng.random((1, 2000)) < 0.1 for i in range(20)}
    assert best_of("one", right, clusters, resamples=200).significant
    found = compare_to("one", right, clusters, resamples=2000)
    assert found["other"].significant and not found["same"].significant
    sums = [(right["other"][0, i::5].astype(int) - right["one"][0, i::5]).sum() for i in range(5)]
    of_five = Clusters("group", (np.tile(np.arange(5), 400),))
    expected = ttest_1samp(sums, 0).pvalue
    assert clustered_p(right["other"][0], right["one"][0], of_five) == pytest.approx(expected)


@pytest.mark.parametrize("count", [5, 8, 11])
def test_few_clusters_are_rarely_called_different_where_nothing_is(count: int) -> None:
    rng, called = np.random.default_rng(count), 0
    for _ in range(300):
        share = rng.normal(0, 0.2, count)  # each group has its own favourite
        ahead = rng.random((count, 40)) < 0.5 + share[:, None]
        called += (
            clustered_p(ahead.ravel(), ~ahead.ravel(), Clusters("group", (np.repeat(np.arange(count), 40),))) < 0.05
        )
    assert called <= 0.08 * 300


def test_the_lower_bound_is_that_of_students_t() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 30)
    low = ttest_1samp(values, 0).confidence_interval(0.9).low
    assert lowest_mean(values, Clusters.of_rows(30)) == pytest.approx(low)
