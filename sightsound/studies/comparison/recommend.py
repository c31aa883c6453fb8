"""Recommends in words which strategy to take, for what, and why.

The rule, whose every step reads validation rows only:
1. The best strategy has the highest mean macro F1; tied with it is each whose difference in accuracy is not significant
   (`studies.comparison.significance`).
2. For accuracy: the best one; but `product`, if it is tied and the modalities are independent given the class, since no
   strategy can then be better than the product of calibrated unimodal predictions.
3. For speed: the tied one, or the better unimodal model if it is not significantly worse, that predicts 256 rows
   fastest, encoders included; but the one for accuracy, unless another saves a tenth of its time.
4. For a modality that may be missing: the tied one with the highest mean unimodal accuracy.
5. Where the best is the only one that the budget reached, or no better than naming the most frequent class, nothing is
   recommended.
6. Fusion is worth it where the most accurate strategy is ahead of the best unimodal model by half a point or more, and
   significantly so after correction for the selection of the best of many. Where it is ahead by as much, but not
   significantly, the question stays open; otherwise fusion is not worth it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightsound.inference.metrics import at_chance
from sightsound.studies.comparison.compare import ComparisonStudy
from sightsound.studies.comparison.significance import Gain, best_of, compare_to
from sightsound.studies.comparison.summary import ONLY, ComparisonRow, right_answers, right_unimodal, unimodal_accuracy

WORTH = 0.005  # gain in accuracy from which fusion is worth it
FASTER = 0.9  # share of the time up to which another one counts as faster; strategies on the same encoders seldom do
NONE_FASTER = "; nothing that is tied with it is clearly faster."
NOTHING = (
    "Training found nothing: no {} and no modality is better than naming the most frequent class. Are labels and files "
    "in step? More rows, more --epochs or a smaller --learning-rate may help."
)


class Recommendation(NamedTuple):
    """The recommended strategies, by name.

    Attributes:
        accuracy, speed, missing: the strategy to take for each purpose; for speed also a unimodal model.
        tied: the strategies tied with the best, and the best itself.
        worth: whether fusion is worth it; None where there are too few rows to decide.
        unimodal: the better unimodal model, such as "image only".
        lines: the recommendation in words, with the numbers of the test rows.
    """

    accuracy: str
    speed: str
    missing: str
    tied: list[str]
    worth: bool | None
    unimodal: str
    lines: list[str]


def recommend(study: ComparisonStudy, rows: list[ComparisonRow]) -> Recommendation:
    """Applies the rule, then words the result with the numbers of `summary.rows`."""
    best = next(iter(study.compared))
    right, unimodal = right_answers(study, "val"), right_unimodal(study, "val")
    clusters = study.clusters["val"]
    against = compare_to(best, right, clusters)
    tied = [best, *(name for name in right if name != best and not against[name].significant)]
    independent = study.dependence is not None and not study.dependence.found and not study.joint
    accuracy = "product" if independent and "product" in tied else best
    known = {row.name: row for row in rows}
    missing = max(tied, key=lambda name: (round(_alone(study, name), 4), name == accuracy))
    better = max(unimodal, key=lambda name: float(unimodal[name].mean()))
    alone = compare_to(best, {best: right[best], better: unimodal[better]}, clusters)[better]
    worse = alone.significant and alone.mean < 0
    fast = min(tied if worse else [*tied, better], key=lambda name: known[name].latency_256_ms)
    speed = fast if known[fast].latency_256_ms < FASTER * known[accuracy].latency_256_ms else accuracy
    gain = best_of(better, {better: unimodal[better], **right}, clusters)
    worth = (True if gain.significant else None) if gain.mean >= WORTH else False
    found = Recommendation(accuracy, speed, missing, tied, worth, better, [])
    if len(study.compared) == 1 and study.left_out:
        return found._replace(
            worth=None,
            lines=[
                f"The budget was used up after one of {1 + len(study.left_out)} "
                f"{'balances' if _kind(study) == 'balance' else 'strategies'}, {best}: nothing is recommended. Go on "
                "with --resume and more --budget."
            ],
        )
    if _at_chance(study, right[best]):
        return found._replace(
            worth=False, lines=[NOTHING.format(_kind(study)), *([study.joint] if study.joint else []), _reason(study)]
        )
    return found._replace(lines=[*_doubt(study, found, known, gain), *_words(study, found, known)])


def _at_chance(study: ComparisonStudy, right: NDArray[np.bool_]) -> bool:
    """Returns whether predictions of the validation rows, (seeds, n), are at chance in the first seed."""
    return at_chance(right[0], study.target["val"], study.clusters["val"])


def _kind(study: ComparisonStudy) -> str:
    """Names the kind of what is compared."""
    return "balance" if next(iter(study.compared.values())).trial.balance else "strategy"


def _alone(study: ComparisonStudy, name: str) -> float:
    said = study.compared[name].val
    return float(np.mean([unimodal_accuracy(said, m, study.target["val"]) for m in said[0].has]))


def _doubt(study: ComparisonStudy, found: Recommendation, known: dict[str, ComparisonRow], gain: Gain) -> list[str]:
    """Returns sentences that speak against fusion, if any do."""
    if found.worth:
        return []
    if found.worth is None:
        return [
            f"Whether fusion is worth it cannot be told yet: on {len(study.target['val'])} validation rows the best "
            f"{_kind(study)} is {_points(gain.mean)} ahead of {found.unimodal}, with a 95 % interval of "
            f"{_points(gain.low)} to {_points(gain.high)}. More rows or more --seeds will tell."
        ]
    return [
        f"Fusion is not worth it here: the best {_kind(study)} is not significantly better than {found.unimodal} "
        f"({_percent(known[found.accuracy].accuracy)} against {_percent(known[found.unimodal].accuracy)} in test). "
        f"Train one modality: --modalities {found.unimodal.removesuffix(ONLY)}"
    ]


def _words(study: ComparisonStudy, found: Recommendation, known: dict[str, ComparisonRow]) -> list[str]:
    take, better = known[found.accuracy], known[found.unimodal]
    others = [name for name in found.tied if name != found.accuracy]
    gain = (
        f", {_points(take.accuracy - better.accuracy)} against {found.unimodal}, the better modality on validation rows"
    )
    lines = [
        f"For accuracy: {found.accuracy} ({take.family} fusion, {take.training}), {_percent(take.accuracy)} "
        f"({_percent(take.accuracy_low)} to {_percent(take.accuracy_high)}) on test rows"
        f"{gain if found.worth else ''}."
    ]
    if others:
        lines.append(f"Tied with it on validation rows: {', '.join(others)}.")
    fast, slow = known[found.speed], take
    doubt = ", which is not significantly worse" if found.speed == found.unimodal else ""
    lines.append(
        f"For speed: {found.speed}{doubt}, {fast.latency_256_ms:.1f} ms for 256 rows with the encoders"
        + (f" against {slow.latency_256_ms:.1f} ms of {found.accuracy}." if fast is not slow else NONE_FASTER)
    )
    alone = ", ".join(f"{m} only {_percent(value)}" for m, value in known[found.missing].unimodal.items())
    if all(_at_chance(study, right) for right in right_unimodal(study, "val").values()):
        lines.append("Where a modality is missing nothing helps: none alone is better than the most frequent class.")
    else:
        lines.append(f"Where a modality may go missing: {found.missing}; {alone}.")
    lines.append(_reason(study))
    return lines


def _reason(study: ComparisonStudy) -> str:
    if study.dependence is None:
        return (
            "Whether the modalities have more in common than the class cannot be told: too few rows are complete, or "
            "the embeddings hold nothing that could be compared."
        )
    told = study.dependence
    measured = f"{_percent(told.accuracy)} ({_percent(told.low)} to {_percent(told.high)}) of {2 * told.pairs} pairs"
    if told.found:
        return (
            "Given the class, the modalities depend on each other: real pairs can be told from pairs of the same class "
            f"put together by chance, {measured} right where 50 % is chance. Decision fusion cannot see that."
        )
    return (
        "Given the class, the modalities are independent as far as can be told: real pairs look like pairs of the same "
        f"class put together by chance, {measured} right where 50 % is chance. Then no strategy is better than the "
        "product of what each modality says, if that is calibrated."
    )


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
