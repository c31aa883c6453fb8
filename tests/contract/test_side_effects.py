"""Whoever calls sightsound finds their process as it was: random numbers, warnings, loggers, threads, small numbers."""

import gc
import logging
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sightsound as ss


def state() -> dict[str, Any]:
    """What a process has that a library could change behind its back."""
    kept = ("", "torch", "matplotlib", "PIL", "py.warnings")
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(np.random.get_state()),
        "random": random.getstate(),
        "warnings": list(warnings.filters),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "small": (torch.full((1,), 1e-40) * 1).item() != 0,
        "gc": gc.get_threshold(),
        "levels": {name: logging.getLogger(name).level for name in kept},
    }


@pytest.mark.parametrize("what", ["load", "predict", "evaluate", "save", "train"])
def test_nothing_is_left_changed(trained: tuple[Path, Path], tmp_path: Path, what: str) -> None:
    table, run = trained
    classifier = ss.load(run / "bundle")
    torch.manual_seed(7)
    before = state()
    if what == "load":
        ss.load(run / "bundle")
    elif what == "predict":
        classifier.predict(image=table.parent / "low-1.png", missing="predict")
    elif what == "evaluate":
        classifier.evaluate(table)
    elif what == "save":
        classifier.save(tmp_path / "bundle")
    else:
        ss.train(table, out=tmp_path / "run", epochs=1, batch_size=16, say=lambda line: None)
    after = state()
    for name, value in before.items():
        assert after[name] == value, name
