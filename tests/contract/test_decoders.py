"""What holds for every autoencoder and every vocoder, and for the flow between latents."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sightsound.features.audio import FLOOR, LogMel
from sightsound.translation.decoders import AUTOENCODERS, VOCODERS
from sightsound.translation.decoders.audio import enhance
from sightsound.translation.decoders.flow import LatentFlow

SHAPES = {"image": [(1, 28, 28), (3, 17, 40)], "audio": [(80, 64), (23, 16)]}
EVERY = [(m, shape) for m in AUTOENCODERS for shape in SHAPES[m]]
SIZES = {"image": 3, "audio": 5}


@pytest.mark.parametrize(("modality", "shape"), EVERY)
def test_there_and_back_has_the_same_shape(modality: str, shape: tuple[int, ...]) -> None:
    coder = AUTOENCODERS[modality](shape, 7)
    maps = torch.randn(3, *shape)
    latent = coder.encode(maps)
    assert latent.shape == (3, 7) and coder.decode(latent).shape == maps.shape
    torch.testing.assert_close(latent.square().mean(1), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(coder.decode(latent[1:2]), coder.decode(latent)[1:2], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("modality", "shape"), EVERY)
def test_every_parameter_is_trained_and_saved(modality: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    coder = AUTOENCODERS[modality](shape, 7)
    coder.loss(torch.randn(2, *shape)).backward()
    for name, parameter in coder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    other = AUTOENCODERS[modality](shape, 7)
    other.load_state_dict(coder.state_dict())
    maps = torch.randn(2, *shape)
    torch.testing.assert_close(other.decode(other.encode(maps)), coder.decode(coder.encode(maps)))
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in coder.modules())


@pytest.mark.parametrize("modality", AUTOENCODERS)
def test_what_an_encoder_makes_of_it_counts_too(modality: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.translation.decoders.base.NOISE", 0.0)
    torch.manual_seed(0)
    shape = SHAPES[modality][0]
    coder, maps = AUTOENCODERS[modality](shape, 7), 3 * torch.randn(2, *shape)
    made = coder.decode(coder.encode(maps))
    error = (made - maps).square().mean()
    squares = (made.square() - maps.square()).square().mean() / maps.square().square().mean()
    stages = [nn.Identity(), Squares()]
    torch.testing.assert_close(coder.loss(maps, stages), error + (error / maps.square().mean() + squares) / 2)


class Squares(nn.Module):
    """The square of each number."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.square()


@pytest.mark.parametrize("modality", AUTOENCODERS)
def test_it_learns_to_put_together(modality: str) -> None:
    torch.manual_seed(0)
    shape = SHAPES[modality][-1]
    places = torch.linspace(0, 6, int(np.prod(shape)))
    maps = torch.stack([torch.sin(places * k) for k in range(1, 5)]).unflatten(1, shape)
    coder = AUTOENCODERS[modality](shape, 7)
    optimizer = torch.optim.AdamW(coder.parameters(), 3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        coder.loss(maps).backward()
        optimizer.step()
    error = (coder.decode(coder.encode(maps)) - maps).square().mean().item()
    assert error < 0.1 * maps.square().mean().item()


def test_decoded_frames_get_contrast_between_their_bins() -> None:
    silence = math.log(FLOOR)
    frames = torch.tensor([[[0.0, -2.0], [silence, silence], [silence, silence + 2.0]]])
    wanted = torch.tensor([[[0.2, -2.2], [silence, silence], [silence, silence + 2.2]]])
    torch.testing.assert_close(enhance(frames), wanted)


@pytest.mark.parametrize("name", VOCODERS)
@pytest.mark.parametrize(("rate", "bins"), [(16000, 64), (8000, 40)])
def test_a_vocoder_gives_the_sound_of_its_frames(name: str, rate: int, bins: int) -> None:
    how = LogMel(rate, 0.5, 32, 12.5, bins)
    time = torch.arange(how.samples) / rate
    sweep = 0.4 * torch.sin(2 * torch.pi * (300 + 1200 * time) * time)
    both = torch.stack([sweep, torch.zeros_like(sweep)])
    found = VOCODERS[name](how)(how(both))
    assert found.shape == both.shape and found.abs().max() <= 1
    assert found[1].abs().max() < 1e-6  # silence stays silence
    loud = how(both)[0] > how(both)[0].amax(1, keepdim=True) - 4
    assert float((how(found)[0] - how(both)[0])[loud].abs().mean()) < 0.35
    torch.testing.assert_close(VOCODERS[name](how)(how(both)[:1]), found[:1], atol=1e-4, rtol=1e-3)  # always the same


def flow() -> LatentFlow:
    torch.manual_seed(0)
    found = LatentFlow(SIZES, 4)
    nn.init.normal_(found.out.weight, std=0.1)
    return found


def latents(rows: int = 6) -> dict[str, torch.Tensor]:
    return {m: torch.randn(rows, size) for m, size in SIZES.items()}


def test_what_is_given_counts_and_nothing_behind_its_flag() -> None:
    network, noisy, meaning = flow(), latents(), {m: torch.randn(6, 4) for m in SIZES}
    given = {"image": torch.tensor([True] * 3 + [False] * 3), "audio": torch.zeros(6, dtype=torch.bool)}
    time = torch.rand(6)
    found = network(noisy, time, meaning, given)
    strange_noise = {m: torch.where(given[m][:, None], torch.nan, x) for m, x in noisy.items()}
    strange_meaning = {m: torch.where(given[m][:, None], x, torch.nan) for m, x in meaning.items()}
    same = network(strange_noise, time, strange_meaning, given)
    torch.testing.assert_close(same["audio"], found["audio"])
    torch.testing.assert_close(same["image"][3:], found["image"][3:])
    swapped = network(dict(reversed(noisy.items())), time, dict(reversed(meaning.items())), given)
    torch.testing.assert_close(swapped["audio"], found["audio"])
    other = network(noisy, time, {m: x + 1 for m, x in meaning.items()}, given)
    assert (other["audio"][:3] - found["audio"][:3]).abs().max() > 1e-3
    torch.testing.assert_close(other["audio"][3:], found["audio"][3:])


def test_every_parameter_of_the_flow_is_trained() -> None:
    network = flow()
    given = {
        "image": torch.tensor([True, True, False, False, False, False]),
        "audio": torch.tensor([False] * 5 + [True]),
    }
    network.loss(latents(), {m: torch.randn(6, 4) for m in SIZES}, given).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_the_flow_learns_what_belongs_to_a_meaning() -> None:
    torch.manual_seed(0)
    network = LatentFlow(SIZES, 4)
    sign = (torch.arange(100) % 2 * 2 - 1)[:, None].float()
    known = {m: sign + 0.1 * torch.randn(100, size) for m, size in SIZES.items()}
    meaning = {m: sign.expand(-1, 4) for m in SIZES}
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    for _ in range(150):
        drawn = torch.rand(100)
        given = {"image": drawn < 0.4, "audio": drawn > 0.6}
        optimizer.zero_grad()
        network.loss(known, meaning, given).backward()
        optimizer.step()
    flags = {"image": torch.ones(40, dtype=torch.bool), "audio": torch.zeros(40, dtype=torch.bool)}
    noise = {m: torch.randn(40, size) for m, size in SIZES.items()}
    found = network.generate(noise, {m: x[:40] for m, x in meaning.items()}, flags, steps=16, guidance=1.0)["audio"]
    assert float((found - sign[:40]).abs().mean()) < 0.4
    nothing = {m: torch.zeros(40, dtype=torch.bool) for m in SIZES}
    both = network.generate(noise, {m: x[:40] for m, x in meaning.items()}, nothing, steps=16, guidance=1.0)
    agree = both["image"].mean(1).sign() == both["audio"].mean(1).sign()
    assert agree.float().mean() > 0.85  # what is made together belongs together


def test_with_guidance_nothing_is_read_that_no_velocity_was_learnt_for() -> None:
    read = []

    class Watched(LatentFlow):
        def forward(self, noisy, time, meaning, given):
            if not given["image"].any():
                read.append(noisy["image"].clone())
            never_learnt = given["image"][:, None] * torch.full_like(noisy["image"], 1e6)
            return {"image": torch.full_like(noisy["image"], 0.5) + never_learnt, "audio": noisy["image"] * 0 + 1.0}

    network, noise = Watched({"image": 3, "audio": 3}, 4), {m: torch.randn(2, 3) for m in ("image", "audio")}
    given = {"image": torch.tensor([True, True]), "audio": torch.tensor([False, False])}
    found = network.generate(noise, {m: torch.zeros(2, 4) for m in noise}, given, steps=4, guidance=2.0)
    for step, seen in enumerate(read):
        torch.testing.assert_close(seen, noise["image"] + 0.5 * step / 4)
    torch.testing.assert_close(found["audio"], noise["audio"] + 1.0)
