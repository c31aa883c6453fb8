"""Exchange between encoders, by hand, at values that training may come to."""

import torch

from sightsound.fusion.hierarchical import Mmtm

SIZES, STAGES = {"audio": 2, "image": 2}, {"audio": [2, 2, 2], "image": [2, 2, 2]}


def test_mmtm_leaves_a_lone_modality_alone_whatever_its_biases() -> None:
    fusion = Mmtm(SIZES, STAGES, 2)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.fill_(0.5)
    maps = {"audio": torch.rand(2, 2, 5), "image": torch.rand(2, 2, 3, 3)}
    present = {"audio": torch.tensor([True, False]), "image": torch.tensor([True, True])}
    out, _ = fusion.exchange(0, maps, present)
    assert torch.equal(out["image"][1], maps["image"][1])
    assert (out["image"][0] > 1.1 * maps["image"][0]).all() and (out["audio"][0] > 1.1 * maps["audio"][0]).all()
