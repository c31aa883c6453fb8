"""Checkpoints of Hugging Face, built small from their configuration, saved to disk and loaded as any other."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers

import sightsound as ss
from sightsound.config import AudioConfig, Config, ImageConfig
from sightsound.encoders import pretrained
from sightsound.errors import ConfigError
from sightsound.modalities.audio import decibel_of
from sightsound.modalities.base import modality as modality_of
from sightsound.network.build import build_network
from sightsound.training.feature_cache import BATCH
from sightsound.training.fit import _groups
from tests.conftest import write_table

SMALL = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
WHOLE = {"apply_spec_augment": False}


def save(folder: Path, kind: str) -> str:
    """Writes a checkpoint with random weights and its preprocessing; gives its folder."""
    torch.manual_seed(0)
    if kind == "vit":
        config = transformers.ViTConfig(**SMALL, image_size=16, patch_size=4)
        processor = transformers.ViTImageProcessor(size={"height": 16, "width": 16}, image_mean=[0.1, 0.2, 0.3])
    elif kind == "resnet":
        config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1])
        processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 32})
    elif kind == "ast":
        config = transformers.ASTConfig(
            **SMALL, num_mel_bins=16, max_length=40, frequency_stride=8, time_stride=8, patch_size=8
        )
        processor = transformers.ASTFeatureExtractor(num_mel_bins=16, max_length=40)
    elif kind == "clip":
        vision = {**SMALL, "image_size": 16, "patch_size": 4, "projection_dim": 8}
        text = {**SMALL, "vocab_size": 50, "projection_dim": 8}
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        processor = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    elif kind == "clap":
        tower = {"num_mel_bins": 64, "spec_size": 256, "window_size": 8, "patch_embeds_hidden_size": 8}
        tower |= {"depths": [1] * 4, "num_attention_heads": [1, 1, 2, 2], "hidden_size": 64, "num_classes": 4}
        text = {**SMALL, "vocab_size": 50}
        config = transformers.ClapConfig(text_config=text, audio_config=tower, projection_dim=16)
        processor = transformers.ClapFeatureExtractor(
            sampling_rate=16000,
            hop_length=160,
            fft_window_size=400,
            frequency_max=8000,
            max_length_s=1,
            truncation="rand_trunc",
        )
    else:
        config = transformers.Wav2Vec2Config(**SMALL, conv_dim=[8] * 7, num_conv_pos_embedding_groups=2)
        processor = transformers.Wav2Vec2FeatureExtractor()
    transformers.AutoModel.from_config(config).save_pretrained(folder / kind)
    processor.save_pretrained(folder / kind)
    return str(folder / kind)


KINDS = {"vit": "image", "resnet": "image", "clip": "image", "ast": "audio", "wav2vec2": "audio", "clap": "audio"}
TOWERS = {"clip": "vision_model", "clap": "audio_model"}  # of models of several modalities, the part that encodes one


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {kind: save(folder, kind) for kind in KINDS}


def loaded(kind: str, path: str) -> tuple[pretrained.Pretrained, torch.Tensor]:
    """The encoder, and features for it made by the checkpoint's own preprocessing."""
    modality = KINDS[kind]
    description = pretrained.describe(path, modality_of(modality).checkpoints)
    if modality == "image":
        features = torch.randn(2, 3, 32, 32) if kind == "resnet" else torch.randn(2, 3, 16, 16)
    else:
        audio = AudioConfig(clip_seconds=0.3, pretrained=description)
        features = modality_of("audio").features(audio).module(torch.rand(2, 4800) - 0.5)
    return pretrained.load(path, description, modality_of(modality).checkpoints, tuple(features.shape[1:])), features


@pytest.mark.parametrize("kind", KINDS)
def test_the_stages_together_are_the_whole(kind: str, checkpoints: dict[str, str]) -> None:
    encoder, features = loaded(kind, checkpoints[kind])
    whole = transformers.AutoModel.from_pretrained(checkpoints[kind]).eval()
    whole = getattr(whole, TOWERS.get(kind, ""), whole)
    expected = whole(features).last_hidden_state
    expected = expected.flatten(2).mean(2) if expected.dim() == 4 else expected.mean(1)
    encoder.eval()
    torch.testing.assert_close(encoder(features), expected, rtol=1e-3, atol=1e-4)
    assert encoder.layers == (0 if kind == "clap" else 4) and len(encoder.stages) == 3  # 0: it cannot be divided
    x = features
    for stage, channels in zip(encoder.stages, encoder.stage_channels, strict=True):
        x = stage(x)
        assert x.shape[:2] == (2, channels)
    assert encoder(features[:1]).shape == (1, encoder.embedding_size)


def test_preprocessing_is_the_checkpoints_own(checkpoints: dict[str, str]) -> None:
    wave = torch.rand(2, 4800) - 0.5
    for kind in ("ast", "wav2vec2"):
        own = transformers.AutoFeatureExtractor.from_pretrained(checkpoints[kind])
        expected = own(list(wave.numpy()), sampling_rate=16000, return_tensors="pt")["input_values"]
        audio = AudioConfig(
            clip_seconds=0.3, pretrained=pretrained.describe(checkpoints[kind], modality_of("audio").checkpoints)
        )
        torch.testing.assert_close(modality_of("audio").features(audio).module(wave), expected)


def test_a_decibel_of_a_checkpoint_s_features_is_measured(checkpoints: dict[str, str]) -> None:
    described = pretrained.describe(checkpoints["ast"], modality_of("audio").checkpoints)
    options = AudioConfig(clip_seconds=0.3, pretrained=described)
    # the natural logarithm of a power, divided by twice the standard deviation of AudioSet
    expected = math.log(10) / 10 / (2 * described["processor"]["std"])
    assert decibel_of(options) == pytest.approx(expected, rel=0.02)
    assert decibel_of(AudioConfig()) == math.log(10) / 10


@pytest.mark.parametrize(("image", "audio"), [("vit", "wav2vec2"), ("resnet", "ast"), ("clip", "clap")])
@pytest.mark.parametrize(("frozen", "fusion"), [(True, "concat"), (False, "mmtm"), (True, "mmtm")])
def test_they_train_save_and_load(
    image: str, audio: str, frozen: bool, fusion: str, checkpoints: dict[str, str], tmp_path: Path
) -> None:
    table = write_table(tmp_path / "data", rows_per_class=6)
    before = transformers.AutoModel.from_pretrained(checkpoints[image]).state_dict()
    classifier = ss.train(
        table,
        out=tmp_path / "run",
        fusion=fusion,
        epochs=2,
        image={"encoder": f"hf:{checkpoints[image]}", "frozen": frozen},
        audio={"encoder": f"hf:{checkpoints[audio]}", "frozen": frozen},
    )
    size = 32 if image == "resnet" else 16
    assert (classifier.config.image.height, classifier.config.image.channels) == (size, 3)
    trained = list(classifier.network.encoders["image"].state_dict().values())
    kept = [any(new.shape == old.shape and torch.equal(new, old) for old in before.values()) for new in trained]
    assert all(kept) if frozen else not all(kept)
    again = ss.load(tmp_path / "run" / "bundle")
    file = {"image": tmp_path / "data" / "low-0.png", "audio": tmp_path / "data" / "low-0.wav"}
    assert again.predict(**file).probabilities == pytest.approx(classifier.predict(**file).probabilities, abs=1e-5)


def test_frozen_embeddings_are_computed_once(
    checkpoints: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "data", rows_per_class=8)
    monkeypatch.setattr("sightsound.training.views.VIEWS", 4)
    calls: list[int] = []
    forward = pretrained.Front.forward

    def counted(self: pretrained.Front, x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(pretrained.Front, "forward", counted)
    options = {"image": {"encoder": f"hf:{checkpoints['vit']}", "frozen": True}, "modalities": ("image",), "epochs": 5}
    ss.train(table, out=tmp_path / "one", **options)
    splits = pd.read_csv(tmp_path / "one" / "splits.csv")["split"]
    probe, views, learned_from = 2, 4, int((splits != "test").sum())  # small batches tell sizes
    whole = (1 + views) * learned_from // BATCH * BATCH
    assert sum(size for size in calls if size > probe) == len(splits) + whole  # in all of the epochs and in the test
    calls.clear()
    ss.train(table, out=tmp_path / "two", **options)
    assert not [size for size in calls if size > probe]  # kept from the run before


def test_first_layers_learn_slowest(checkpoints: dict[str, str]) -> None:
    description = pretrained.describe(checkpoints["vit"], modality_of("image").checkpoints)
    image = ImageConfig(
        f"hf:{checkpoints['vit']}", layer_decay=0.5, height=16, width=16, channels=3, pretrained=description
    )
    config = Config(modalities=("image",), image=image, learning_rate=1.0)
    network = build_network(config, 3)
    rates = {id(p): group["lr"] for group in _groups(network, config, 1.0) for p in group["params"]}
    named = {name: rates[id(p)] for name, p in network.encoders["image"].named_parameters()}
    assert named["stages.0.model.embeddings.cls_token"] == 0.02 * 0.5**4
    assert [named[f"stages.{s}.layers.{i}.layernorm_before.weight"] for s, i in ((0, 0), (0, 1), (1, 0), (2, 0))] == [
        0.02 * 0.5**depth for depth in (3, 2, 1, 0)
    ]
    assert named["pool.norm.weight"] == 0.02 and rates[id(network.heads["image"].weight)] == 1.0


@pytest.mark.parametrize(
    ("kind", "modality", "message"),
    [
        ("vit", "audio", "takes images, so it cannot be the audio"),
        ("ast", "image", "takes sounds, so it cannot be the image"),
    ],
)
def test_a_checkpoint_of_the_wrong_modality(
    kind: str, modality: str, message: str, checkpoints: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrained.describe(checkpoints[kind], modality_of(modality).checkpoints)


def test_no_such_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded.*hf:FOLDER"):
        pretrained.describe(str(tmp_path / "nothing"), modality_of("image").checkpoints)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        pretrained.describe(str(tmp_path), modality_of("audio").checkpoints)
