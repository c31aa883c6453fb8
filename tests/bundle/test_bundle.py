"""Bundles: what was saved is what is loaded, and whatever happened to the folder is said."""

import json
import os
import shutil
import subprocess
from pathlib import Path

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
