"""Trained decision fusion, by hand, at values that training may come to."""

import math

import pytest
import torch

from sightsound.fusion.decision import Confidence, Evidential, Product, Stacking, Weighted

SIZES, STAGES = {"audio": 1, "image": 1}, {"audio": [1], "image": [1]}


def test_product_raises_each_to_its_power_where_it_is_there() -> None:
    product = Product(SIZES, {m: [1] * 3 for m in SIZES}, 2)
    with torch.no_grad():
        product.log_power["audio"].fill_(math.log(0.5))
        product.log_power["image"].fill_(math.log(2.0))
        product.log_factor.copy_(torch.tensor([0.3, 0.0]))
    said = {"audio": torch.tensor([[0.2, 0.8]] * 2).log(), "image": torch.tensor([[0.6, 0.4]] * 2).log()}
    present = {"audio": torch.tensor([True, False]), "image": torch.tensor([True, True])}
    embeddings = {m: torch.zeros(2, 1) for m in SIZES}
    found = product.combine(embeddings, said, present)
    image, both = 2 * said["image"][0], 0.5 * said["audio"][0] + 2 * said["image"][0]
    torch.testing.assert_close(found.logits, torch.stack([both, image]) + product.log_factor)
    torch.testing.assert_close(found.weights["audio"], torch.tensor([0.2, 0.0]))


LOGITS = {"image": torch.tensor([[2.0, 0.0]]), "audio": torch.tensor([[0.0, 1.0]])}
THERE = dict.fromkeys(LOGITS, torch.tensor([True]))


def log_softmax(first: float, second: float) -> tuple[float, float]:
    total = math.log(math.exp(first) + math.exp(second))
    return first - total, second - total


def test_weighted_takes_a_softmax_of_its_weights() -> None:
    fusion = Weighted(SIZES, STAGES, 2)
    with torch.no_grad():
        fusion.weight["image"].fill_(math.log(3.0))
    logits, weights = fusion.combine({}, LOGITS, THERE)
    assert weights["image"].item() == pytest.approx(0.75)
    image, audio = math.exp(2) / (math.exp(2) + 1), 1 / (1 + math.e)
    assert logits.exp()[0, 0].item() == pytest.approx(0.75 * image + 0.25 * audio)


def test_stacking_reads_all_log_probabilities() -> None:
    fusion = Stacking(SIZES, STAGES, 2)
    with torch.no_grad():
        fusion.learn.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 0.0]]))
        fusion.learn.bias.copy_(torch.tensor([0.5, -0.5]))
    audio, image = log_softmax(0, 1), log_softmax(2, 0)
    expected = [audio[0] + 2 * audio[1] + 3 * image[0] + 4 * image[1] + 0.5, image[0] - 0.5]
    assert fusion.combine({}, LOGITS, THERE).logits[0].tolist() == pytest.approx(expected)
    without = {**THERE, "audio": torch.tensor([False])}
    expected = [3 * image[0] + 4 * image[1] + 0.5, image[0] - 0.5]
    assert fusion.combine({}, LOGITS, without).logits[0].tolist() == pytest.approx(expected)


def test_confidence_weighs_by_the_largest_probability_at_its_temperature() -> None:
    fusion = Confidence(SIZES, STAGES, 2)
    with torch.no_grad():
        fusion.log_temperature["image"].fill_(math.log(2.0))
        fusion.log_factor.fill_(math.log(1.5))
    image, audio = log_softmax(1, 0), log_softmax(0, 1)
    sure_image, sure_audio = math.exp(image[0]), math.exp(audio[1])
    w = sure_image / (sure_image + sure_audio)
    logits, weights = fusion.combine({}, LOGITS, THERE)
    assert weights["image"].item() == pytest.approx(w)
    assert logits[0].tolist() == pytest.approx([1.5 * (w * i + (1 - w) * a) for i, a in zip(image, audio, strict=True)])


def test_evidence_becomes_an_opinion_and_two_are_joined() -> None:
    """Belief e / S and uncertainty C / S with S the sum of e + 1 (Han et al., 2021, equation 3); their rule."""
    fusion = Evidential(SIZES, STAGES, 2)
    with torch.no_grad():
        fusion.scale["image"].fill_(0.5)
        fusion.shift["audio"].fill_(math.log(2.0))
    image, audio = (math.e, 1.0), (2.0, 2 * math.e)
    (b1, b2, u), (c1, c2, v) = (
        (one / (one + two + 2), two / (one + two + 2), 2 / (one + two + 2)) for one, two in (image, audio)
    )
    left = 1 - b1 * c2 - b2 * c1
    joined = [(b1 * c1 + b1 * v + c1 * u) / left, (b2 * c2 + b2 * v + c2 * u) / left]
    expected = [belief + u * v / left / 2 for belief in joined]
    logits, weights = fusion.combine({}, LOGITS, THERE)
    assert logits.exp()[0].tolist() == pytest.approx(expected) and sum(expected) == pytest.approx(1)
    assert weights["image"].item() == pytest.approx((1 - u) / (2 - u - v))
