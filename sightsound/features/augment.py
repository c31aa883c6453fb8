"""Augmentation of pixels (B, channels, H, W), waveforms (B, N) and log-mel frames (B, T, F), which keep their shapes.

Each row has its own draws; every class is the identity where its parameters are 0. Only training calls these.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

LOW_DB, HIGH_DB = 10.0, 40.0  # how far noise stays below the sound
BANDS = 5  # bins at which a filter is drawn
ERASED = (0.02, 0.2)  # share of an image's area that is erased


class AugmentImage(nn.Module):
    """Moves, turns, mirrors and erases; places from outside the image repeat its edge.

    Args:
        shift: largest shift, as a share of the image's sides.
        rotate_degrees: largest angle of rotation.
        erase: share of the images in which a rectangle is set to the mean (Zhong et al., Random Erasing, 2020).
        flip: whether half of the images are mirrored.
    """

    def __init__(self, shift: float, rotate_degrees: float, erase: float, flip: bool) -> None:
        super().__init__()
        self.shift, self.radians, self.erase, self.flip = shift, math.radians(rotate_degrees), erase, flip

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, channels, H, W) any type -> same shape, float."""
        pixels = pixels.float()
        if self.shift or self.radians or self.flip:
            grid = functional.affine_grid(self._affine(pixels), list(pixels.shape), align_corners=False)
            pixels = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        return self._erased(pixels) if self.erase else pixels

    def _affine(self, pixels: Tensor) -> Tensor:
        """Draws (B, 2, 3), the maps from places of the result to places of the image."""
        rows, (height, width) = len(pixels), pixels.shape[2:]
        angle = _uniform(rows, pixels) * self.radians
        mirror = 1 - 2 * (torch.rand(rows, device=pixels.device) < 0.5).float() * self.flip
        down, right = (2 * self.shift * _uniform(rows, pixels) for _ in range(2))
        cos, sin, ratio = angle.cos(), angle.sin(), height / width  # the grid runs from -1 to 1 on both axes
        top = torch.stack([mirror * cos, -sin * ratio, right], dim=1)
        return torch.stack([top, torch.stack([mirror * sin / ratio, cos, down], dim=1)], dim=1)

    def _erased(self, pixels: Tensor) -> Tensor:
        rows, (height, width) = len(pixels), pixels.shape[2:]
        draw = torch.rand(4, rows, 1, device=pixels.device)
        area = ERASED[0] + (ERASED[1] - ERASED[0]) * draw[0]
        ratio = torch.exp((draw[1] - 0.5) * 2 * math.log(3))  # of height to width
        inside = _within(draw[2], (area * ratio).sqrt(), height)[:, :, None]
        inside = inside & _within(draw[3], (area / ratio).sqrt(), width)[:, None, :]
        chosen = torch.rand(rows, 1, 1, device=pixels.device) < self.erase
        return torch.where((inside & chosen)[:, None], pixels.mean((1, 2, 3), keepdim=True), pixels)


class AugmentWaveform(nn.Module):
    """Changes speed, loudness and position of a sound, and adds noise.

    Args:
        speed: largest change of the speed, as a share, and so of the pitch, as of other voices (Ko et al., Audio
            augmentation for speech recognition, 2015).
        gain_db: largest change of the loudness; never beyond full scale.
        shift_samples: largest shift; the gap is silent.
        noise: share of the sounds that get white noise, 10 to 40 dB below the sound.
    """

    def __init__(self, speed: float, gain_db: float, shift_samples: int, noise: float) -> None:
        super().__init__()
        self.speed = speed
        self.gain_db, self.shift_samples, self.noise = gain_db, shift_samples, noise

    def forward(self, wave: Tensor) -> Tensor:
        """(B, N) in [-1, 1] -> same."""
        rows, samples = wave.shape
        if self.speed:
            wave = _played(wave, 1 + self.speed * _uniform(rows, wave))
        if self.shift_samples:
            shift = (_uniform(rows, wave) * self.shift_samples).round().long().tolist()
            wave = torch.stack([_moved(one, by) for one, by in zip(wave, shift, strict=True)])
        if self.noise:
            chosen = torch.nonzero(torch.rand(rows, device=wave.device) < self.noise)[:, 0]
            sound = wave[chosen]
            decibels = LOW_DB + (HIGH_DB - LOW_DB) * torch.rand(len(chosen), 1, device=wave.device)
            level = sound.square().mean(1, keepdim=True).sqrt() * 10 ** (-decibels / 20)
            wave = wave.index_copy(0, chosen, sound + level * torch.randn_like(sound))
        if self.gain_db:
            wave = wave * 10 ** (_uniform(rows, wave)[:, None] * self.gain_db / 20)
        return wave.clamp(-1, 1)


class FilterFrames(nn.Module):
    """Simulates other microphones and rooms: each row is louder in some mel bins and softer in others.

    It follows FilterAugment (Nam et al., 2022).

    Args:
        decibels: largest change of a bin; drawn at 5 bins and interpolated linearly between these.
        decibel: one decibel in the units of the frames, which are logarithms.
    """

    def __init__(self, decibels: float, decibel: float) -> None:
        super().__init__()
        self.largest = decibels * decibel

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, F)."""
        if not self.largest:
            return frames
        drawn = self.largest * _uniform(BANDS * len(frames), frames).reshape(len(frames), 1, BANDS)
        return frames + functional.interpolate(drawn, size=frames.shape[2], mode="linear", align_corners=True)


class MaskFrames(nn.Module):
    """Masks a run of frames and a band of mel bins of each row (SpecAugment, Park et al., 2019).

    Args:
        share: largest share of the frames, and of the bins, that is masked.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, F) -> (B, T, F); masked values become the row's mean."""
        if not self.share:
            return frames
        rows, length, bins = frames.shape
        draw = torch.rand(4, rows, 1, device=frames.device)
        time = _within(draw[0], draw[1] * self.share, length)[:, :, None]
        band = _within(draw[2], draw[3] * self.share, bins)[:, None, :]
        return torch.where(time | band, frames.mean((1, 2), keepdim=True), frames)


def mix(features: Tensor, order: Tensor, share: Tensor) -> Tensor:
    """Blends rows (B, ...) with the rows in another order, by shares (B,) (Zhang et al., mixup, 2018)."""
    share = share.reshape(-1, *[1] * (features.dim() - 1))
    return share * features.float() + (1 - share) * features[order].float()


def _uniform(rows: int, like: Tensor) -> Tensor:
    """Draws (rows,) from -1 to 1."""
    return 2 * torch.rand(rows, device=like.device) - 1


def _within(start: Tensor, size: Tensor, length: int) -> Tensor:
    """Returns (B, length) bool, True in a run of `size` (B, 1), a share of the length, placed by `start` (B, 1)."""
    places = (torch.arange(length, device=start.device) + 0.5) / length
    begin = start * (1 - size).clamp_min(0)
    return (places >= begin) & (places < begin + size)


def _played(wave: Tensor, speed: Tensor) -> Tensor:
    """Plays (B, N) at other speeds (B,), linear between samples; a faster one is followed by silence."""
    samples = wave.shape[1]
    place = torch.arange(samples, device=wave.device) * speed[:, None]
    before = place.long().clamp_max(samples - 2)
    first, second = wave.gather(1, before), wave.gather(1, before + 1)
    return torch.where(place < samples - 1, first + (second - first) * (place - before), 0)


def _moved(wave: Tensor, by: int) -> Tensor:
    """Shifts (N,) later by so many samples (earlier if negative), with silence in the gap."""
    return functional.pad(wave, (by, -by))  # a negative pad cuts
