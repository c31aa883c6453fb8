"""Measures what a network costs in use: parameters, multiply-adds, milliseconds, megabytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from sightsound.network.classifier import ClassifierNetwork
from sightsound.progress import progress_bar
from sightsound.types import Batch

MANY = 256
REPEATS = 7
ENOUGH_MS = 2000.0  # spent on a network; what takes so long varies little, and large encoders would take minutes


class Cost(NamedTuple):
    """The cost of predicting from decoded files, on the CPU.

    Attributes:
        parameters: the number of trainable parameters.
        multiply_adds: of one row; matrix products and convolutions (those of recurrent layers where torch counts them).
        latency_ms: the time of one row, median of 7; of fewer where a network is slow.
        latency_256_ms: the time of 256 rows in one batch, likewise.
        memory_mb: the parameters and the peak memory of a batch of 256.
    """

    parameters: int
    multiply_adds: int
    latency_ms: float
    latency_256_ms: float
    memory_mb: float


@torch.no_grad()
def costs(networks: Mapping[str, ClassifierNetwork], example: Batch) -> dict[str, Cost]:
    """Measures networks in turns, so that other load on the machine slows all of them alike.

    Args:
        networks: whole networks, from decoded files on; they may differ in their modalities.
        example: one complete row.
    """
    one = {name: _rows(network, example, 1) for name, network in networks.items()}
    many = {name: _rows(network, example, MANY) for name, network in networks.items()}
    latency = _milliseconds(networks, one, "timing one row")
    latency_256 = _milliseconds(networks, many, f"timing {MANY} rows")
    return {
        name: Cost(
            sum(p.numel() for p in network.parameters()),
            _multiply_adds(network, one[name]),
            latency[name],
            latency_256[name],
            (_state_bytes(network) + _peak_bytes(network, many[name])) / 1e6,
        )
        for name, network in networks.items()
    }


def _rows(network: ClassifierNetwork, example: Batch, count: int) -> Batch:
    """Repeats the example `count` times, with the network's modalities."""
    inputs = {m: example.inputs[m].repeat(count, *[1] * (example.inputs[m].dim() - 1)) for m in network.modalities}
    return Batch(inputs, {m: torch.ones(count, dtype=torch.bool) for m in inputs})


def _multiply_adds(network: ClassifierNetwork, batch: Batch) -> int:
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:  # the counter fails without gradients
        network.eval()(batch)
    return int(counter.get_total_flops()) // 2


def _state_bytes(network: ClassifierNetwork) -> int:
    return sum(value.numel() * value.element_size() for value in network.state_dict().values())


def _milliseconds(
    networks: Mapping[str, ClassifierNetwork], batches: Mapping[str, Batch], title: str
) -> dict[str, float]:
    """Measures the median time of a prediction by name; the first one warms up, and counts where no other is made."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    with progress_bar(title, len(networks) * (REPEATS + 1), "run") as bar:
        for _ in range(REPEATS + 1):
            for name, network in networks.items():
                bar.update()
                if sum(times[name]) > ENOUGH_MS:
                    continue
                begin = time.perf_counter()
                network.eval()(batches[name])
                times[name].append(1000 * (time.perf_counter() - begin))
    return {name: statistics.median(each[1:] or each) for name, each in times.items()}


def _peak_bytes(network: ClassifierNetwork, batch: Batch) -> int:
    """Measures the most memory that tensors hold at one time while the network predicts."""
    live = Live()
    with live:
        network(batch)
    return live.most


class Live(TorchDispatchMode):
    """Tracks the memory of every tensor that is made within this context, until it is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation, then sums the memory of live tensors."""
        result = func(*args, **(kwargs or {}))
        self.alive = {key: pair for key, pair in self.alive.items() if not pair[0].expired()}
        for made in tree_leaves(result):
            if isinstance(made, torch.Tensor):
                storage = made.untyped_storage()
                self.alive[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return result
