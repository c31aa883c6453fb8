"""Which precision "auto" is on which processor, and numbers too small to matter."""

import pytest
import torch

from sightsound.errors import ConfigError
from sightsound.hardware import device_of, resolve_precision, set_layout
from tests.processes import python


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16-mixed"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "32-true"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True}, "bf16-mixed"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_auto(monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], precision: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", "cpu") == precision


def test_what_is_asked_for_stays_and_must_be_there() -> None:
    assert resolve_precision("16-mixed", "cpu") == "16-mixed" and device_of("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="--accelerator cuda: this machine"):
            device_of("cuda")


def test_numbers_too_small_to_matter_become_zero_in_every_thread() -> None:
    code = """
import torch
from sightsound.hardware import tuned_process
torch.set_num_threads(2)
with tuned_process():
    print(int((torch.full((1_000_000,), 1e-39) * 0.5).count_nonzero()))
print((torch.full((10,), 1e-39) * 0.5).count_nonzero().item())
"""
    done = python("-c", code)
    assert done.stdout.split() == ["0", "10"], done.stderr  # and for whoever goes on they count again


def test_the_layout_is_of_convolutions_over_two_dimensions() -> None:
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv3d(3, 4, 3), torch.nn.Linear(2, 2))
    values = [parameter.clone() for parameter in layers.parameters()]
    set_layout(layers, torch.channels_last)
    assert layers[0].weight.is_contiguous(memory_format=torch.channels_last) and layers[1].weight.is_contiguous()
    assert all(map(torch.equal, layers.parameters(), values))
    set_layout(layers, torch.contiguous_format)
    assert layers[0].weight.is_contiguous()
