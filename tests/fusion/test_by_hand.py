"""Each strategy's arithmetic on numbers small enough to check by hand."""

import pytest
import torch

from sightsound.errors import ConfigError
from sightsound.fusion.decision import Confidence, Majority, MaxDecision, Product, Vote, Weighted, dempster
from sightsound.fusion.feature import (
    Attention,
    Average,
    Bilinear,
    Concat,
    Embrace,
    Film,
    Gated,
    Interaction,
    Max,
    Sum,
    TensorFusion,
)
from sightsound.fusion.hierarchical import Central, CrossAttention, Mmtm
from sightsound.fusion.search import Search

SIZES = {"image": 2, "audio": 1}
STAGES = {"image": [2, 2, 2], "audio": [2, 2, 2]}
BOTH = {"image": torch.tensor([True, True]), "audio": torch.tensor([True, False])}


def test_vote_is_the_mean_probability() -> None:
    logits = {
        "image": torch.tensor([[0.8, 0.2]]).log().repeat(2, 1),
        "audio": torch.tensor([[0.4, 0.6], [0.5, 0.5]]).log(),
    }
    logits, weights = Vote(SIZES, STAGES, 2).combine({}, logits, BOTH)
    torch.testing.assert_close(logits.exp(), torch.tensor([[0.6, 0.4], [0.8, 0.2]]))
    assert weights["audio"].tolist() == [0.5, 0.0]


def test_concat_reads_both_in_alphabetical_order() -> None:
    fusion = Concat(SIZES, STAGES, 1)
    first, _, last = fusion.classify
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.zero_()
        first.weight[0] = torch.tensor([100.0, 10.0, 1.0])  # audio, image, image
        last.weight[0, 0] = 1
    embeddings = {"image": torch.tensor([[2.0, 3.0]]), "audio": torch.tensor([[1.0]])}
    assert fusion.combine(embeddings, {}, {}).logits.item() == 100 * 1 + 10 * 2 + 3


def test_average_is_over_those_that_are_there() -> None:
    fusion = Average(SIZES, STAGES, 2)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.zero_()
        fusion.project["image"].weight.copy_(torch.eye(2))
        fusion.project["audio"].weight.copy_(torch.ones(2, 1))
        fusion.classify[1].weight.copy_(torch.eye(2))
    embeddings = {"image": torch.tensor([[2.0, 4.0], [2.0, 4.0]]), "audio": torch.tensor([[6.0], [0.0]])}
    logits, weights = fusion.combine(embeddings, {}, BOTH)
    assert logits.tolist() == [[4.0, 5.0], [2.0, 4.0]]
    assert weights["image"].tolist() == [0.5, 1.0]


def test_mmtm_gates_channels_by_the_other_modality_and_leaves_a_lonely_row_alone() -> None:
    fusion = Mmtm(SIZES, STAGES, 2)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.zero_()
        fusion.squeeze[0].weight[0] = torch.tensor([1.0, 0.0, 0.0, 0.0])  # the mean of the first audio channel
        fusion.excite.at("image", 0).weight[0, 0] = 1.0
    maps = {"image": torch.ones(2, 2, 3, 3), "audio": torch.full((2, 2, 5), 2.0)}
    out, _ = fusion.exchange(0, maps, BOTH)
    gate = 2 * torch.tensor(2.0).sigmoid()
    torch.testing.assert_close(out["image"][0, 0], gate.expand(3, 3))
    torch.testing.assert_close(out["image"][0, 1], torch.ones(3, 3))  # 2 * sigmoid(0)
    assert torch.equal(out["image"][1], maps["image"][1])


def constant(fusion: torch.nn.Module, value: float = 0.0) -> torch.nn.Module:
    """Every number of a strategy set to the same."""
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.fill_(value)
    return fusion


def test_sum_and_max_of_the_projections() -> None:
    embeddings = {"image": torch.tensor([[2.0, -4.0], [2.0, 4.0]]), "audio": torch.tensor([[6.0], [0.0]])}
    found = {}
    for kind in (Sum, Max):
        fusion = constant(kind(SIZES, STAGES, 2))
        with torch.no_grad():
            fusion.project["image"].weight.copy_(torch.eye(2))
            fusion.project["audio"].weight.copy_(torch.ones(2, 1))
        fusion.classify = torch.nn.Identity()
        found[kind] = fusion.combine(embeddings, {}, BOTH).logits.tolist()
    assert found == {Sum: [[8.0, 2.0], [2.0, 4.0]], Max: [[6.0, 6.0], [2.0, 4.0]]}


def test_gated_and_attention_listen_to_everyone_the_same_when_nothing_is_learnt() -> None:
    embeddings = {"image": torch.ones(2, 2), "audio": torch.ones(2, 1)}
    for kind in (Gated, Attention):
        _, weights = constant(kind(SIZES, STAGES, 2)).combine(embeddings, {}, BOTH)
        assert weights["image"].tolist() == [0.5, 1.0]


def test_gated_mixes_number_by_number() -> None:
    fusion = constant(Gated(SIZES, STAGES, 2))
    with torch.no_grad():
        fusion.project["image"].bias.fill_(50.0)  # tanh 1
        fusion.gate["image"].bias.copy_(torch.tensor([2.0, 0.0]))
        fusion.classify.weight.copy_(torch.eye(2))
    logits, _ = fusion.combine({"image": torch.zeros(1, 2), "audio": torch.zeros(1, 1)}, {}, first(BOTH))
    torch.testing.assert_close(logits, torch.tensor([[torch.tensor(2.0).sigmoid(), 0.5]]))


def test_attention_weighs_by_a_softmax_of_scores() -> None:
    fusion = constant(Attention(SIZES, STAGES, 2))
    with torch.no_grad():
        fusion.project["image"].weight.copy_(torch.eye(2))
        fusion.project["audio"].weight.copy_(torch.ones(2, 1))
        fusion.score["image"].weight[0, 0] = 1.0  # of the tanh of its first number
        fusion.classify[1].weight.copy_(torch.eye(2))
    given = {"image": torch.tensor([[2.0, 3.0]]), "audio": torch.tensor([[5.0]])}
    logits, weights = fusion.combine(given, {}, first(BOTH))
    logit = torch.tensor(2.0).tanh().exp().item()
    w = logit / (logit + 1)
    assert weights["image"].item() == pytest.approx(w)
    assert logits[0].tolist() == pytest.approx([2 * w + 5 * (1 - w), 3 * w + 5 * (1 - w)])


def test_film_scales_and_shifts_as_the_other_says() -> None:
    fusion = constant(Film(SIZES, STAGES, 2))
    with torch.no_grad():
        fusion.project["image"].weight.copy_(torch.eye(2))
        fusion.modulate["image"].weight.copy_(torch.tensor([[1.0], [0.0], [0.0], [5.0]]))  # scale, scale, shift, shift
        fusion.classify[1].weight.copy_(torch.eye(2))
    logits, _ = fusion.combine({"image": torch.tensor([[2.0, 3.0]]), "audio": torch.tensor([[4.0]])}, {}, first(BOTH))
    assert logits.tolist() == [[2.0 * (1 + 4), 3.0 + 5 * 4]]


def test_bilinear_is_the_sum_over_ranks_of_products_of_factors() -> None:
    torch.manual_seed(0)
    fusion = Bilinear(SIZES, STAGES, 3)
    image, audio = torch.randn(1, 2), torch.randn(1, 1)
    logits, _ = fusion.combine({"image": image, "audio": audio}, {}, first(BOTH))
    a, b = (fusion.factor[m](x).reshape(-1, fusion.rank) for m, x in (("image", image), ("audio", audio)))
    hidden = sum(fusion.over_ranks.weight[0, r] * a[:, r] * b[:, r] for r in range(fusion.rank)) + fusion.bias
    torch.testing.assert_close(logits, fusion.classify(hidden[None]))


def test_tensor_reads_every_product_of_numbers_and_ones() -> None:
    torch.manual_seed(0)
    fusion = TensorFusion(SIZES, STAGES, 3)
    given = {"image": torch.randn(1, 2), "audio": torch.randn(1, 1)}
    image, audio = (torch.cat([torch.ones(1), fusion.reduce[m](given[m])[0]]) for m in ("image", "audio"))
    logits, _ = fusion.combine(given, {}, first(BOTH))
    torch.testing.assert_close(logits, fusion.classify(torch.outer(audio, image).reshape(1, -1)))


def test_interaction_is_bilinear_in_both() -> None:
    torch.manual_seed(0)
    fusion = Interaction(SIZES, STAGES, 3)
    fusion.classify = torch.nn.Identity()
    one, two = torch.randn(2, 1, 2)
    audio = torch.randn(1, 1)

    def read(image: torch.Tensor) -> torch.Tensor:
        return fusion.combine({"image": image, "audio": audio}, {}, first(BOTH)).logits

    zero = read(torch.zeros(1, 2))
    torch.testing.assert_close(read(one + two) - zero, read(one) - zero + read(two) - zero)
    assert not torch.equal(read(one), fusion.combine({"image": one, "audio": audio * 2}, {}, first(BOTH)).logits)


def test_embrace_draws_while_training_and_means_afterwards() -> None:
    fusion = constant(Embrace(SIZES, STAGES, 2))
    with torch.no_grad():
        fusion.project["image"].bias.fill_(1.0)
    fusion.classify = torch.nn.Identity()
    given = ({"image": torch.zeros(2, 2), "audio": torch.zeros(2, 1)}, {}, BOTH)
    assert fusion.eval().combine(*given).logits[:, 0].tolist() == [0.5, 1.0]
    fusion.train()
    drawn = torch.stack([fusion.combine(*given).logits for _ in range(200)])
    assert set(drawn[:, 0].flatten().tolist()) == {0.0, 1.0}
    assert 0.4 < drawn[:, 0].mean() < 0.6
    assert (drawn[:, 1] == 1).all()  # nobody else is there to be drawn


SURE = {"image": torch.tensor([[0.9, 0.1]]).log(), "audio": torch.tensor([[0.4, 0.6]]).log()}


def test_decisions_by_hand() -> None:
    present = first(BOTH)
    said = {
        kind: kind(SIZES, STAGES, 2).combine({}, SURE, present).logits.softmax(1)[0].tolist()
        for kind in (Weighted, Product, MaxDecision, Majority)
    }
    assert said[Weighted] == pytest.approx([0.65, 0.35])
    assert said[Product] == pytest.approx([0.36 / 0.42, 0.06 / 0.42])
    assert said[MaxDecision] == pytest.approx([0.9 / 1.5, 0.6 / 1.5])
    assert said[Majority] == pytest.approx([0.65, 0.35])  # one vote each: the mean decides


def test_majority_follows_the_votes_and_not_the_sums() -> None:
    names = ("a", "b", "c")
    logits = dict(zip(names, torch.tensor([[[0.51, 0.49]], [[0.51, 0.49]], [[0.01, 0.99]]]).log(), strict=True))
    present = dict.fromkeys(names, torch.tensor([True]))
    fused = Majority(dict.fromkeys(names, 1), dict.fromkeys(names, [1]), 2).combine({}, logits, present).logits
    assert fused.argmax().item() == 0 and sum(s.exp() for s in logits.values()).argmax().item() == 1
    mean = 1.03 / 3  # of the class that two of three vote for; the other is above it
    torch.testing.assert_close(fused.exp(), torch.tensor([[mean, mean / 2]]))


def test_confidence_listens_to_the_surer() -> None:
    _, weights = Confidence(SIZES, STAGES, 2).combine({}, SURE, first(BOTH))
    assert weights["image"].item() == pytest.approx(0.9 / 1.5)


def test_dempster_by_hand() -> None:
    belief, uncertainty = dempster(
        (torch.tensor([[0.6, 0.0]]), torch.tensor([[0.4]])), (torch.tensor([[0.0, 0.5]]), torch.tensor([[0.5]]))
    )
    left = 1 - 0.6 * 0.5  # less what they contradict each other in
    torch.testing.assert_close(belief, torch.tensor([[0.3 / left, 0.2 / left]]))
    torch.testing.assert_close(uncertainty, torch.tensor([[0.2 / left]]))
    torch.testing.assert_close(belief.sum() + uncertainty.sum(), torch.tensor(1.0))


def test_knowing_nothing_changes_no_opinion() -> None:
    opinion = (torch.tensor([[0.7, 0.1]]), torch.tensor([[0.2]]))
    nothing = (torch.zeros(1, 2), torch.ones(1, 1))
    for one, other in ((opinion, nothing), (nothing, opinion)):
        torch.testing.assert_close(dempster(one, other), opinion)


def test_central_takes_channel_means_and_leaves_the_maps() -> None:
    fusion = constant(Central(SIZES, STAGES, 2), 1.0)
    maps = {"image": torch.ones(2, 2, 3, 3), "audio": torch.full((2, 2, 5), 2.0)}
    same, state = fusion.exchange(0, maps, BOTH)
    assert same is maps
    assert state[:, 0].tolist() == [(1 + 1 + 1) + (2 + 2 + 1), 3]  # weights and bias are 1


def test_attention_between_maps_leaves_a_lonely_row_alone() -> None:
    maps = {"image": torch.randn(2, 2, 3, 3), "audio": torch.randn(2, 2, 5)}
    fusion = CrossAttention(SIZES, STAGES, 2)
    out, _ = fusion.exchange(1, maps, BOTH)
    assert all(torch.equal(out[m], maps[m]) for m in maps)  # nothing is exchanged until the branches are trained
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter += 0.1
    out, _ = fusion.exchange(1, maps, BOTH)
    assert torch.equal(out["image"][1], maps["image"][1]) and not torch.equal(out["image"][0], maps["image"][0])
    assert {m: x.shape for m, x in out.items()} == {m: x.shape for m, x in maps.items()}


def test_a_wiring_joins_the_stages_it_names() -> None:
    fusion = Search(SIZES, {"image": [2, 3, 5], "audio": [7, 11, 13]}, 2)
    fusion.rewire("0-2-relu 1-1-sigmoid")
    assert [layer.in_features for layer in fusion.join] == [7 + 5, 11 + 3 + 64]
    shared = None
    for stage, (image, audio) in enumerate(((2, 7), (3, 11), (5, 13))):
        maps = {"image": torch.full((2, image, 4), float(stage)), "audio": torch.full((2, audio), 10.0 + stage)}
        _, shared = fusion.exchange(stage, maps, BOTH, shared)
    first_cell = torch.cat([torch.full((7,), 10.0), torch.full((5,), 2.0)])
    second_cell = torch.cat([torch.full((11,), 11.0), torch.full((3,), 1.0), fusion.join[0](first_cell).relu()])
    expected = fusion.classify(fusion.join[1](second_cell).sigmoid())
    torch.testing.assert_close(fusion.combine({}, {}, BOTH, shared).logits[0], expected)


@pytest.mark.parametrize("joins", ["", "0-relu", "0-3-relu", "0-1-tanh", "x"])
def test_a_wiring_that_is_none_is_refused(joins: str) -> None:
    with pytest.raises(ConfigError, match="joins"):
        Search(SIZES, STAGES, 2).rewire(joins)


def first(flags: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {m: flag[:1] for m, flag in flags.items()}
