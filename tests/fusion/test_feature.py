"""Feature fusion by hand, at values that training may come to."""

import torch

from sightsound.fusion.feature import Transformer

SIZES, STAGES = {"image": 2, "audio": 1}, {"image": [2, 2, 2], "audio": [2, 2, 2]}
BOTH = {"image": torch.tensor([True, True]), "audio": torch.tensor([True, False])}


def test_transformer_attends_to_the_tokens_that_are_there() -> None:
    """One layer by hand: before each part a norm, softmax over the tokens there, residuals."""
    torch.manual_seed(0)
    fusion = Transformer(SIZES, STAGES, 3).eval()
    fusion.layers = fusion.layers[:1]
    given = {"image": torch.randn(2, 2), "audio": torch.randn(2, 1)}
    found = fusion.combine(given, {}, BOTH).logits
    layer, width, heads = fusion.layers[0], 64, 4
    for i, there in ((0, ["audio", "image"]), (1, ["image"])):
        tokens = torch.cat([fusion.class_token[0], *(fusion.token[m](given[m][i : i + 1]) for m in there)])
        q, k, v = (
            part.reshape(len(tokens), heads, -1).transpose(0, 1)
            for part in (layer.norm1(tokens) @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias).chunk(
                3, dim=1
            )
        )
        weights = (q @ k.mT / (width / heads) ** 0.5).softmax(-1)
        tokens = tokens + layer.self_attn.out_proj((weights @ v).transpose(0, 1).reshape(len(tokens), width))
        hidden = torch.nn.functional.gelu(layer.linear1(layer.norm2(tokens)))
        tokens = tokens + layer.linear2(hidden)
        torch.testing.assert_close(found[i : i + 1], fusion.classify(tokens[:1]))


def test_the_layers_of_a_transformer_begin_differently() -> None:
    first, second = Transformer(SIZES, STAGES, 3).layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
