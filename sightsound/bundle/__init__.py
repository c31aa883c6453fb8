"""A classifier's bundle: weights, configuration, labels, metrics and a model card, without pickle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from sightsound.bundle.files import CLASSIFIER, CONFIG, Saved, bundle_errors, write_files
from sightsound.config import Config, from_dict
from sightsound.config.parts import part_in_words
from sightsound.data.cells import writable
from sightsound.data.clusters import resampled_over
from sightsound.errors import BundleError, ConfigError
from sightsound.missing import IMPUTERS
from sightsound.modalities.base import MODALITIES
from sightsound.registry import import_plugins

FORMAT = 5
WEIGHTS, IMPUTER_WEIGHTS, LABELS, METRICS = "model.safetensors", "missing.safetensors", "labels.json", "metrics.json"
EXAMPLES = {"image": "a.png", "audio": "a.wav"}  # names of files
SHOWN = ("accuracy", "macro_f1", "macro_recall", "calibration_error")  # metrics of each subset that are shown


class Bundle(NamedTuple):
    """The content of a bundle: weights by name, the resolved configuration, class names, metrics as in `metrics.json`.

    It also holds the weights of the imputers of each policy, and how a class is chosen, as `Decision.named` gives it.
    """

    weights: dict[str, Tensor]
    config: Config
    labels: list[str]
    metrics: dict[str, Any]
    imputers: dict[str, dict[str, Tensor]] = {}
    decision: dict[str, Any] = {}


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Writes all files of a classifier's bundle. Raises BundleError."""
    imputers = {f"{policy}/{name}": x for policy, of in bundle.imputers.items() for name, x in of.items()}
    texts = {
        CONFIG: {
            "format": FORMAT,
            "kind": CLASSIFIER,
            "config": dataclasses.asdict(bundle.config),
            "decision": bundle.decision,
        },
        LABELS: bundle.labels,
        METRICS: bundle.metrics,
    }
    write_files(folder, {WEIGHTS: bundle.weights, IMPUTER_WEIGHTS: imputers}, texts, model_card(bundle))


def read_bundle(folder: Path, trust: bool = False) -> Bundle:
    """Reads a classifier's bundle; with `trust`, the user's own modules may be imported. Raises BundleError."""
    saved = Saved(folder, CLASSIFIER, FORMAT, [WEIGHTS, IMPUTER_WEIGHTS, CONFIG, LABELS, METRICS])
    with bundle_errors(folder):
        labels, metrics = saved.json(LABELS), saved.json(METRICS)
        _check(labels, metrics)
        written = saved.json(CONFIG)
        values, decision = written["config"], written.get("decision", {})
        import_plugins(values.get("plugins", ()), trust)
        if unknown := [m for m in values.get("modalities", ()) if isinstance(m, str) and m not in MODALITIES]:
            raise BundleError(
                f"{folder}: it needs the modality {unknown[0]!r}, which is not registered here. Import the module that "
                "registers it first."
            )
        config = from_dict(values)
        _check_decision(decision, labels, config.modalities)
        weights, imputers = saved.tensors(WEIGHTS), _by_policy(saved.tensors(IMPUTER_WEIGHTS))
        return Bundle(weights, config, labels, metrics, imputers, decision)


def _check(labels: Any, metrics: Any) -> None:
    """Raises ConfigError for labels and metrics that cannot be a classifier's."""
    if not isinstance(labels, list) or not labels or not all(map(_is_name, labels)):
        raise ConfigError(f"{LABELS} is no list of class names")
    if len(set(labels)) < len(labels):
        raise ConfigError(f"{LABELS} names a class twice")
    if not isinstance(metrics, dict):
        raise ConfigError(f"{METRICS} holds no numbers by name")
    if not metrics:
        return
    guard = metrics.get("guard", {})
    of_shares = isinstance(guard, dict) and all(isinstance(shares, dict) for shares in guard.values())
    if not of_shares or not all(_number(share) for shares in guard.values() for share in shares.values()):
        raise ConfigError(f"{METRICS} does not say what the guard mixes")
    refitted = metrics.get("refitted", [])
    if not isinstance(refitted, list) or not all(isinstance(m, str) for m in refitted):
        raise ConfigError(f"{METRICS} does not say which heads were trained again")
    subsets, clusters = metrics.get("subsets"), metrics.get("clusters", {"by": "row", "count": 0})
    if not isinstance(clusters, dict) or not _number(clusters.get("count")) or not isinstance(clusters.get("by"), str):
        raise ConfigError(f"{METRICS} does not say what its intervals were resampled over")
    if not _number(metrics.get("rows")) or not isinstance(metrics.get("split"), str) or not isinstance(subsets, dict):
        raise ConfigError(f"{METRICS} does not say rows, split and the numbers of each subset")
    for name, numbers in subsets.items():
        known = numbers if isinstance(numbers, dict) else {}
        interval = known.get("accuracy_ci")
        named = all(_number(known.get(what)) for what in ("rows", *SHOWN))
        if not named or not isinstance(interval, list) or len(interval) != 2 or not all(map(_number, interval)):
            raise ConfigError(f"{METRICS} does not say {', '.join(SHOWN)} and an interval for {name!r:.100}")
        _check_classes(known.get("per_class", {}))


def _check_decision(decision: Any, labels: list[str], modalities: Sequence[str]) -> None:
    """Raises ConfigError for a decision that is not one of these classes and modalities."""
    found: dict[str, Any] = decision if isinstance(decision, dict) else {"factors": None}
    factors, thresholds = found.get("factors", {}), found.get("thresholds", {})
    of_subsets: dict[str, Any] = thresholds if isinstance(thresholds, dict) else {"": None}
    if not all(isinstance(of, dict) for of in (factors, *of_subsets.values())):
        raise ConfigError(f"{CONFIG} does not say how a class is chosen")
    if factors and (set(factors) != set(labels) or not all(_number(x) and x > 0 for x in factors.values())):
        raise ConfigError(f"{CONFIG} does not say how much each class is favoured")
    for subset, of_classes in of_subsets.items():
        if subset.split("+") != [m for m in modalities if m in subset.split("+")]:
            raise ConfigError(f"{CONFIG} has thresholds for {subset!r:.100}, which are no modalities of it")
        if not set(of_classes) <= set(labels) or not all(_number(x) and 0 <= x <= 1 for x in of_classes.values()):
            raise ConfigError(f"{CONFIG} has thresholds that are no probabilities of its classes")


def _check_classes(of_classes: Any) -> None:
    """Raises ConfigError for metrics of classes that are none."""
    for one in of_classes.values() if isinstance(of_classes, dict) else [None]:
        known = one if isinstance(one, dict) else {}
        intervals = [known.get(f"{what}_ci") or [0, 0] for what in ("recall", "precision")]
        numbers = [known.get(what) for what in ("rows", "recall", "precision", "f1")]
        if not all(map(_number, numbers)) or not all(_interval(bounds) for bounds in intervals):
            raise ConfigError(f"{METRICS} does not say recall and precision of each class")


def _interval(bounds: Any) -> bool:
    return isinstance(bounds, list | tuple) and len(bounds) == 2 and all(map(_number, bounds))


def describe_decision(decision: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Describes how a class is chosen, where it is not the most probable one, and the recall and precision then.

    Args:
        decision: as `Decision.named` gives it.
        metrics: as in `metrics.json`.
    """
    thresholds, found = decision.get("thresholds", {}), []
    decided = set.intersection(*(set(of) for of in thresholds.values())) if thresholds else set()
    factors = {label: x for label, x in decision.get("factors", {}).items() if label not in decided}
    if len(factors) > 1:
        most, least = max(factors, key=lambda label: factors[label]), min(factors, key=lambda label: factors[label])
        found.append(
            f"Logit adjustment: rare classes are favoured in choosing the answer, {most!r} most, whose probability "
            f"counts {factors[most] / factors[least]:.3g} times as much as that of {least!r}."
        )
    for subset, of_classes in thresholds.items():
        measured = metrics.get("subsets", {}).get(subset, {}).get("per_class", {})
        for label, value in of_classes.items():
            of_class, parts = measured.get(label, {}), []
            for what in ("recall", "precision"):
                if bounds := of_class.get(f"{what}_ci"):
                    parts.append(f"{what} {of_class[what]:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})")
            tested = f"; on {of_class['rows']} {metrics['split']} rows of it: {', '.join(parts)}" if parts else ""
            found.append(f"Threshold: by {subset}, {label!r} is answered from a probability of {value:.3g}{tested}.")
    return found


def describe_guard(guard: dict[str, dict[str, float]] | None) -> list[str]:
    """Describes the guard of a classifier: for each subset on which it acts, the predictions that it mixes."""
    found = []
    for subset, shares in (guard or {}).items():
        parts = ", ".join(f"{share:.2f} {'of the fusion' if m == 'fused' else m}" for m, share in shares.items())
        found.append(
            f"Guard: on validation rows the fused answer to {subset.replace('+', ' and ')} was worse than a mixture "
            f"of it and each modality alone, so that this mixture is what is answered: {parts}."
        )
    return found


def describe_refit(refitted: Sequence[str]) -> list[str]:
    """Describes which heads were trained again on training and validation rows, if any were."""
    if not refitted:
        return []
    return [
        f"Refit: once validation rows had chosen the epoch and the calibration, the heads of frozen encoders "
        f"({', '.join(refitted)}) were trained again on training and validation rows together."
    ]


def _is_name(label: Any) -> bool:
    return isinstance(label, str) and label != "" and label == writable(label)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _by_policy(weights: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        policy, _, rest = name.partition("/")
        found.setdefault(policy, {})[rest] = tensor
    known = [policy for policy in IMPUTERS if policy in found]  # a file of tensors has no order
    return {policy: found[policy] for policy in [*known, *sorted(set(found) - set(known))]}


def model_card(bundle: Bundle) -> str:
    """Describes in Markdown the classifier, its metrics for each subset of the modalities, and its limits."""
    config, metrics = bundle.config, bundle.metrics
    fusion = f"; fusion: `{part_in_words(config.fusion, config.fusion_options)}`" if len(config.modalities) > 1 else ""
    files = ", ".join(f'{m}="{EXAMPLES.get(m, "a.npy")}"' for m in config.modalities)
    lines = [
        "# A sightsound classifier",
        "",
        f"{len(bundle.labels)} classes: {', '.join(bundle.labels)}.",
        f"Modalities: {' and '.join(config.modalities)}{fusion}, schedule: `{config.schedule}`.",
        "",
    ]
    for m in config.modalities:
        if known := getattr(config, m).pretrained:
            licence = known.get("licence", "that of its checkpoint")
            lines += [f"The {m} encoder is `{getattr(config, m).encoder}`, pretrained; its licence: {licence}.", ""]
    if metrics:
        lines += [
            f"Measured on {metrics['rows']} rows of the split `{metrics['split']}`, with 95 % bootstrap intervals over "
            f"{resampled_over(metrics.get('clusters'))}:",
            "",
            "| modalities | rows | accuracy | macro F1 | calibration error |",
            "|---|---|---|---|---|",
        ]
        for name, numbers in metrics["subsets"].items():
            low, high = numbers["accuracy_ci"]
            lines.append(
                f"| {name} | {numbers['rows']} | {numbers['accuracy']:.4f} ({low:.4f} to {high:.4f}) "
                f"| {numbers['macro_f1']:.4f} | {numbers['calibration_error']:.4f} |"
            )
        lines.append("")
    notes = [*describe_refit(metrics.get("refitted", [])), *describe_guard(metrics.get("guard"))]
    notes += describe_decision(bundle.decision, metrics)
    lines += [f"{text}\n" for text in notes]
    lines += [
        "Limits: it answers with one of its classes whatever it is given. The numbers hold for data like those it was",
        "tested on; rows that share a speaker, a place or a recording with training rows make them too good.",
        "",
        "```python",
        "import sightsound as ss",
        'classifier = ss.load("path/of/this/folder")',
        f"classifier.predict({files})",
        "```",
        "",
    ]
    return "\n".join(lines)
