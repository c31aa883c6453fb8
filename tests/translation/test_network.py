"""The translator network and what it keeps of what it makes."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from sightsound.translation.config import TranslatorConfig
from sightsound.translation.network import LARGEST_SCALE, TranslatorNetwork, build_translator
from sightsound.translation.translator import RetrievalIndex, Translator
from tests.contract.batches import SIZES

CONFIG = TranslatorConfig(**SIZES, image_latent=4, audio_latent=4, meaning_size=3)


@pytest.fixture(scope="module")
def network() -> TranslatorNetwork:
    return build_translator(CONFIG).eval()


def test_partners_are_looked_for_in_both_directions(
    network: TranslatorNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    meanings = {"image": torch.eye(3)[:2], "audio": turned}
    monkeypatch.setattr(network, "meaning", lambda modality, features: meanings[modality])
    similarity = 10 * meanings["image"] @ turned.T
    both = [cross_entropy(s, torch.arange(2)) for s in (similarity, similarity.T)]
    assert abs(both[0] - both[1]) > 0.01
    torch.testing.assert_close(network.meaning_loss({"image": None, "audio": None}), sum(both) / 2)
    with torch.no_grad():
        monkeypatch.setattr(network, "scale", torch.nn.Parameter(torch.tensor(99.0)))
    wanted = sum(cross_entropy(LARGEST_SCALE / 10 * s, torch.arange(2)) for s in (similarity, similarity.T)) / 2
    torch.testing.assert_close(network.meaning_loss({"image": None, "audio": None}), wanted)


def test_of_what_is_made_the_closest_is_kept(network: TranslatorNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = Translator(network, CONFIG, RetrievalIndex({}, {}))
    made = torch.tensor([[0.1, 0, 0], [0.9, 0, 0], [0.5, 0, 0], [0.3, 0, 0]] + [[0, 0.2, 0], [0, 0.1, 0]] * 2)
    stub = SimpleNamespace(
        noise_size=2, device="cpu", generate=lambda *_: made, meaning=lambda modality, features: features
    )
    monkeypatch.setattr(translator, "network", stub)
    features, similarity = translator.generate("image", torch.eye(3)[:2], 2, torch.Generator())
    torch.testing.assert_close(similarity, torch.tensor([[0.9, 0.5], [0.2, 0.2]]))
    torch.testing.assert_close(features[0], torch.tensor([[0.9, 0, 0], [0.5, 0, 0]]))
