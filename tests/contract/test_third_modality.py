"""A modality from outside the package, a row of numbers in a column, does all that image and audio do."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sightsound as ss
from sightsound.errors import BundleError, ConfigError, SightsoundError
from sightsound.modalities.base import MODALITIES
from tests.conftest import write_table
from tests.processes import python

PLUGIN = '''
"""Readings of a sensor: some numbers with blanks between, in the cells of a table."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sightsound.encoders.base import STAGES, Encoder
from sightsound.errors import FileError
from sightsound.modalities.base import MODALITIES, Augmentation, Features, Modality


@dataclass(frozen=True)
class SensorConfig:
    encoder: str = "dense"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    frozen: bool = False
    layer_decay: float = 0.8
    numbers: int | None = None
    noise: float = 0.05
    pretrained: dict[str, Any] | None = None


class Dense(Encoder):
    def __init__(self, shape, *, width=16):
        super().__init__()
        sizes = [*shape, width, width, width]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Linear(sizes[k], sizes[k + 1]), nn.ReLU()) for k in range(STAGES)
        )
        self.stage_channels, self.pool, self.embedding_size = sizes[1:], nn.Identity(), width


def read(given, numbers):
    text = bytes(given).decode()
    try:
        values = np.array(text.split(), np.float32)
    except ValueError:
        raise FileError(text, "these are no numbers") from None
    if len(values) != numbers:
        raise FileError(text, f"{len(values)} numbers, and not {numbers}")
    return values


def count(given):
    return np.array([len(bytes(given).split())], np.float64)


class Sensor(Modality):
    name, noun, plural = "sensor", "a reading", "readings"
    options = SensorConfig
    headers = sizes = ("numbers",)
    in_cells = True
    augmented = ("decoded",)
    corruptions = ("offset",)
    lost_part = "dead channels"
    encoders = {"dense": Dense}
    read = staticmethod(read)
    header = staticmethod(count)

    def read_options(self, options):
        return {"numbers": options.numbers}

    def given(self, value):
        return value.encode() if isinstance(value, str) else value

    def complete(self, options, headers):
        return replace(options, numbers=options.numbers or int(np.median(headers)))

    def blank(self, options):
        return torch.zeros(options.numbers)

    def features(self, options):
        return Features(nn.Identity(), 0, (options.numbers,))

    def augmentation(self, config):
        noise = config.sensor.noise
        return Augmentation(decoded=lambda values: values + noise * torch.randn_like(values))

    def corrupt(self, name, rows, severity, options, rng):
        return rows + np.float32(severity)

    def lose(self, row, share, options, rng):
        return rng.random(row.shape) < share

    def interpolate(self, row, lost, method, options):
        return np.where(lost, row[~lost].mean(), row)

    def describe(self, options):
        return f"{options.numbers} numbers, encoder {options.encoder}"


MODALITIES["sensor"] = Sensor()
'''
BOTH = "--plugins", "sensor_plugin", "--modalities", "image,audio,sensor"
QUICK = "--epochs", 8, "--batch_size", 16
FEW = "--epochs", 1, "--batch_size", 16, "--on_bad_file", "skip"


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "sensor_plugin.py").write_text(PLUGIN)
    sys.path.append(str(folder))
    yield folder
    sys.path.remove(str(folder))
    MODALITIES.pop("sensor", None)
    sys.modules.pop("sensor_plugin", None)


@pytest.fixture(scope="module")
def sensed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of three modalities, of which each is missing in some rows."""
    table = write_table(tmp_path_factory.mktemp("sensed") / "data", rows_per_class=40)
    frame, rng = pd.read_csv(table, keep_default_na=False), np.random.default_rng(0)
    middle = frame["label"].map({"low": -1.0, "middle": 0.0, "high": 1.0})
    readings = middle.to_numpy()[:, None] + 0.5 * rng.standard_normal((len(frame), 4))
    frame["sensor"] = [" ".join(f"{value:.4f}" for value in row) for row in readings]
    for i, m in enumerate(("image", "audio", "sensor")):
        frame.loc[i::11, m] = ""
    frame.to_csv(table, index=False)
    return table


@pytest.fixture(scope="module")
def run(sensed: Path, tmp_path_factory: pytest.TempPathFactory, plugin: Path) -> Path:
    out = tmp_path_factory.mktemp("sensed_run") / "run"
    arguments = ["train", sensed, *BOTH, *QUICK, "--sensor.noise", 0.1, "--out", out]
    code = (
        f"import sys; sys.path.append({str(plugin)!r}); sys.argv = ['sightsound', *{[str(a) for a in arguments]!r}];"
        "from sightsound import cli; cli.main()"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    return out


def test_it_trains_and_every_subset_is_measured(run: Path) -> None:
    metrics = json.loads((run / "bundle" / "metrics.json").read_text())["subsets"]
    pairs = {"image+audio", "image+sensor", "audio+sensor"}
    assert set(metrics) == {"image+audio+sensor", *pairs, "image", "audio", "sensor", "as given"}
    for name in ("image+audio+sensor", *pairs):
        better = max(metrics[m]["accuracy"] for m in name.split("+"))
        assert metrics[name]["accuracy"] >= better - 0.1, name
    config = json.loads((run / "bundle" / "config.json").read_text())["config"]
    assert config["sensor"]["numbers"] == 4 and config["sensor"]["noise"] == 0.1
    assert config["plugins"] == ["sensor_plugin"] and config["columns"]["sensor"] == "sensor"
    assert (run / "report.html").exists()


def test_a_bundle_needs_trust_or_the_module(run: Path, typed) -> None:
    sys.modules.pop("sensor_plugin", None)
    MODALITIES.pop("sensor", None)
    with pytest.raises(SightsoundError, match="sensor_plugin.*trust"):
        ss.load(run / "bundle")
    classifier = ss.load(run / "bundle", trust=True)
    assert classifier.predict(sensor="1 1 1 1").present == ("sensor",)
    done = typed("predict", run / "bundle", "--sensor", "-1 -1 -1 -1", "--plugins", "sensor_plugin", "--format", "json")
    assert done.code == 0 and json.loads(done.out)["label"] == "low", done.err


def test_any_subset_is_answered(run: Path, sensed: Path) -> None:
    classifier = ss.load(run / "bundle", trust=True)
    given = {"image": sensed.parent / "high-1.png", "audio": sensed.parent / "high-1.wav", "sensor": "1 1.1 0.9 1"}
    for subset in (("image",), ("sensor",), ("image", "sensor"), ("audio", "sensor"), tuple(given)):
        answer = classifier.predict(**{m: given[m] for m in subset})
        assert answer.present == subset and answer.label == "high"
    with pytest.raises(SightsoundError, match="no numbers"):
        classifier.predict(sensor="a b c d")
    answers = classifier.predict_table(sensed)
    assert {"sensor_only", "sensor_ood_score"} <= set(answers) and answers["predicted"].notna().all()
    bad = pd.read_csv(sensed, keep_default_na=False).assign(image="", audio="").head(3)
    bad.loc[1, "sensor"] = "1 2 three 4"
    found = classifier.predict_table(bad.assign(sensor=[*bad["sensor"]]))
    assert "no numbers" in found["error"].iloc[1]


def test_it_is_damaged_imputed_and_compared(run: Path, sensed: Path, typed, tmp_path: Path) -> None:
    done = typed(
        "robustness", run / "bundle", sensed, "--plugins", "sensor_plugin", "--rows", 4, "--out", tmp_path / "robust"
    )
    assert done.code == 0, done.err
    frame = pd.read_csv(tmp_path / "robust" / "robustness.csv", keep_default_na=False)
    assert {"offset", "dead channels", "missing"} <= set(frame.loc[frame["modality"] == "sensor", "kind"])
    done = typed("evaluate", run / "bundle", sensed, "--plugins", "sensor_plugin", "--missing.sensor", "predict")
    assert done.code == 0 and "image+audio+sensor" in done.out, done.err
    out = tmp_path / "compared"
    options = "--strategies", "concat,vote", "--seeds", 1, "--out", out
    done = typed("compare", sensed, *BOTH, "--epochs", 1, "--batch_size", 16, *options)
    assert done.code == 0, done.err
    names = set(pd.read_csv(out / "compare.csv")["name"])
    assert names == {"concat", "vote", "image only", "audio only", "sensor only"}


def test_a_table_with_it_is_inspected_and_classifiers_without_it_go_on(sensed: Path, typed, tmp_path: Path) -> None:
    sys.modules.pop("sensor_plugin", None)
    MODALITIES.pop("sensor", None)
    options = {"epochs": 1, "batch_size": 16, "out": tmp_path / "two", "say": lambda line: None}
    of_two = ss.train(sensed, on_bad_file="skip", **options)
    done = typed("inspect", sensed, "--plugins", "sensor_plugin")
    assert done.code == 0 and "with sensor" in done.out, done.err
    assert "sensor" in MODALITIES
    assert len(of_two.predict_table(sensed)) == len(pd.read_csv(sensed))


def test_a_bundle_names_the_module_of_a_modality_that_was_only_imported(sensed: Path, tmp_path: Path) -> None:
    sys.modules.pop("sensor_plugin", None)
    MODALITIES.pop("sensor", None)
    importlib.import_module("sensor_plugin")
    options = {"epochs": 1, "batch_size": 16, "on_bad_file": "skip", "say": lambda line: None}
    trained = ss.train(sensed, modalities=("sensor",), out=tmp_path / "run", **options)
    assert trained.config.plugins == ("sensor_plugin",)
    MODALITIES.pop("sensor")
    with pytest.raises(BundleError, match="modality 'sensor', which is not registered here"):
        ss.load(tmp_path / "run" / "bundle", trust=True)  # the module is imported, and has registered nothing again
    sys.modules.pop("sensor_plugin")
    with pytest.raises(BundleError, match="plugin 'sensor_plugin'.*trust"):
        ss.load(tmp_path / "run" / "bundle")
    assert ss.load(tmp_path / "run" / "bundle", trust=True).predict(sensor="1 1 1 1").present == ("sensor",)


def test_rows_read_by_other_code_are_not_taken_from_the_cache(sensed: Path, typed, tmp_path: Path) -> None:
    """Two plugins that differ in `read` alone, beside each other over one cache."""
    (tmp_path / "doubled_plugin.py").write_text(PLUGIN.replace("return values\n", "return 2 * values\n"))
    sys.path.append(str(tmp_path))
    weights = []
    for name in ("sensor_plugin", "doubled_plugin"):
        MODALITIES.pop("sensor", None)
        sys.modules.pop(name, None)
        out = tmp_path / name
        done = typed(
            "train", sensed, "--plugins", name, "--modalities", "sensor", "--on_bad_file", "skip", *FEW, "--out", out
        )
        assert done.code == 0, done.err
        weights.append(ss.load(out / "bundle", trust=True).network.standardize["sensor"].std.item())
    sys.path.remove(str(tmp_path))
    assert weights[1] == pytest.approx(2 * weights[0], rel=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('name, noun, plural = "sensor"', 'name, noun, plural = "columns"'), "cannot be called 'columns'"),
        (("    read = staticmethod(read)", "    read = read"), "lacks read as a static method"),
        (("    def blank(", "    def empty("), "lacks blank"),
        (("    options = SensorConfig", ""), "lacks options"),
        (("class Sensor(Modality):", "raise SystemExit('bye')\nclass Sensor(Modality):"), "SystemExit: bye"),
    ],
)
def test_a_modality_that_is_not_whole_is_said_to_be(
    change: tuple[str, str], said: str, sensed: Path, typed, tmp_path: Path
) -> None:
    MODALITIES.pop("sensor", None)
    text = PLUGIN.replace(*change).replace('MODALITIES["sensor"] = Sensor()', "MODALITIES[Sensor.name] = Sensor()")
    (tmp_path / "broken_plugin.py").write_text(text)
    sys.path.append(str(tmp_path))
    sys.modules.pop("broken_plugin", None)
    done = typed("train", sensed, "--plugins", "broken_plugin", *BOTH[2:], "--out", tmp_path / "run")
    sys.path.remove(str(tmp_path))
    for name in ("sensor", "columns"):
        MODALITIES.pop(name, None)
    assert done.code == 1 and said in done.err and "Traceback" not in done.err, done.err


def test_without_the_plugin_the_name_is_not_known() -> None:
    sys.modules.pop("sensor_plugin", None)
    MODALITIES.pop("sensor", None)
    with pytest.raises(ConfigError, match="--plugins"):
        ss.Config(modalities=("image", "sensor"))
