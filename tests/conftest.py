"""Small real files that every test can use: shapes that hum, three classes, learned within seconds."""

import functools
import gc
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sightsound as ss
from sightsound import cli
from sightsound.data.sources.base import write_wav
from tests.originals import Handler, write_fsdd, write_mnist
from tests.processes import WHOLE, shorten, size_networks

CLASSES = {"low": 300.0, "middle": 900.0, "high": 2200.0}
RATE = 8000
TRAIN_ONCE = {
    "tests/data/test_digits.py",
    "tests/docs/test_configs_and_examples.py",
    "tests/e2e/test_translate.py",
    "tests/studies/comparison/test_compare.py",
    "tests/studies/robustness/test_study.py",
}
TRAINED = {  # options of the run that many tests share: networks of the width that users have
    "epochs": 60,
    "batch_size": 16,
    "image": {"encoder": "resnet", "encoder_options": WHOLE["resnet"]},
    "audio": {"encoder": "convnet", "encoder_options": WHOLE["convnet"]},
}


def pytest_configure(config: pytest.Config) -> None:
    """Prepares a process that runs tests; one that hands them out to workers needs none of the libraries."""
    works = "PYTEST_XDIST_WORKER" in os.environ
    if config.getoption("numprocesses", None) and not works:
        return
    import torch

    gc.set_threshold(100_000, 20, 100)  # as the command line does
    if works:  # there are as many as cores: two threads each would wait for each other
        os.environ["OMP_NUM_THREADS"] = "1"  # of the commands that tests start
        torch.set_num_threads(1)
    seed()  # what test files draw when they are imported


def seed() -> None:
    """Seeds everything that draws."""
    from sightsound.hardware import reseed

    reseed(0)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nobody asks for it
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests that share a long training run in one worker, which trains once; all others wherever there is time."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", maxsplit=1)[0]
            return file if file in TRAIN_ONCE else nodeid

    return Scheduling(config, log)


def write_image(path: Path, label: str, rng: np.random.Generator) -> None:
    """16 x 16: a bar at a height that tells the class."""
    pixels = rng.integers(0, 60, (16, 16), dtype=np.uint8)
    row = 2 + 5 * list(CLASSES).index(label)
    pixels[row : row + 3] += 150
    Image.fromarray(pixels).save(path)


def write_sound(path: Path, label: str, rng: np.random.Generator) -> None:
    """0.3 s: a tone at a frequency that tells the class."""
    time = np.arange(int(0.3 * RATE)) / RATE
    tone = 0.5 * np.sin(2 * np.pi * CLASSES[label] * rng.uniform(0.9, 1.1) * time)
    write_wav(path, tone + rng.normal(0, 0.05, len(time)), RATE)


def write_table(folder: Path, rows_per_class: int = 20, seed: int = 0) -> Path:
    """Files and `table.csv` with the columns image, audio, label."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for label in CLASSES:
        for i in range(rows_per_class):
            image, sound = f"{label}-{i}.png", f"{label}-{i}.wav"
            write_image(folder / image, label, rng)
            write_sound(folder / sound, label, rng)
            rows.append({"image": image, "audio": sound, "label": label})
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws without a seed of its own is the same each time."""
    seed()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared data of tests are kept in a folder of their own, which all workers share; commands inherit it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    os.environ["SIGHTSOUND_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _short() -> Iterator[None]:
    """What takes minutes in all, and few tests look at."""
    with pytest.MonkeyPatch.context() as patched:
        shorten(patched)
        yield


@pytest.fixture(scope="module")
def whole_networks() -> Iterator[None]:
    """The small networks have the width that users have."""
    with pytest.MonkeyPatch.context() as patched:
        size_networks(patched, WHOLE)
        yield


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A fresh table of 60 rows that a test may damage."""
    return write_table(tmp_path / "data")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table and a finished run on it; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    table = write_table(folder / "data")
    ss.train(table, out=folder / "run", **TRAINED)
    return table, folder / "run"


class Typed:
    """What came of a command: exit code, standard output, standard error."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs `sightsound ...` in this process as if it had been typed."""

    def run(*arguments: object) -> Typed:
        monkeypatch.setattr("sys.argv", ["sightsound", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Typed(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `mnist/` and `fsdd/recordings/`."""
    root = tmp_path_factory.mktemp("root")
    write_mnist(root / "mnist")
    write_fsdd(root / "fsdd" / "recordings")
    return root


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An address and the folder behind it."""
    folder = tmp_path / "served"
    folder.mkdir()
    Handler.cut = set()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as web:
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}", folder
        web.shutdown()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is empty."""
    monkeypatch.setenv("SIGHTSOUND_CACHE", str(tmp_path / "own-cache"))
    return tmp_path / "own-cache"
