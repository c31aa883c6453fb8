"""Exchange between encoders, by hand, at values that training may come to."""

import torch
from torch import Tensor

from sightsound.fusion.base import Fusion
from sightsound.fusion.hierarchical import HEADS, WIDTH, Attend, Bottleneck, Central, CrossAttention, Mmtm

SIZES, STAGES = {"audio": 2, "image": 2}, {"audio": [2, 2, 2], "image": [2, 2, 2]}
BOTH = {"audio": torch.tensor([True, False]), "image": torch.tensor([True, True])}


def learned(fusion: Fusion) -> Fusion:
    """With other numbers than it begins with, of which many are 0."""
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return fusion


def attended(attend: Attend, queries: Tensor, places: Tensor) -> Tensor:
    """Multi-head attention (Vaswani et al., 2017) of one row, (P, asking) on (Q, asked), written out."""
    attention = attend.attention
    asked = attend.asked_norm(places)
    bias_q, bias_k, bias_v = attention.in_proj_bias.chunk(3)
    if attention.in_proj_weight is None:
        of_q, of_k, of_v = attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight
    else:  # in one where all are of one size
        of_q, of_k, of_v = attention.in_proj_weight.chunk(3)
    q = attend.into(attend.norm(queries)) @ of_q.T + bias_q
    k, v = asked @ of_k.T + bias_k, asked @ of_v.T + bias_v
    found = torch.empty(len(queries), WIDTH)
    for head in range(HEADS):
        part = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        weights = (q[:, part] @ k[:, part].T / (WIDTH / HEADS) ** 0.5).softmax(1)
        found[:, part] = weights @ v[:, part]
    return attend.out(attention.out_proj(found))


def test_mmtm_leaves_a_lone_modality_alone_whatever_its_biases() -> None:
    fusion = Mmtm(SIZES, STAGES, 2)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.fill_(0.5)
    maps = {"audio": torch.rand(2, 2, 5), "image": torch.rand(2, 2, 3, 3)}
    out, _ = fusion.exchange(0, maps, BOTH)
    assert torch.equal(out["image"][1], maps["image"][1])
    assert (out["image"][0] > 1.1 * maps["image"][0]).all() and (out["audio"][0] > 1.1 * maps["audio"][0]).all()


def test_mmtm_squeezes_and_excites() -> None:
    """Z = ReLU(W [s_a, s_i] + b), gates 2 * sigmoid(W_m Z + b_m) (Joze et al., 2020, equations 2 to 4)."""
    fusion = learned(Mmtm(SIZES, STAGES, 2))
    maps = {"audio": torch.rand(2, 2, 5), "image": torch.rand(2, 2, 3, 3)}
    out, _ = fusion.exchange(1, maps, BOTH)
    squeezed = torch.cat([maps["audio"][0].mean(1), maps["image"][0].mean((1, 2))])
    joint = (fusion.squeeze[1].weight @ squeezed + fusion.squeeze[1].bias).clamp_min(0)
    for m in SIZES:
        gates = 2 / (1 + (-fusion.excite.at(m, 1)(joint)).exp())
        torch.testing.assert_close(out[m][0].flatten(1), gates[:, None] * maps[m][0].flatten(1))


def test_central_sums_what_it_takes_and_its_own_state() -> None:
    fusion = learned(Central(SIZES, STAGES, 3))
    maps = {"audio": torch.rand(2, 2, 5), "image": torch.rand(2, 2, 3, 3)}
    embeddings = {m: torch.rand(2, 2) for m in SIZES}
    shared = None
    for stage in range(3):
        _, shared = fusion.exchange(stage, maps, BOTH, shared)
    logits = fusion.combine(embeddings, {}, BOTH, shared).logits
    for row, there in ((0, ("audio", "image")), (1, ("image",))):
        state = None
        for k in range(3):
            taken = sum(fusion.weight[m][k] * fusion.take.at(m, k)(maps[m][row].flatten(1).mean(1)) for m in there)
            own = 0 if state is None else fusion.own_weight[k - 1] * fusion.central[k - 1](state).relu()
            state = taken.relu() + own
        ends = sum(fusion.last[m](embeddings[m][row]) for m in there)
        torch.testing.assert_close(logits[row], fusion.classify(ends + fusion.own_weight[2] * state))


def test_cross_attention_adds_what_each_place_finds_in_the_other_map() -> None:
    fusion = learned(CrossAttention(SIZES, STAGES, 2))
    maps = {"audio": torch.rand(2, 2, 5), "image": torch.rand(2, 2, 3, 3)}
    out, _ = fusion.exchange(2, maps, BOTH)
    audio, image = maps["audio"][0].T, maps["image"][0].flatten(1).T
    found = attended(fusion.attend.at("image audio", 1), image, audio)
    torch.testing.assert_close(out["image"][0].flatten(1).T, image + found)
    torch.testing.assert_close(out["audio"][0].T, audio + attended(fusion.attend.at("audio image", 1), audio, image))
    assert fusion.exchange(0, maps, BOTH)[0] is maps


def test_bottleneck_exchanges_through_the_mean_of_the_tokens() -> None:
    """Each modality updates the tokens, which are then averaged (Nagrani et al., 2021, equations 8 and 9)."""
    fusion = learned(Bottleneck(SIZES, STAGES, 2))
    maps = {"audio": torch.rand(2, 2, 5), "image": torch.rand(2, 2, 3, 3)}
    same, tokens = fusion.exchange(0, maps, BOTH)
    assert same is maps and tokens is None
    out, tokens = fusion.exchange(1, maps, BOTH, tokens)
    places = {"audio": maps["audio"][0].T, "image": maps["image"][0].flatten(1).T}
    read = [fusion.tokens[0] + attended(fusion.read.at(m, 0), fusion.tokens[0], places[m]) for m in places]
    by_hand = (read[0] + read[1]) / 2
    torch.testing.assert_close(tokens[0], by_hand)
    for m in places:
        written = places[m] + attended(fusion.write.at(m, 0), places[m], by_hand)
        torch.testing.assert_close(out[m][0].flatten(1).T, written)
    lone = maps["image"][1].flatten(1).T  # a row without audio: its tokens are read from the image only
    alone = fusion.tokens[0] + attended(fusion.read.at("image", 0), fusion.tokens[0], lone)
    torch.testing.assert_close(tokens[1], alone)
