"""What a network costs in use: parameters, multiply-adds, milliseconds, megabytes."""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from sightsound.model import ClassifierNetwork
from sightsound.types import Batch

MANY = 256
REPEATS = 7


class Cost(NamedTuple):
    """Of answering from decoded files, on the processor.

    Attributes:
        parameters: numbers that training sets.
        multiply_adds: of one row; matrix products and convolutions (those of recurrent layers where torch counts them).
        latency_ms: of one row, median of 7.
        latency_256_ms: of 256 rows in one batch, median of 7.
        memory_mb: parameters, and the most that a batch of 256 needs besides.
    """

    parameters: int
    multiply_adds: int
    latency_ms: float
    latency_256_ms: float
    memory_mb: float


@torch.no_grad()
def cost(network: ClassifierNetwork, example: Batch) -> Cost:
    """Measures a network.

    Args:
        network: whole, from decoded files on.
        example: one row that has everything.
    """
    network.eval()
    many = Batch({m: x.repeat(MANY, *[1] * (x.dim() - 1)) for m, x in example.inputs.items()}, _there(example, MANY))
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:  # it fails without gradients
        network(example)
    parameters = sum(p.numel() for p in network.parameters())
    size = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    return Cost(
        parameters,
        counter.get_total_flops() // 2,
        _milliseconds(network, example),
        _milliseconds(network, many),
        (size + _peak_bytes(network, many)) / 1e6,
    )


def _there(example: Batch, rows: int) -> dict[str, torch.Tensor]:
    return {m: torch.ones(rows, dtype=torch.bool) for m in example.present}


def _milliseconds(network: ClassifierNetwork, batch: Batch) -> float:
    times = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        network(batch)
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times[1:])


def _peak_bytes(network: ClassifierNetwork, batch: Batch) -> int:
    """The most memory that tensors hold at one time while the network answers."""
    live = Live()
    with live:
        network(batch)
    return live.most


class Live(TorchDispatchMode):
    """Watches the memory of every tensor that is made within, until it is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operation, then adds up what lives."""
        result = func(*args, **(kwargs or {}))
        self.alive = {key: pair for key, pair in self.alive.items() if not pair[0].expired()}
        for made in tree_leaves(result):
            if isinstance(made, torch.Tensor):
                storage = made.untyped_storage()
                self.alive[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return result
