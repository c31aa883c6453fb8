"""Chance changes: nothing at zero, the stated amount otherwise, each row its own."""

import dataclasses
import math

import pytest
import torch

from sightsound.config import NO_CHANGES
from sightsound.features.audio import LogMel
from sightsound.features.augment import AugmentImage, AugmentWaveform, FilterFrames, MaskFrames, mix
from sightsound.features.speech import SpeechFrames
from sightsound.features.yamnet import YamnetFrames

IMAGES = torch.rand(40, 2, 12, 16) * 255
WAVES = torch.rand(40, 4000) - 0.5
FRAMES = torch.randn(40, 30, 20)


def test_nothing_at_zero() -> None:
    assert torch.equal(AugmentImage(0, 0, 0, False)(IMAGES), IMAGES)
    assert torch.equal(AugmentWaveform(0, 0, 0, 0)(WAVES), WAVES)
    assert torch.equal(MaskFrames(0)(FRAMES), FRAMES)


@pytest.mark.parametrize("change", [{"shift": 0.2}, {"rotate_degrees": 30.0}, {"erase": 1.0}, {"flip": True}])
def test_images_change_within_their_range(change: dict) -> None:
    off = {"shift": 0.0, "rotate_degrees": 0.0, "erase": 0.0, "flip": False}
    before = IMAGES.clone()
    changed = AugmentImage(**{**off, **change})(IMAGES)
    assert torch.equal(IMAGES, before)
    assert changed.shape == IMAGES.shape and changed.min() >= 0 and changed.max() <= 255
    rows = (changed - IMAGES).abs().amax((1, 2, 3)) > 1
    assert 0.3 < rows.float().mean() < 0.7 if "flip" in change else rows.all()


def test_a_flip_mirrors_exactly() -> None:
    changed = AugmentImage(0, 0, 0, True)(IMAGES)
    for before, after in zip(IMAGES, changed, strict=True):
        same, mirrored = ((after - target).abs().max() < 1e-2 for target in (before, before.flip(2)))
        assert same or mirrored


def test_a_turn_keeps_shapes_round_on_images_that_are_not_square() -> None:
    y, x = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(48) - 23.5, indexing="ij")
    disc = ((x**2 + y**2).sqrt() - 8).clamp(-1, 1).expand(20, 1, 24, 48).clone()
    assert (AugmentImage(0, 90, 0, False)(disc) - disc).abs().mean() < 0.02


def test_gain_and_shift_and_noise_of_sounds() -> None:
    quiet = WAVES * 0.1
    ratio = AugmentWaveform(0, 6, 0, 0)(quiet).norm(dim=1) / quiet.norm(dim=1)
    assert (20 * ratio.log10()).abs().max() <= 6.01 and ratio.std() > 0.1
    moved = AugmentWaveform(0, 0, 100, 0)(WAVES)
    for before, after in zip(WAVES, moved, strict=True):
        shifts = [by for by in range(-100, 101) if torch.equal(after[100:-100], before[100 - by : 3900 - by])]
        assert len(shifts) == 1
        silent = after[: shifts[0]] if shifts[0] > 0 else after[4000 + shifts[0] :]
        assert not silent.any()
    noise = AugmentWaveform(0, 0, 0, 1.0)(quiet) - quiet
    snr = 20 * (quiet.norm(dim=1) / noise.norm(dim=1)).log10()
    assert snr.min() > 9.5 and snr.max() < 40.5 and snr.std() > 3
    assert AugmentWaveform(0, 60, 0, 0)(torch.ones(9, 5)).max() == 1  # never beyond full scale


def test_speed_moves_the_pitch_and_the_length() -> None:
    torch.manual_seed(0)
    time = torch.arange(8000) / 8000
    tone = (0.5 * torch.sin(2 * torch.pi * 500 * time)).repeat(40, 1)
    tone[:, 6000:] = 0
    played = AugmentWaveform(0.2, 0, 0, 0)(tone)
    pitch = torch.fft.rfft(played, dim=1).abs().argmax(1) / 500  # as a multiple
    assert 0.79 < pitch.min() < 0.9 and 1.1 < pitch.max() < 1.21
    ends = torch.stack([torch.nonzero(one.abs() > 1e-3).max() for one in played])
    assert ((ends * pitch - 6000).abs() < 60).all()  # faster is shorter


def test_a_filter_is_the_same_in_every_frame() -> None:
    torch.manual_seed(0)
    change = FilterFrames(6.0, LogMel.decibel)(FRAMES) - FRAMES
    torch.testing.assert_close(change, change[:, :1].expand_as(change), atol=1e-5, rtol=0)
    decibels = 10 * change / math.log(10)
    assert decibels.abs().max() <= 6.001 and decibels.std() > 1
    assert FilterFrames(0.0, 1.0)(FRAMES) is FRAMES


@pytest.mark.parametrize(
    "frames",
    [LogMel(16_000, 0.5, 32, 12.5, 64), SpeechFrames(8000, 32, 0), YamnetFrames(8000, 64, 48, 24)],
    ids=lambda frames: type(frames).__name__,
)
def test_a_decibel_is_one_whatever_the_features(frames: LogMel | SpeechFrames | YamnetFrames) -> None:
    noise = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)) / 4
    louder = frames(noise * 10 ** (6 / 20)) - frames(noise)
    assert louder.median().item() == pytest.approx(6 * frames.decibel, rel=0.02)


def test_masks_take_a_band_and_a_stretch() -> None:
    masked = MaskFrames(0.5)(FRAMES)
    for before, after in zip(FRAMES, masked, strict=True):
        changed = before != after
        times, bands = changed.all(1), changed.all(0)
        assert torch.equal(changed, times[:, None] | bands[None, :])
        assert times.sum() <= 15 and bands.sum() <= 10
        assert after[changed].numel() == 0 or torch.allclose(after[changed], before.mean())
    assert (masked != FRAMES).float().mean() > 0.1


def test_mix_by_hand() -> None:
    x = torch.tensor([[0.0, 10.0], [4.0, 20.0]])
    mixed = mix(x, torch.tensor([1, 0]), torch.tensor([0.75, 1.0]))
    assert mixed.tolist() == [[1.0, 12.5], [4.0, 20.0]]


def test_erased_areas_have_the_stated_size() -> None:
    images = torch.rand(200, 1, 50, 50)
    share = (AugmentImage(0, 0, 1.0, False)(images) != images).float().mean((1, 2, 3))
    assert share.min() > 0.01 and share.max() < 0.25 and math.isclose(float(share.mean()), 0.1, abs_tol=0.03)


def test_no_changes_are_none() -> None:
    assert not any(dataclasses.asdict(NO_CHANGES).values())
