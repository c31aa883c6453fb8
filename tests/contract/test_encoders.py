"""Every registered encoder keeps the contract, and fits every strategy."""

import pytest
import torch
from torch import nn

from sightsound.encoders import ENCODERS
from sightsound.encoders.base import STAGES, Encoder
from sightsound.errors import ConfigError
from sightsound.fusion import STRATEGIES
from tests.contract.batches import CLASSES, batch_of, network_with

SHAPES = {"image": [(1, 28, 28), (3, 17, 40)], "audio": [(80, 128), (24, 16)]}
EVERY = [(m, name, shape) for m in ENCODERS for name in ENCODERS[m] for shape in SHAPES[m]]


@pytest.mark.parametrize(("modality", "name", "shape"), EVERY)
def test_stages_and_pool_have_the_shapes_they_promise(modality: str, name: str, shape: tuple[int, ...]) -> None:
    encoder: Encoder = ENCODERS[modality][name](shape)
    x = torch.randn(2, *shape)
    assert len(encoder.stages) == len(encoder.stage_channels) == STAGES
    for stage, channels in zip(encoder.stages, encoder.stage_channels, strict=True):
        x = stage(x)
        assert x.shape[:2] == (2, channels)
    assert encoder.pool(x).shape == (2, encoder.embedding_size)
    assert encoder(torch.randn(1, *shape)).shape == (1, encoder.embedding_size)


@pytest.mark.parametrize(("modality", "name", "shape"), EVERY)
def test_rows_are_independent_and_nothing_is_a_batch_norm(modality: str, name: str, shape: tuple[int, ...]) -> None:
    encoder = ENCODERS[modality][name](shape).train()
    x = torch.randn(3, *shape)
    torch.testing.assert_close(encoder(x)[1:2], encoder(x[1:2]), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in encoder.modules())


@pytest.mark.parametrize("fusion", STRATEGIES)
@pytest.mark.parametrize("image", ENCODERS["image"])
@pytest.mark.parametrize("audio", ENCODERS["audio"])
def test_every_pair_of_encoders_fits_every_strategy(fusion: str, image: str, audio: str) -> None:
    network = network_with(fusion, image=image, audio=audio)
    assert network(batch_of(4, missing=True)).logits.shape == (4, CLASSES)


@pytest.mark.parametrize(
    ("modality", "name", "shape"),
    [("image", "resnet", (1, 4, 40)), ("image", "cnn", (1, 3, 3)), ("audio", "convnet", (4, 64))],
)
def test_too_small_an_input_is_said(modality: str, name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' needs"):
        ENCODERS[modality][name](shape)


def test_the_classic_pair_is_the_classic_size() -> None:
    image = ENCODERS["image"]["cnn"]((1, 28, 28))
    audio = ENCODERS["audio"]["bilstm"]((80, 128))
    assert sum(p.numel() for p in image.parameters()) == 32 * 9 + 32 + 13 * 13 * 32 * 128 + 128
    lstm = 2 * (4 * 64 * (128 + 64) + 2 * 4 * 64)
    assert sum(p.numel() for p in audio.parameters()) == lstm + 128 * 64 + 64


def test_settled_embeddings_have_mean_0_and_deviation_1() -> None:
    network = network_with("concat")
    batch = network.featurize(batch_of(64))
    network.fit_embedding_scale(batch.inputs)
    for embedding in network.fuse(batch).embeddings.values():
        torch.testing.assert_close(embedding.mean(0), torch.zeros(embedding.shape[1]), atol=1e-3, rtol=0)
        deviation = embedding.std(0, correction=0)
        assert deviation.max() < 1.01 and deviation.median() > 0.9
