"""What the parts of the audio encoders compute, by hand."""

import torch

from sightsound.encoders.audio import ConvNet, LastStates, WithChange


def test_what_differs_from_the_mean_of_a_bin_stands_beside_it() -> None:
    frames = torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])  # one bin changes, the other is steady
    both = WithChange()(frames)
    assert torch.equal(both[:, 0], frames) and both[:, 1].tolist() == [[[-1.0, 0.0], [1.0, 0.0]]]


def test_each_direction_ends_at_its_own_end() -> None:
    states = torch.arange(12.0).reshape(1, 4, 3)  # two cells forwards, two backwards, three frames
    assert LastStates()(states).tolist() == [[2.0, 5.0, 6.0, 9.0]]


def test_a_short_sound_counts_however_long_the_rest_is() -> None:
    pool = ConvNet((16, 16)).pool
    maps = torch.zeros(1, 128, 4, 40)
    maps[0, :, 2, 7] = 5.0
    assert torch.equal(pool(maps), torch.full((1, 128), 5.0))
