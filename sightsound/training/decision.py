"""Fits how a class is chosen: thresholds for a wanted recall or precision, and how much rare classes are favoured."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightsound.config import Config
from sightsound.data.clusters import Clusters, clusters_of
from sightsound.data.table import Table
from sightsound.errors import ConfigError, did_you_mean
from sightsound.inference.metrics import macro_means, share_interval
from sightsound.inference.subsets import Answered, answer_rows
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.decision import Decision, Floats, decide, for_precision, for_recall
from sightsound.training.held_out import CrossFitted
from sightsound.training.prepare import Prepared

STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)  # of the logit adjustment, that are tried
FEW_RARE_ROWS, MOST_ON_FEW = 10, 0.3  # validation rows of the rarest class, with fewer of which no more is tried


class Aim(NamedTuple):
    """What is wanted of a class: its name, "recall" or "precision", and the share that it is to reach."""

    label: str
    what: str
    share: float


def aims(config: Config) -> list[Aim]:
    """Lists the recalls and precisions that a configuration asks for."""
    wanted = {"recall": config.class_recall, "precision": config.class_precision}
    return [Aim(label, what, share) for what, of in wanted.items() for label, share in of.items()]


def is_asked(config: Config) -> bool:
    """Returns whether anything but the most probable class may have to be answered."""
    return bool(aims(config) or config.logit_adjustment)


def check_aims(table: Table, config: Config) -> None:
    """Raises ConfigError for a class that is not in the table, or that both a recall and a precision are asked of."""
    labels = sorted(set(table.frame["label"]) - {""})
    for label, what, _ in aims(config):
        if label not in labels:
            raise ConfigError(f"class_{what} has {label!r}, which is no class. {did_you_mean(label, labels)}")
        if label in config.class_recall and label in config.class_precision:
            raise ConfigError(f"class_recall and class_precision both have {label!r}; a threshold decides one of them.")


def check_validated(prepared: Prepared) -> None:
    """Raises ConfigError for a class of which a threshold is wanted, and which has no validation row."""
    validated = set(prepared.table.part("val").frame["label"])
    for label, what, _ in aims(prepared.config):
        if label not in validated:
            raise ConfigError(
                f"class_{what} has {label!r}, and no validation row is of this class, on which a threshold could be "
                "chosen. Give one of its rows the split val."
            )


def fit_decision(
    network: ClassifierNetwork, prepared: Prepared, crossed: CrossFitted, say: Callable[[str], object]
) -> None:
    """Fits the decision of a network in place, and says what it reaches on validation rows.

    Args:
        network: a network of cached inputs, calibrated, which has not learned from validation rows.
        prepared: what it was trained on.
        crossed: cross-fitted predictions for complete rows.
        say: called with each line for the user.
    """
    if is_asked(prepared.config):
        numbers = prepared.table.part("val").frame["row"].to_numpy()
        answered = crossed.put_in(answer_rows(network.eval(), prepared.rows["val"], numbers))
        network.decision, said = decision_for(prepared, answered)
        for line in said:
            say(line)


def decision_for(prepared: Prepared, answered: Answered) -> tuple[Decision, list[str]]:
    """Chooses how a class is chosen.

    Args:
        prepared: the table.
        answered: the predictions for validation rows, of networks that were not trained on these.

    Returns:
        the decision, and sentences that say what it reaches on validation rows.
    """
    if not is_asked(prepared.config):
        return Decision(), []
    of_row = prepared.table.part("val").frame.drop_duplicates("row").set_index("row")["label"]
    labels = of_row.loc[answered.row.tolist()].to_numpy(dtype=str)
    factors, said = _factors(prepared, answered, np.searchsorted(prepared.labels, labels))
    decision = Decision(factors)
    for subset, probabilities in answered.probabilities.items() if aims(prepared.config) else ():
        there = np.logical_and.reduce([answered.has[m] for m in subset])
        values, known = np.full(len(prepared.labels), np.nan), probabilities[there]
        for label, what, share in aims(prepared.config):
            place, choose = prepared.labels.index(label), for_recall if what == "recall" else for_precision
            chosen = choose(known[:, place], labels[there] == label, share)
            values[place] = np.nan if chosen is None else chosen
        if not np.isnan(values).all():
            decision.thresholds[subset] = values
        clusters = clusters_of(prepared.table, subset, answered.row[there])
        predicted = np.array(prepared.labels)[decision.choose(known, subset)]
        for aim in aims(prepared.config):
            threshold = values[prepared.labels.index(aim.label)]
            said.append(_reached(aim, subset, threshold, AnsweredRows(labels[there], predicted, clusters)))
    return decision, said


class AnsweredRows(NamedTuple):
    """True and answered labels (n,) of validation rows, and which of these belong together."""

    true: NDArray[np.str_]
    predicted: NDArray[np.str_]
    clusters: Clusters

    def share(self, label: str, what: str) -> tuple[float, float, float]:
        """Returns recall or precision of a class, with its interval; NaN where it is over no rows."""
        of_class, said = self.true == label, self.predicted == label
        right, over = (said, of_class) if what == "recall" else (of_class, said)
        if not over.any():
            return np.nan, 0.0, 1.0
        return float(right[over].mean()), *share_interval(right[over], self.clusters.at(over))


def _reached(aim: Aim, subset: tuple[str, ...], threshold: float, rows: AnsweredRows) -> str:
    """Says what a threshold reaches on validation rows, among the thresholds of the other classes."""
    name, own = f"{aim.label!r} by {'+'.join(subset)}", int((rows.true == aim.label).sum())
    if np.isnan(threshold):
        return (
            f"{name}: no threshold reaches a {aim.what} of {aim.share:g} on {own} validation rows of it; it is "
            "answered where it is the most probable class"
        )
    shares = {what: rows.share(aim.label, what) for what in ("recall", "precision")}
    reached = ", ".join(f"{what} {of:.3f} ({low:.3f} to {high:.3f})" for what, (of, low, high) in shares.items())
    missed = ""
    if not shares[aim.what][0] >= aim.share - 1e-9:
        missed = f". The {aim.what} of {aim.share:g} is MISSED: the same rows reach thresholds of other classes"
    return (
        f"{name}: answered from a probability of {threshold:.3g}, chosen for a {aim.what} of {aim.share:g}; on "
        f"validation rows, {own} of which are of the class: {reached}{missed}"
    )


def _factors(prepared: Prepared, answered: Answered, target: NDArray[np.int64]) -> tuple[Floats | None, list[str]]:
    """Returns the factors of the logit adjustment (Menon et al., ICLR 2021, section 4.1), and what was chosen.

    Probabilities are divided by the frequencies of the classes in training, to the power of the strength: at 0 the
    answer is right most often, at 1 all classes are recognised equally often. "auto" takes the strength with the best
    macro F1 on validation rows, of equal ones the largest. A class of few validation rows tells little of where its
    answers become wrong too often: a slight strength is then the most that is tried.
    """
    strength = prepared.config.logit_adjustment
    if not strength:
        return None, []
    counts = np.bincount(prepared.rows["train"].classes().numpy(), minlength=len(prepared.labels))
    frequency = np.maximum(counts, 1) / counts.sum()
    if strength != "auto":
        return frequency ** -float(strength), []
    probabilities, classes = answered.probabilities[tuple(answered.has)], len(prepared.labels)
    rarest = np.bincount(target, minlength=classes)[counts.argmin()]
    some = [tried for tried in STRENGTHS if rarest >= FEW_RARE_ROWS or tried <= MOST_ON_FEW]
    scores = {
        tried: macro_means(target * classes + decide(probabilities, factors=frequency**-tried), classes)["macro_f1"]
        for tried in some
    }
    best = max(some, key=lambda tried: (round(scores[tried], 9), tried))
    tried = ", ".join(f"{one:g}: {score:.3f}" for one, score in scores.items())
    said = f"Logit adjustment {best:g}, the best of macro F1 on {len(target)} validation rows ({tried})"
    differ = best and counts.min() < counts.max()
    return (frequency**-best if differ else None), [said]
