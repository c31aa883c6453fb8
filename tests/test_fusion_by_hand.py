"""Each strategy's arithmetic on numbers small enough to check by hand."""

import torch

from sightsound.fusion.decision import Vote
from sightsound.fusion.feature import Average, Concat
from sightsound.fusion.hierarchical import Mmtm

SIZES = {"image": 2, "audio": 1}
STAGES = {"image": [2, 2, 2], "audio": [2, 2, 2]}
BOTH = {"image": torch.tensor([True, True]), "audio": torch.tensor([True, False])}


def test_vote_is_the_mean_probability() -> None:
    scores = {
        "image": torch.tensor([[0.8, 0.2]]).log().repeat(2, 1),
        "audio": torch.tensor([[0.4, 0.6], [0.5, 0.5]]).log(),
    }
    logits, weights = Vote(SIZES, STAGES, 2).combine({}, scores, BOTH)
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


def test_mmtm_gates_channels_by_the_other_sense_and_leaves_a_lonely_row_alone() -> None:
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
