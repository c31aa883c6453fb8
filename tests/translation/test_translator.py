"""What surrounds a translator: options, the search for the nearest, what is made of it by hand."""

import numpy as np
import pytest
import torch

import sightsound as ss
from sightsound.errors import ConfigError
from sightsound.translation import retrieval
from sightsound.translation.config import TranslatorConfig, translator_from_dict
from sightsound.translation.retrieval import nearest, sonify_image


def unit(rows: int, seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, 16, generator=torch.Generator().manual_seed(seed)))


def test_the_nearest_by_hand() -> None:
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    places, similarity = nearest(bank, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), 2)
    assert places.tolist() == [[1, 2], [0, 2]]
    torch.testing.assert_close(similarity, torch.tensor([[1.0, 0.8], [1.0, 0.6]]))
    assert nearest(bank, bank, 99)[0].shape == (3, 3)  # no more than there are


def test_the_index_finds_what_the_exact_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, wanted = unit(3000, 0), unit(20, 1)
    exact, near = nearest(bank, wanted, 5)
    monkeypatch.setattr(retrieval, "EXACT_ROWS", 1000)
    found, similarity = nearest(bank, wanted, 5)
    same = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact.tolist(), found.tolist(), strict=True)])
    assert same > 0.9
    torch.testing.assert_close(similarity[:, 0], near[:, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"flow_steps": 0}, "flow_steps is 0"),
        ({"batch_size": 1}, "some"),
        ({"image": ss.ImageConfig(encoder="hf:google/vit")}, "encoders of its own"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
    ],
)
def test_impossible_options(options: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TranslatorConfig(**options)


def test_a_saved_configuration_is_read_again() -> None:
    import dataclasses

    config = TranslatorConfig(audio=ss.AudioConfig(mel_bins=40), flow_steps=7)
    assert translator_from_dict(dataclasses.asdict(config)) == config
    with pytest.raises(ConfigError, match="flow_steps"):
        translator_from_dict({"flow_step": 7})


@pytest.mark.parametrize("shape", [(5, 200), (300, 4, 3), (1, 1)])
def test_pictures_of_any_shape_are_played(shape: tuple[int, ...]) -> None:
    [sound] = sonify_image(np.full(shape, 128, np.uint8))
    assert sound.content.ndim == 1 and 0 < np.abs(sound.content).max() <= 1
    assert 0.05 <= len(sound.content) / 16000 <= 256 * 0.05


@pytest.mark.parametrize("given", [{}, {"image": "a.png", "audio": "b.wav"}])
def test_one_modality_is_translated_at_a_time(given: dict) -> None:
    with pytest.raises(ConfigError, match="one of them"):
        ss.translate(**given, bundle="x")
