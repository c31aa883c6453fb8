"""Commands and code in processes of their own, without the seconds that importing torch takes each time.

A server imports the libraries once and forks a process for each command: one that has a number of its own, pipes,
an environment and a working directory, and that can be killed. What starts as a user's shell starts it (the first
import, the console's encoding, a pipe) is tested with `subprocess` instead.
"""

import io
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["jsonargparse", "matplotlib.pyplot", "pytest", "scipy.ndimage", "sklearn.metrics", "torch._dynamo"]
    + ["torch.utils.tensorboard", "sightsound.api", "sightsound.cli.train", "sightsound.modalities.audio"]
    + ["sightsound.modalities.image"]
)


def small_alone(m: str, options: Any) -> list[Any]:
    """Lists the encoders to choose from, as on a computer without pretrained ones."""
    from sightsound.modalities.base import modality
    from sightsound.training.encoder_trials import Candidate

    return [Candidate(m, modality(m).small_encoder, False)]


SHORT = {  # by tests and their processes done less than by the package: what few tests look at
    "sightsound.studies.comparison.cost.MANY": 32,  # rows whose latency is measured
    "sightsound.studies.comparison.cost.REPEATS": 1,
    "sightsound.training.prepare.MOST_EPOCHS": 25,
    "sightsound.training.views.VIEWS": 0,
    "sightsound.training.fusion_choice.FEW_ROWS_A_CLASS": 0,  # most tests have few rows, and are about what is trained
    "sightsound.missing.impute.PASSES": 15,  # of the training of imputers
    "sightsound.training.encoder_choice.candidates": small_alone,
    "sightsound.translation.decoders.flow.HIDDEN": 128,
    "sightsound.translation.training.DECODER_BATCH": 32,
    "sightsound.translation.training.FLOW_BATCH": 128,
    "sightsound.translation.training.MOST_VIEWS": 8,
}


EVERY_EPOCH = {"sightsound.training.loop.SECONDS_BETWEEN_CHECKPOINTS": 0}  # a checkpoint after each
WHOLE = {"resnet": {"width": 16, "embedding_size": 128}, "convnet": {"width": 16}}  # the package's default networks
NARROW = {"resnet": {"width": 4, "embedding_size": 32}, "convnet": {"width": 4}}


def shorten(patched: pytest.MonkeyPatch) -> None:
    """Makes tests short by `SHORT`, and by default networks of a quarter of the width."""
    for name, value in SHORT.items():
        patched.setattr(name, value)
    size_networks(patched, NARROW)


def size_networks(patched: pytest.MonkeyPatch, sizes: dict[str, dict[str, int]]) -> None:
    """Changes the default options of the small networks."""
    from sightsound.encoders.audio import ConvNet
    from sightsound.encoders.image import ResNet

    for kind, name in ((ResNet, "resnet"), (ConvNet, "convnet")):
        for option, value in sizes[name].items():
            patched.setitem(kind.__init__.__kwdefaults__, option, value)


class Done(NamedTuple):
    """A process that has ended; its exit code is negative where a signal ended it."""

    returncode: int
    stdout: str
    stderr: str


class Started:
    """A process that works: `python` with these words, which are `-c code ...` or `-m module ...`.

    What it does is as short as in tests, with more that is `patched`; `whole_networks` have the width that users have.
    """

    def __init__(
        self, *words: object, whole_networks: bool = False, patched: Mapping[str, object] | None = None
    ) -> None:
        pipes = [os.pipe(), os.pipe()]
        ends = [Connection(write, readable=False) for _, write in pipes]
        given = ([*map(str, words)], os.getcwd(), dict(os.environ), *ends, whole_networks, patched or {})
        self.process = SERVER.Process(target=_work, args=given)
        self.process.start()
        for end in ends:
            end.close()
        self.stdout, self.stderr = (os.fdopen(read) for read, _ in pipes)

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def runs(self) -> bool:
        return self.process.is_alive()

    def send_signal(self, number: int) -> None:
        if self.runs():
            os.kill(self.pid, number)

    def end(self) -> Done:
        """Waits for the end."""
        with ThreadPoolExecutor(2) as readers:
            out, err = readers.map(lambda pipe: "" if pipe.closed else pipe.read(), (self.stdout, self.stderr))
        self.process.join()
        assert self.process.exitcode is not None
        self.stdout.close()
        self.stderr.close()
        return Done(self.process.exitcode, out, err)


def python(*words: object, whole_networks: bool = False) -> Done:
    """What comes of `python` with these words."""
    return Started(*words, whole_networks=whole_networks).end()


def _work(
    words: list[str],
    folder: str,
    environment: dict[str, str],
    out: Connection,
    err: Connection,
    whole_networks: bool,
    patched: Mapping[str, object],
) -> None:
    os.chdir(Path(folder))
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    encoding, unbuffered = environment.get("PYTHONIOENCODING"), "PYTHONUNBUFFERED" in environment
    if encoding or unbuffered:
        sys.stdout = _stream(1, encoding, "strict", unbuffered)
        sys.stderr = _stream(2, encoding, "backslashreplace", True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server is deaf to it
    shorten(pytest.MonkeyPatch())
    if whole_networks:
        size_networks(pytest.MonkeyPatch(), WHOLE)
    for name, value in patched.items():
        pytest.MonkeyPatch().setattr(name, value)
    how, what, *rest = words
    sys.argv = [how, *rest]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})


def _stream(number: int, encoding: str | None, errors: str, through: bool) -> io.TextIOWrapper:
    raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding or "utf-8", errors, write_through=through)
