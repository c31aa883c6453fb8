"""Measures what a network costs in use: parameters, multiply-adds, milliseconds, megabytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from sightsound.encoders.base import Encoder
from sightsound.network.classifier import ClassifierNetwork
from sightsound.progress import progress_bar
from sightsound.training.feature_cache import on_cached
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


class _Part(NamedTuple):
    """A part of a network that is measured by itself: a module, and one row of its input."""

    module: nn.Module
    row: Tensor | Batch


@torch.no_grad()
def costs(networks: Mapping[str, ClassifierNetwork], example: Batch) -> dict[str, Cost]:
    """Measures networks in turns, so that other load on the machine slows all of them alike.

    Without exchange between the encoders these are measured once for all networks, and a network costs as much as its
    encoders and what it makes of their embeddings: its time is the sum of both, its memory the larger of both.

    Args:
        networks: whole networks, from decoded files on, whose encoders are built alike; they may differ in their
            modalities.
        example: one complete row.
    """
    of = {name: _parts(name, network, example) for name, network in networks.items()}
    parts = {key: part for each in of.values() for key, part in each.items()}
    one = {key: _repeated(part.row, 1) for key, part in parts.items()}
    many = {key: _repeated(part.row, MANY) for key, part in parts.items()}
    modules = {key: part.module.eval() for key, part in parts.items()}
    latency = _milliseconds(modules, one, "timing one row")
    latency_256 = _milliseconds(modules, many, f"timing {MANY} rows")
    multiply_adds = {key: _multiply_adds(module, one[key]) for key, module in modules.items()}
    peak = {key: _peak_bytes(module, many[key]) for key, module in modules.items()}
    return {
        name: Cost(
            sum(p.numel() for p in network.parameters()),
            sum(multiply_adds[key] for key in of[name]),
            sum(latency[key] for key in of[name]),
            sum(latency_256[key] for key in of[name]),
            (_state_bytes(network) + max(peak[key] for key in of[name])) / 1e6,
        )
        for name, network in networks.items()
    }


def _parts(name: str, network: ClassifierNetwork, example: Batch) -> dict[str, _Part]:
    """Divides a network into the encoders, which have a name that all networks share, and the rest, if it can be."""
    inputs = {m: example.inputs[m] for m in network.modalities}
    present = {m: example.present[m] for m in network.modalities}
    if network.exchanges:
        return {f"network {name}": _Part(network, Batch(inputs, present))}
    parts = {}
    for m, values in inputs.items():
        encode = nn.Sequential(network.features[m], network.standardize[m], network.encoders[m])
        parts[f"encoder of {m}"] = _Part(encode, values)
        inputs[m] = torch.zeros(1, cast(Encoder, network.encoders[m]).embedding_size)
    rest = on_cached(network, dict.fromkeys(inputs, "embedding"))
    return {**parts, f"network {name}": _Part(rest, Batch(inputs, present))}


def _repeated(row: Tensor | Batch, count: int) -> Tensor | Batch:
    """Repeats a row `count` times."""
    if isinstance(row, Tensor):
        return row.repeat(count, *[1] * (row.dim() - 1))
    inputs = {m: cast(Tensor, _repeated(values, count)) for m, values in row.inputs.items()}
    return Batch(inputs, {m: present.repeat(count) for m, present in row.present.items()})


def _multiply_adds(module: nn.Module, rows: Tensor | Batch) -> int:
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:  # the counter fails without gradients
        module(rows)
    return int(counter.get_total_flops()) // 2


def _state_bytes(network: ClassifierNetwork) -> int:
    return sum(value.numel() * value.element_size() for value in network.state_dict().values())


def _milliseconds(modules: Mapping[str, nn.Module], rows: Mapping[str, Tensor | Batch], title: str) -> dict[str, float]:
    """Measures the median time of a pass by name; the first one warms up, and counts where no other is made."""
    times: dict[str, list[float]] = {name: [] for name in modules}
    with progress_bar(title, len(modules) * (REPEATS + 1), "run") as bar:
        for _ in range(REPEATS + 1):
            for name, module in modules.items():
                bar.update()
                if sum(times[name]) > ENOUGH_MS:
                    continue
                begin = time.perf_counter()
                module(rows[name])
                times[name].append(1000 * (time.perf_counter() - begin))
    return {name: statistics.median(each[1:] or each) for name, each in times.items()}


def _peak_bytes(module: nn.Module, rows: Tensor | Batch) -> int:
    """Measures the most memory that tensors hold at one time while the module computes."""
    live = Live()
    with live:
        module(rows)
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
