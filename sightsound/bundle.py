"""What is saved: a folder of weights, configuration, labels, metrics and a model card, without pickle.

Written beside its place and renamed, so that a killed process never leaves half of one; checked by SHA-256 on reading.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sightsound.config import Config, from_dict
from sightsound.errors import BundleError, ConfigError

FORMAT = 4
CLASSIFIER, TRANSLATOR = "classifier", "translator"  # the kinds of bundles
VERBS = {CLASSIFIER: "sightsound train", TRANSLATOR: "sightsound translate fit"}
WEIGHTS, IMPUTERS, CONFIG, LABELS, METRICS, CARD, SUMS = (
    "model.safetensors",
    "missing.safetensors",
    "config.json",
    "labels.json",
    "metrics.json",
    "README.md",
    "SHA256SUMS",
)


class Bundle(NamedTuple):
    """What a bundle holds: weights by name, the filled-in configuration, class names, metrics as in `metrics.json`.

    And, for each policy that fills in a missing sense, the weights of what does so.
    """

    weights: dict[str, Tensor]
    config: Config
    labels: list[str]
    metrics: dict[str, Any]
    imputers: dict[str, dict[str, Tensor]] = {}


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Writes all files of a classifier's bundle. Raises BundleError as `write_files` does."""
    imputers = {f"{policy}/{name}": x for policy, of in bundle.imputers.items() for name, x in of.items()}
    texts = {
        CONFIG: {"format": FORMAT, "kind": CLASSIFIER, "config": dataclasses.asdict(bundle.config)},
        LABELS: bundle.labels,
        METRICS: bundle.metrics,
    }
    write_files(folder, {WEIGHTS: bundle.weights, IMPUTERS: imputers}, texts, model_card(bundle))


def write_files(folder: Path, tensors: dict[str, dict[str, Tensor]], texts: dict[str, Any], card: str) -> None:
    """Writes a bundle; an older bundle at the same place is replaced at once.

    Args:
        folder: new, or a bundle.
        tensors: name of a file -> what it holds.
        texts: name of a file -> what it holds, as JSON.
        card: the text of README.md.

    Raises:
        BundleError: the place holds something else, or cannot be written.
    """
    if folder.exists() and not (folder / CONFIG).exists():
        raise BundleError(f"{folder}: something other than a bundle is there already. Give another name.")
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        for name, values in tensors.items():
            save_file({key: tensor.contiguous().cpu() for key, tensor in values.items()}, partial / name)
        for name, value in texts.items():
            (partial / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (partial / SUMS).write_text("".join(_sums(partial, [*tensors, *texts])))
        (partial / CARD).write_text(card, encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{folder}: the bundle cannot be written: {error}") from error
    finally:
        for left in [*folder.parent.glob(f".{folder.name}.partial-*"), *folder.parent.glob(f".{folder.name}.old-*")]:
            shutil.rmtree(left, ignore_errors=True)  # of this process, and of any that was killed


def read_bundle(folder: Path) -> Bundle:
    """Reads a classifier's bundle. Raises BundleError as `reading_files` does."""
    with reading_files(folder, CLASSIFIER, FORMAT, [WEIGHTS, IMPUTERS, CONFIG, LABELS, METRICS]) as saved:
        return Bundle(
            load_file(folder / WEIGHTS),
            from_dict(saved["config"]),
            json.loads((folder / LABELS).read_text(encoding="utf-8")),
            json.loads((folder / METRICS).read_text(encoding="utf-8")),
            _by_policy(load_file(folder / IMPUTERS)),
        )


@contextmanager
def reading_files(folder: Path, kind: str, newest: int, names: list[str]) -> Iterator[dict[str, Any]]:
    """Checks that nothing in a bundle was changed or lost; within, what is wrong with its files is a BundleError.

    Args:
        folder: of the bundle.
        kind: CLASSIFIER or TRANSLATOR, which is wanted.
        newest: the format that this version writes and reads.
        names: the files that it consists of.

    Yields:
        what is in `config.json`.

    Raises:
        BundleError: not a bundle, one of the other kind, damaged, or of a newer format than this version knows.
    """
    if not (folder / CONFIG).is_file():
        if (folder / "bundle" / CONFIG).is_file():
            raise BundleError(f"{folder}: this is a run folder; its bundle is {folder / 'bundle'}.")
        there = "there is no such folder" if not folder.exists() else f"it has no {CONFIG}"
        raise BundleError(f"{folder}: this is no bundle; {there}. `{VERBS[kind]}` writes one: RUN_FOLDER/bundle.")
    try:
        saved = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        found = saved.get("kind", CLASSIFIER)
        if found != kind:
            raise BundleError(
                f"{folder}: this is the bundle of a {found}; that of a {kind} is needed, which `{VERBS[kind]}` writes."
            )
        if saved["format"] > newest:
            raise BundleError(
                f"{folder}: written by a newer sightsound (bundle format {saved['format']}; this version reads up to "
                f"{newest}). Upgrade: pip install -U sightsound"
            )
        if saved["format"] < newest:
            raise BundleError(
                f"{folder}: written before the first release, by a sightsound whose networks are not those of today. "
                "Train it again, or take the version that wrote it."
            )
        saved_sums = (folder / SUMS).read_text()
        changed = [line.split()[1] for line in _sums(folder, names) if line not in saved_sums]
        if changed or saved_sums != "".join(_sums(folder, names)):
            name = changed[0] if changed else SUMS
            raise BundleError(f"{folder}: damaged; {name} is not what was saved. Copy the bundle again.")
        yield saved
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, ConfigError) as error:
        raise BundleError(f"{folder}: damaged ({error}). Copy the bundle again.") from error


def _by_policy(weights: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        policy, _, rest = name.partition("/")
        found.setdefault(policy, {})[rest] = tensor
    return found


def model_card(bundle: Bundle) -> str:
    """Markdown: what the classifier is, its numbers for each subset of the senses, its limits."""
    config, metrics = bundle.config, bundle.metrics
    lines = [
        "# A sightsound classifier",
        "",
        f"{len(bundle.labels)} classes: {', '.join(bundle.labels)}.",
        f"Senses: {' and '.join(config.modalities)}; fusion: `{config.fusion}`, schedule: `{config.schedule}`.",
        "",
    ]
    if metrics:
        lines += [
            f"Measured on {metrics['rows']} rows of the split `{metrics['split']}`, with 95 % bootstrap intervals:",
            "",
            "| senses | rows | accuracy | macro F1 | calibration error |",
            "|---|---|---|---|---|",
        ]
        for name, numbers in metrics["subsets"].items():
            low, high = numbers["accuracy_ci"]
            lines.append(
                f"| {name} | {numbers['rows']} | {numbers['accuracy']:.4f} ({low:.4f} to {high:.4f}) "
                f"| {numbers['macro_f1']:.4f} | {numbers['calibration_error']:.4f} |"
            )
        lines.append("")
    lines += [
        "Limits: it answers with one of its classes whatever it is given. The numbers hold for data like those it was",
        "tested on; rows that share a speaker, a place or a recording with training rows make them too good.",
        "",
        "```python",
        "import sightsound as ss",
        'classifier = ss.load("path/of/this/folder")',
        'classifier.predict(image="a.png", audio="a.wav")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _sums(folder: Path, names: list[str]) -> list[str]:
    """Lines as `sha256sum` writes them, of everything but the card, which people may edit."""
    lines = []
    for name in names:
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return lines
