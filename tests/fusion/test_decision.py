"""Trained decision fusion, by hand, at values that training may come to."""

import math

import torch

from sightsound.fusion.decision import Product

SIZES = {"audio": 1, "image": 1}


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
