"""Bundles: what was saved is what is loaded, and whatever happened to the folder is said."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sightsound as ss
from sightsound.bundle import read_bundle
from sightsound.errors import BundleError


@pytest.fixture
def bundle(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[1] / "bundle", tmp_path / "my.bundle"))


def test_round_trip(trained: tuple[Path, Path], bundle: Path, tmp_path: Path) -> None:
    table, _ = trained
    first = ss.load(bundle)
    first.save(tmp_path / "again.bundle")
    second = ss.load(tmp_path / "again.bundle")
    pair = {"image": table.parent / "low-1.png", "audio": table.parent / "low-1.wav"}
    assert first.predict(**pair) == second.predict(**pair)
    for name in ("model.safetensors", "config.json", "labels.json", "metrics.json", "README.md"):
        assert (bundle / name).read_bytes() == (tmp_path / "again.bundle" / name).read_bytes()


def test_it_can_be_checked_with_standard_tools(bundle: Path) -> None:
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=bundle, check=True, capture_output=True)


def test_nothing_in_it_is_a_pickle(bundle: Path) -> None:
    assert {p.suffix for p in bundle.iterdir()} == {".safetensors", ".json", ".md", ""}
    assert not any(p.read_bytes().startswith((b"\x80", b"PK")) for p in bundle.iterdir() if p.suffix != ".safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "labels.json", "metrics.json", "SHA256SUMS"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_a_flipped_bit_is_found(bundle: Path, name: str, place: float) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[int(place * len(content))] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match="damaged") as caught:
        ss.load(bundle)
    assert str(bundle) in str(caught.value)


def test_a_lost_file_is_found(bundle: Path) -> None:
    (bundle / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"damaged.*model\.safetensors"):
        ss.load(bundle)


def test_an_older_format_says_what_to_do(bundle: Path) -> None:
    saved = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps({**saved, "format": 1}))
    with pytest.raises(BundleError, match="before the first release.*Train it again"):
        read_bundle(bundle)


def test_a_newer_format_says_what_to_do(bundle: Path) -> None:
    saved = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps({**saved, "format": 99, "new": "thing"}))
    with pytest.raises(BundleError, match=r"newer sightsound \(bundle format 99.*pip install -U"):
        ss.load(bundle)


def test_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no such folder.*sightsound train"):
        ss.load(tmp_path / "gone")
    with pytest.raises(BundleError, match=r"it has no config\.json"):
        ss.load(tmp_path)


def test_saving_replaces_a_bundle_but_nothing_else(bundle: Path, tmp_path: Path) -> None:
    classifier = ss.load(bundle)
    classifier.save(bundle)
    assert read_bundle(bundle).labels == classifier.classes_.tolist()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="something other than a bundle"):
        classifier.save(tmp_path / "precious")
    assert (tmp_path / "precious" / "thesis.txt").exists()
    assert not list(tmp_path.glob(".*"))


def test_the_card_has_the_numbers(bundle: Path) -> None:
    card = (bundle / "README.md").read_text()
    accuracy = json.loads((bundle / "metrics.json").read_text())["subsets"]["image+audio"]["accuracy"]
    assert f"| {accuracy:.4f} (" in card and "high, low, middle" in card


@pytest.mark.parametrize("name", ["config.json", "labels.json", "model.safetensors"])
@pytest.mark.parametrize("device", ["/dev/zero", "pipe"])
def test_a_link_to_a_device_or_a_pipe_is_not_read(bundle: Path, name: str, device: str) -> None:
    (bundle / name).unlink()
    if device == "pipe":
        os.mkfifo(bundle / name)
    else:
        (bundle / name).symlink_to(device)
    with pytest.raises(BundleError, match="no regular file|has no config.json"):
        ss.load(bundle)


def rewritten(bundle: Path, name: str, change: Callable[[Any], None]) -> None:
    """Changes a JSON file of a bundle, and its checksum."""
    content = json.loads((bundle / name).read_text())
    change(content)
    (bundle / name).write_text(json.dumps(content))
    sums = (bundle / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    lines = [f"{digest}  {name}" if line.endswith(f"  {name}") else line for line in sums]
    (bundle / "SHA256SUMS").write_text("\n".join(lines) + "\n")


def test_a_decision_is_kept(bundle: Path) -> None:
    decision = {"factors": {"high": 1.0, "low": 2.0, "middle": 1.0}, "thresholds": {"image": {"low": 0.2}}}
    rewritten(bundle, "config.json", lambda content: content.update(decision=decision))
    assert ss.load(bundle).network.decision.named(["high", "low", "middle"]) == decision
    rewritten(bundle, "config.json", lambda content: content.pop("decision"))  # as before there were any
    assert not ss.load(bundle).network.decision


@pytest.mark.parametrize(
    "decision",
    [
        {"factors": {"low": 1.0}},
        {"factors": {"high": 0.0, "low": 1.0, "middle": 1.0}},
        {"factors": []},
        {"thresholds": {"image": {"low": 2}}},
        {"thresholds": {"image": {"none": 0.2}}},
        {"thresholds": {"audio+image": {"low": 0.2}}},
        {"thresholds": {"": {"low": 0.2}}},
        {"thresholds": {"image": 3}},
        {"thresholds": [1]},
        [1],
    ],
)
def test_a_decision_that_is_none_is_refused(decision: Any, bundle: Path) -> None:
    rewritten(bundle, "config.json", lambda content: content.update(decision=decision))
    with pytest.raises(BundleError, match="damaged"):
        ss.load(bundle)


@pytest.mark.parametrize("value", ["ab", [1], {}, "<b>"])
def test_metrics_of_a_class_that_are_none_are_refused(value: Any, bundle: Path) -> None:
    def change(metrics: Any) -> None:
        metrics["subsets"]["image"]["per_class"]["low"] |= {"recall_ci": value, "recall": value}

    rewritten(bundle, "metrics.json", change)
    with pytest.raises(BundleError, match="recall and precision of each class"):
        ss.load(bundle)
