"""Training-set statistics: mean 0, deviation 1, saved with the weights."""

import torch

from sightsound.features.image import ChannelsFirst, Standardize


def test_per_channel() -> None:
    pixels = torch.tensor([[[[0, 10]], [[100, 10]]], [[[50, 10]], [[150, 10]]]], dtype=torch.uint8)  # (2, 2, 1, 2)
    features = ChannelsFirst()(pixels)
    assert features.shape == (2, 2, 2, 1)
    module = Standardize(2)
    module.fit(features)
    assert module.mean.flatten().tolist() == [75.0, 10.0]
    assert torch.allclose(module.std.flatten(), torch.tensor([3125.0**0.5, 1.0]))  # a constant keeps its scale
    out = module(features)
    assert out.dtype == torch.float32
    assert torch.allclose(out[:, 0].mean(), torch.tensor(0.0), atol=1e-6)
    assert set(module.state_dict()) == {"mean", "std"}


def test_one_number_for_everything() -> None:
    frames = torch.randn(50, 7, 5) * 3 + 2
    module = Standardize()
    module.fit(frames)
    out = module(frames)
    assert abs(out.mean()) < 1e-5 and abs(out.std(correction=0) - 1) < 1e-5
