"""Chooses device and precision for the machine, and tunes a process for training."""

import ctypes
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sightsound.errors import ConfigError

PRECISIONS: dict[str, torch.dtype | None] = {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
SMALL = 1e-40  # a denormal number in float32
MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = -3, -1, -2  # constants of glibc's malloc.h


def reseed(seed: int) -> None:
    """Seeds the random numbers that PyTorch draws: `torch.manual_seed` where there is a device beside the processor.

    Without a device it would spend a millisecond on recording its caller for devices that are initialised later.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def resolve_precision(precision: str, accelerator: str) -> str:
    """Resolves "auto" to bf16-mixed where the chosen device is faster in bfloat16, else to 32-true.

    On Intel processors without AMX bfloat16 is slower than float32; on those of AMD it is faster.

    """
    if precision != "auto":
        return precision
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator == "mps" or (accelerator == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    quick = capabilities.get("avx512_bf16") and not str(capabilities.get("cpu_name")).startswith("Intel")
    return "bf16-mixed" if quick or capabilities.get("amx_bf16") else "32-true"


def device_of(accelerator: str) -> torch.device:
    """Resolves the name of an accelerator to a device; "auto" is the fastest one available.

    Raises:
        ConfigError: this machine does not have it.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    wanted = {"auto": ["cuda", "mps", "cpu"], "gpu": ["cuda", "mps"]}.get(accelerator, [accelerator])
    for name in wanted:
        if there[name]:
            return torch.device(name)
    raise ConfigError(f"--accelerator {accelerator}: this machine, or its installation of PyTorch, has none.")


def check_device(device: str | torch.device) -> None:
    """Raises ConfigError for a device on which nothing can be computed here."""
    try:
        torch.zeros(1, device=device).tolist()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"The device {str(device)!r} cannot be used on this machine: {reason}") from error


def set_layout(module: torch.nn.Module, memory_format: torch.memory_format) -> None:
    """Changes the memory layout of the weights of two-dimensional convolutions in place; their values stay."""
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.dim() == 4:  # for weights of other dimensions the layouts have other names
            # as `Module.to` does; `contiguous` would leave a weight of one channel in the other layout
            tensor.data = tensor.data.to(memory_format=memory_format)


def tune_process() -> None:
    """Makes training on the CPU faster; call it before any computation, in each process that trains.

    Numbers below 1e-38 become zero. The optimizer's moments of weights that no longer move shrink to such, and the
    processor takes many times longer for each: a step of AdamW over 800,000 weights 3.9 ms instead of 0.5 ms. Only
    threads that start later obey.

    glibc keeps freed memory for the next step. By default it returns every large block to the system and faults it in
    again page by page, which takes up to half of a step. Nothing happens where the C library is another one.
    """
    torch.set_flush_denormal(True)
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 1 << 30)
        mallopt(TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(TOP_PAD, 64 << 20)


@contextmanager
def tuned_process() -> Iterator[None]:
    """Tunes the process within the block, and restores it afterwards.

    It restores the handling of denormal numbers, torch's random state and the filters of warnings.
    """
    flushed = not (torch.full((1,), SMALL) * 1).item()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        tune_process()
        try:
            yield
        finally:
            torch.set_flush_denormal(flushed)
