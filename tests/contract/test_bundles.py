"""A bundle may come from anyone: nothing in it runs, and whatever stands in its files is loaded or refused in words."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import sightsound as ss
from sightsound.bundle import model_card, read_bundle
from sightsound.bundle.files import SUMS, _sums
from sightsound.cli.tables import metrics_table
from sightsound.errors import BundleError, ConfigError, SightsoundError

EVIL = "import pathlib\npathlib.Path('touched').touch()\n\n\nclass Thing:\n    pass\n"
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 10**9, 10**18, 10**400, -(10**9), 1e-300, 1e300, float("nan"), float("inf")]),
    st.sampled_from(["", "a", "a.b", "..a.B", "os.path", "evil_module.Thing", "x" * 1000, "hf:", "-relu", "\x00"]),
    st.sampled_from(
        [[], {}, [[]], ["a", "a"], ["a", 1], [None], {"a": {}}, {"model": {}}, {"model": {"model_type": 5}}]
    ),
)


def sign(bundle: Path) -> None:
    """Writes the checksums of the files as they are now, as whoever changes them can."""
    names = [line.split()[1] for line in (bundle / SUMS).read_text().splitlines()]
    (bundle / SUMS).write_text(_sums({name: (bundle / name).read_bytes() for name in names}))


def changed(bundle: Path, name: str, change: Any) -> Path:
    content = json.loads((bundle / name).read_text())
    (bundle / name).write_text(json.dumps(change(content)))
    sign(bundle)
    return bundle


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a value that JSON holds."""
    yield path
    for key, inside in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inside, (*path, key))


def put(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    found = copy.deepcopy(value)
    inside = found
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = junk
    return found


@pytest.fixture(scope="module")
def sound(trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(trained[1] / "bundle", tmp_path_factory.mktemp("fuzz") / "bundle"))


@pytest.mark.parametrize("name", ["config.json", "labels.json", "metrics.json"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_value_may_be_wrong(sound: Path, trained: tuple[Path, Path], name: str, data: st.DataObject) -> None:
    content = json.loads((sound / name).read_text())
    path = data.draw(st.sampled_from(list(places(content))))
    bundle = Path(shutil.copytree(sound, sound.parent / "copy", dirs_exist_ok=True))
    allocated = _Allocated()
    try:
        with allocated:
            classifier = ss.load(changed(bundle, name, lambda value: put(value, path, data.draw(JUNK))))
    except BundleError as error:
        assert str(bundle) in str(error)
        return
    finally:
        assert allocated.most < 100_000_000
    assert "A sightsound classifier" in model_card(read_bundle(bundle))
    if classifier.metrics:
        assert metrics_table(classifier.metrics)
    try:
        answer = classifier.predict(image=trained[0].parent / "low-1.png")
    except SightsoundError:  # a policy that it was not fitted for
        return
    assert len(answer.probabilities) == len(classifier.classes_)


@pytest.mark.parametrize("plugins", [None, 7, "evil", ["evil", 3], [["evil"]]])
@pytest.mark.parametrize("trust", [False, True])
def test_plugins_that_are_no_list_of_names(plugins: object, trust: bool, sound: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(sound, tmp_path / "bundle"))
    changed(bundle, "config.json", lambda saved: put(saved, ("config", "plugins"), plugins))
    with pytest.raises(BundleError, match="list of modules' names"):
        ss.load(bundle, trust=trust)


@pytest.mark.parametrize(
    "sizes",
    [
        {"image": {"height": 16_384, "width": 16_384}},
        {"audio": {"window_ms": 10_000.0, "sample_rate_hz": 768_000}},
        {"audio": {"clip_seconds": 3600.0, "sample_rate_hz": 768_000}},
    ],
    ids=str,
)
def test_sizes_that_fill_the_memory_together(sizes: dict[str, dict[str, float]], sound: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(sound, tmp_path / "bundle"))

    def larger(saved: dict[str, Any]) -> dict[str, Any]:
        for section, values in sizes.items():
            saved["config"][section] |= values
        return saved

    changed(bundle, "config.json", larger)
    with _Allocated() as allocated, pytest.raises(BundleError, match="the product must be at most"):
        ss.load(bundle)
    assert allocated.most < 10_000_000


def test_a_strategy_that_is_left_open(sound: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(sound, tmp_path / "bundle"))

    def open_again(saved: dict[str, Any]) -> dict[str, Any]:
        saved["config"]["fusion"] = "auto"
        return saved

    changed(bundle, "config.json", open_again)
    with pytest.raises(BundleError, match="fusion is auto, and a trained classifier has a strategy"):
        ss.load(bundle)


@pytest.mark.parametrize("fusion", ["stacking", "concat", "tensor"])
@pytest.mark.parametrize("columns", [0, None])
def test_a_fusion_larger_than_its_weights_is_not_built(
    fusion: str, columns: int | None, sound: Path, tmp_path: Path
) -> None:
    """20,000 classes: `stacking` alone would take 3 GB, for heads that take nothing or a few megabytes in the file."""
    bundle = Path(shutil.copytree(sound, tmp_path / "bundle"))
    weights = load_file(bundle / "model.safetensors")
    for m in ("image", "audio"):
        size = weights[f"heads.{m}.weight"].shape[1] if columns is None else columns
        weights |= {f"heads.{m}.weight": torch.zeros(20_000, size), f"heads.{m}.bias": torch.zeros(20_000)}
    save_file(weights, bundle / "model.safetensors")
    changed(bundle, "labels.json", lambda labels: [str(i) for i in range(20_000)])
    changed(bundle, "config.json", lambda saved: put(saved, ("config", "fusion"), fusion))
    changed(bundle, "config.json", lambda saved: put(saved, ("config", "fusion_options"), {}))
    with _Allocated() as allocated, pytest.raises(BundleError, match="the weights are not those of"):
        ss.load(bundle)
    assert allocated.most < 20_000_000  # the heads


@pytest.mark.parametrize(
    ("path", "name", "options"),
    [
        (("fusion",), "concat", {"width": 4096}),
        (("fusion",), "bilinear", {"rank": 4096, "width": 4096}),
        (("fusion",), "tensor", {"size": 4096, "width": 4096}),
        (("fusion",), "transformer", {"layers": 64, "width": 4096, "heads": 64}),
        (("image", "encoder"), "resnet", {"width": 4096}),
        (("audio", "encoder"), "bilstm", {"cells": 4096, "embedding_size": 4096}),
    ],
)
def test_options_larger_than_the_weights_are_not_built(
    path: tuple[str, ...], name: str, options: dict[str, int], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(trained[1] / "bundle", tmp_path / "bundle"))
    of_options = (*path[:-1], f"{path[-1]}_options")
    changed(
        bundle, "config.json", lambda saved: put(put(saved, ("config", *path), name), ("config", *of_options), options)
    )
    with _Allocated() as allocated, pytest.raises(BundleError, match="the weights are not those of"):
        ss.load(bundle)
    assert allocated.most < 10_000_000


def test_a_policy_without_an_imputer(trained: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(trained[1] / "bundle", tmp_path / "bundle"))
    changed(bundle, "config.json", lambda saved: put(saved, ("config", "missing", "audio"), "mean"))
    assert ss.load(bundle).predict(image=trained[0].parent / "low-0.png").imputed["audio"].policy == "mean"
    weights = load_file(bundle / "missing.safetensors")
    save_file({k: v for k, v in weights.items() if not k.startswith("mean/")}, bundle / "missing.safetensors")
    sign(bundle)
    with pytest.raises(BundleError, match="missing.audio is mean, and no imputer"):
        ss.load(bundle)


@pytest.mark.parametrize("options", [{"width": 10**18}, {"width": [64]}, {"depth": 3}, {"width": 0}], ids=str)
def test_options_that_a_strategy_does_not_take(
    options: dict[str, Any], trained: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(trained[1] / "bundle", tmp_path / "bundle"))
    changed(bundle, "config.json", lambda saved: put(saved, ("config", "fusion_options"), options))
    with pytest.raises(BundleError, match="fusion\\.(width|depth)"):
        ss.load(bundle)


class _Allocated(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers the largest tensor that was made, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple | list) else [found]:
            if isinstance(one, torch.Tensor) and one.device.type != "meta":
                self.most = max(self.most, one.numel() * one.element_size())
        return found


@pytest.mark.parametrize("path", [("fusion",), ("image", "encoder"), ("audio", "encoder"), ("policy",)], ids=str)
def test_a_class_of_ones_own_is_imported_only_if_trusted(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    bundle = Path(shutil.copytree(trained[1] / "bundle", tmp_path / "bundle"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"evil_{'_'.join(path)}"
    (tmp_path / f"{module}.py").write_text(EVIL)
    if path == ("policy",):
        imputers = load_file(bundle / "missing.safetensors")
        save_file(
            {f"{module}.Thing/{k.partition('/')[2]}": v for k, v in imputers.items()}, bundle / "missing.safetensors"
        )
        sign(bundle)
    else:
        changed(bundle, "config.json", lambda value: put(value, ("config", *path), f"{module}.Thing"))
    with pytest.raises(BundleError, match=rf"{module}\.Thing.*trust=True.*--trust"):
        ss.load(bundle)
    assert not (tmp_path / "touched").exists()
    with pytest.raises(BundleError, match=rf"{module}\.Thing.*derived from sightsound"):
        ss.load(bundle, trust=True)
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "typed_call",
    [
        ["predict", "BUNDLE", "--image", "x.png"],
        ["inspect", "BUNDLE"],
        ["evaluate", "BUNDLE", "TABLE"],
        ["evaluate", "BUNDLE", "TABLE", "--learning-curve", "--out", "OUT"],
        ["robustness", "BUNDLE", "TABLE", "--out", "OUT"],
    ],
    ids=lambda call: " ".join(call[:1] + call[3:4]),
)
def test_no_verb_runs_code_of_a_bundle(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Any, typed_call: list[str]
) -> None:
    bundle = Path(shutil.copytree(trained[1] / "bundle", tmp_path / "bundle"))
    changed(bundle, "config.json", lambda value: put(value, ("config", "fusion"), "evil_verb.Thing"))
    (tmp_path / "evil_verb.py").write_text(EVIL)
    monkeypatch.chdir(tmp_path)
    given = {"BUNDLE": str(bundle), "TABLE": str(trained[0]), "OUT": str(tmp_path / "out")}
    done = typed(*[given.get(word, word) for word in typed_call])
    assert done.code == 1 and "evil_verb.Thing" in done.err and "--trust" in done.err
    assert not (tmp_path / "touched").exists()


FAULTS = {
    "absent_module.Thing": "No module named",
    "os.path": "derived from sightsound",
    "os.sep": "derived from sightsound",
    "torch.nn.Linear": "derived from sightsound",
    "..a.B": "There is no",
    "a..B": "There is no",
    "conca": "Did you mean|There is no",
    "with_syntax_error.Thing": "SyntaxError",
    "raising.Thing": "ValueError: at import.*raising.py, line 1",
    "empty_module.Thing": "it has no 'Thing'",
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("option", ["fusion", "image", "missing"])
def test_a_class_that_cannot_be_used_is_said(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, name: str
) -> None:
    (tmp_path / "with_syntax_error.py").write_text("def f(:\n")
    (tmp_path / "raising.py").write_text("raise ValueError('at import')\n")
    (tmp_path / "empty_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    given: dict[str, Any] = {option: {"encoder": name} if option == "image" else name}
    with pytest.raises(ConfigError, match=FAULTS[name] if "." in name else "."):
        ss.train(table, out=tmp_path / "run", epochs=1, **given)
    assert not (tmp_path / "run" / "bundle").exists()
