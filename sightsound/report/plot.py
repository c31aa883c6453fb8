"""`sightsound.plot`: the charts of the reports with matplotlib, from results, on axes of your own or new ones.

    import sightsound as ss
    ss.plot.confusion(classifier, "image+audio")
    ss.plot.robustness(study, "blur", axes=axes)

Each function returns the matplotlib axes that it has drawn on. Colours and numbers are those of the HTML pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sightsound.errors import ConfigError, did_you_mean
from sightsound.report import figures
from sightsound.report.draw import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sightsound.classifier import Classifier
    from sightsound.studies.comparison.run import Comparison
    from sightsound.studies.generalization import Fold
    from sightsound.studies.robustness.study import RobustnessStudy

__all__ = [
    "agreement",
    "comparison",
    "confusion",
    "coverage",
    "gains",
    "learning_curves",
    "left_out_groups",
    "missing",
    "reliability",
    "robustness",
    "training_sizes",
]


def confusion(results: Classifier | Mapping[str, Any], subset: str = "", axes: Axes | None = None) -> Axes:
    """A confusion matrix: true classes by row, predicted ones by column, coloured by the share of the row.

    Args:
        results: a classifier with metrics, or metrics as in `metrics.json`.
        subset: of the modalities, such as "image+audio" or "audio"; default: all of them.
        axes: to draw on; default: new ones.

    Raises:
        ConfigError: there are no metrics, or not of this subset.
    """
    subsets = _subsets(results)
    name = _one_of("subset of the modalities", subset or next(iter(subsets)), subsets)
    return draw(figures.confusion(name, subsets[name], list(subsets[name]["per_class"])), axes)


def reliability(results: Classifier | Mapping[str, Any], axes: Axes | None = None) -> Axes:
    """How often answers of a probability are right, for each subset of the modalities; arguments as of `confusion`."""
    return draw(figures.reliability(_subsets(results)), axes)


def coverage(results: Classifier | Mapping[str, Any], axes: Axes | None = None) -> Axes:
    """Accuracy when only the most probable answers are given; arguments as of `confusion`."""
    return draw(figures.coverage(_subsets(results)), axes)


def learning_curves(
    run: str | Path, phase: str = "", what: Literal["macro F1", "loss"] = "macro F1", axes: Axes | None = None
) -> Axes:
    """Macro F1 on validation rows, or the losses, over the epochs of a training.

    Args:
        run: the run folder of a training.
        phase: of its schedule; default: the last one.
        what: which of both.
        axes: to draw on; default: new ones.

    Raises:
        ConfigError: the folder has no logs, or no such phase; or `what` is neither.
    """
    _one_of("learning curve", what, dict.fromkeys(("macro F1", "loss")))
    from sightsound.bundle import read_bundle
    from sightsound.report.training import history
    from sightsound.run_folder import BUNDLE  # here, since `sightsound.plot` should come without torch

    logs = history(Path(run), read_bundle(Path(run) / BUNDLE).config)
    if not logs:
        raise ConfigError(f"{run}: there are no logs of a training. Give the run folder that `train` wrote.")
    name = _one_of("phase", phase or list(logs)[-1], logs)
    loss, f1 = figures.learning_curves({name: logs[name]})
    return draw(loss if what == "loss" else f1, axes)


def comparison(
    results: Comparison, cost: Literal["latency_256_ms", "train_seconds"] = "latency_256_ms", axes: Axes | None = None
) -> Axes:
    """Test accuracy of each strategy over its cost: milliseconds for 256 rows, or seconds of training.

    Args:
        results: of `sightsound.compare`.
        cost: which.
        axes: to draw on; default: new ones.

    Raises:
        ConfigError: there is no such cost.
    """
    _one_of("cost", cost, dict.fromkeys(("latency_256_ms", "train_seconds")))
    return draw(figures.costs(results.rows, cost), axes)


def missing(results: Comparison, axes: Axes | None = None) -> Axes:
    """Accuracy of each strategy of a comparison, as given and with each modality only."""
    return draw(figures.missing(results.rows), axes)


def gains(results: Comparison, axes: Axes | None = None) -> Axes:
    """The gain in recall of a comparison's recommended strategy over the better modality, class by class."""
    from sightsound.studies.comparison.summary import class_gains

    best = results.found.accuracy
    return draw(figures.gains(class_gains(results.study, best, results.classifier.classes_.tolist()), best), axes)


def agreement(results: Comparison, axes: Axes | None = None) -> Axes:
    """The share of the complete test rows of a comparison on which all modalities are right, only one, or none."""
    from sightsound.studies.comparison.summary import agreement as shares

    return draw(figures.agreement(shares(results.study)), axes)


def robustness(results: RobustnessStudy, kind: str, modality: str = "", axes: Axes | None = None) -> Axes:
    """Accuracy over the levels of one kind of damage, for each policy; dotted: the damaged modality only.

    Args:
        results: of `sightsound.robustness`.
        kind: such as "blur", "lost frames" or "missing".
        modality: which is damaged; "either" of missing files; default: the first that the kind is of.
        axes: to draw on; default: new ones.

    Raises:
        ConfigError: nothing of this kind was measured.
    """
    _one_of("kind", kind, {curve.kind: curve for curve in results.curves})
    curves = [curve for curve in results.curves if curve.kind == kind]
    name = _one_of("modality", modality or curves[0].modality, {curve.modality: curve for curve in curves})
    curves = [curve for curve in curves if curve.modality == name]
    if curves[0].policy:
        return draw(figures.by_policy(curves, "share that is missing or lost", results.rows)[0], axes)
    return draw(figures.by_severity(curves, "severity")[0], axes)


def left_out_groups(folds: list[Fold], axes: Axes | None = None) -> Axes:
    """Accuracy on each group that was left out, from the result of `sightsound.leave_one_group_out`."""
    from sightsound.studies.generalization import table_of

    return draw(figures.groups(table_of(folds)), axes)


def training_sizes(folds: list[Fold], axes: Axes | None = None) -> Axes:
    """Accuracy over the number of training rows, from the result of `sightsound.learning_curve`."""
    from sightsound.studies.generalization import table_of

    return draw(figures.sizes(table_of(folds)), axes)


def _subsets(results: Classifier | Mapping[str, Any]) -> Mapping[str, Any]:
    metrics = results if isinstance(results, Mapping) else getattr(results, "metrics", {})
    if not metrics.get("subsets"):
        raise ConfigError(
            "There are no metrics to draw. Give a classifier that was tested, its metrics, or what `evaluate` returns."
        )
    subsets: Mapping[str, Any] = metrics["subsets"]
    return subsets


def _one_of(what: str, name: str, known: Mapping[str, Any]) -> str:
    if name not in known:
        raise ConfigError(f"There is no {what} {name!r} in these results. {did_you_mean(name, known)}")
    return name
