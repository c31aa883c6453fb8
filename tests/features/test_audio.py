"""Log-mel against librosa, and against what a tone must look like."""

import numpy as np
import pytest
import torch

from sightsound.features.audio import FLOOR, LogMel, mel_matrix


def filters_of_librosa(rate: int, window: int, bins: int) -> np.ndarray:
    from librosa.filters import mel  # not librosa.feature, whose import compiles for half a minute

    return mel(sr=rate, n_fft=window, n_mels=bins)


@pytest.mark.parametrize(
    ("rate", "window_ms", "hop_ms", "bins"),
    [(16000, 32, 12.5, 64), (16000, 32, 12.5, 128), (8000, 25, 10, 40), (44100, 23.2, 11.6, 96)],
)
def test_equals_a_spectrogram_by_numpy_through_the_filters_of_librosa(
    rate: int, window_ms: float, hop_ms: float, bins: int
) -> None:
    wave = torch.randn(2, rate) * 0.1
    module = LogMel(rate, 1.0, window_ms, hop_ms, bins)
    filters = filters_of_librosa(rate, module.size, bins)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(module.size) / module.size)
    for mine, padded in zip(module(wave), module.pad(wave).numpy(), strict=True):
        frames = np.lib.stride_tricks.sliding_window_view(padded, module.size)[:: module.hop]
        power = np.abs(np.fft.rfft(frames * hann)) ** 2  # (T, window // 2 + 1)
        np.testing.assert_allclose(mine.numpy(), np.log(np.maximum(power @ filters.T, FLOOR)), atol=2e-3)


@pytest.mark.parametrize(("rate", "window", "bins"), [(16000, 512, 64), (22050, 1024, 128), (8000, 200, 20)])
def test_mel_matrix_equals_librosa(rate: int, window: int, bins: int) -> None:
    theirs = filters_of_librosa(rate, window, bins)
    np.testing.assert_allclose(mel_matrix(rate, window, bins).numpy(), theirs.T, atol=1e-6)


def test_the_classic_shape_is_80_by_128() -> None:
    assert LogMel(16000, 1.0, 32, 12.5, 128)(torch.zeros(1, 16000)).shape == (1, 80, 128)


def test_a_tone_lights_its_own_band_and_silence_is_the_floor() -> None:
    from librosa import mel_frequencies

    module = LogMel(16000, 0.5, 32, 12.5, 64)
    wave = torch.sin(2 * np.pi * 1000 * torch.arange(8000) / 16000)[None]
    centres = mel_frequencies(n_mels=66, fmax=8000)[1:-1]
    loudest = module(wave)[0, 10].argmax().item()
    assert abs(centres[loudest] - 1000) < 60
    assert torch.allclose(module(torch.zeros(1, 8000)), torch.tensor(FLOOR).log())
