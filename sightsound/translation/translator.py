"""The public translator: images in, sounds out, and the reverse; saved to and loaded from a bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.bundle import WEIGHTS
from sightsound.bundle.files import CONFIG, TRANSLATOR, Saved, bundle_errors, write_files
from sightsound.config import Config, clip_seconds
from sightsound.data.clips import clip_starts
from sightsound.data.decode import decode_given, reader
from sightsound.data.files import Source, name_of, probe_audio
from sightsound.errors import BundleError, ConfigError, FileError
from sightsound.modalities.audio import log_mel
from sightsound.progress import progress_bar
from sightsound.registry import resolve
from sightsound.translation.config import MODALITIES, TranslatorConfig, translator_from_dict
from sightsound.translation.decoders import VOCODERS, Vocoder
from sightsound.translation.decoders.audio import enhance
from sightsound.translation.network import TranslatorNetwork, build_translator, check_translator
from sightsound.translation.retrieval import (
    Translation,
    check,
    image_from_sonified,
    nearest,
    other,
    several,
    sonify_image,
)

FORMAT = 1
MEANINGS, FILES = "meanings.safetensors", "files.json"
CANDIDATES = 2  # generated for each requested translation; the most similar to the input are returned
BATCH = 128


class RetrievalIndex(NamedTuple):
    """The retrieval index: per modality the paths of n files, and their shared embeddings (n, E)."""

    files: dict[str, list[str]]
    meanings: dict[str, Tensor]


class Translator:
    """A trained network with everything it needs to translate files.

    Args:
        network: the trained network.
        config: the configuration with all sizes set.
        bank: the retrieval index of the training files.
        trust: whether a module may be imported for the vocoder.
    """

    def __init__(
        self, network: TranslatorNetwork, config: TranslatorConfig, bank: RetrievalIndex, trust: bool = True
    ) -> None:
        self.network = network.eval()
        self.config = config
        self.bank = bank
        self.reading = _stepping(config.reading_config(), None)  # of a whole file its first window
        self.windows = _stepping(self.reading, clip_seconds(self.reading))
        vocoder = resolve("vocoder", config.vocoder, VOCODERS, Vocoder, trust)
        self.vocoder: Vocoder = vocoder(log_mel(self.reading.audio))

    def to(self, device: str | torch.device) -> Translator:
        """Moves the translator to a device, such as "cuda"."""
        self.network.to(device)
        return self

    def image_to_audio(
        self,
        images: Source | NDArray[Any] | Sequence[Source | NDArray[Any]],
        n: int = 1,
        mode: str = "generate",
        seed: int = 0,
    ) -> list[list[Translation]]:
        """Translates each image to sounds.

        Args:
            images: paths, bytes of files, or (H, W[, channels]) uint8; one or several.
            n: number of sounds for each.
            mode: generate, retrieve (from the training files) or sonify (play the image as a spectrogram).
            seed: seed of what is generated.

        Raises:
            FileError: a file cannot be read.
            ConfigError: n is below 1, or the mode is unknown.
        """
        return self._translated("image", several(images), n, mode, seed)

    def audio_to_image(
        self, sounds: Source | Sequence[Source], n: int = 1, mode: str = "generate", seed: int = 0
    ) -> list[list[Translation]]:
        """Translates each sound to images, n for each window of a long one; otherwise as `image_to_audio`."""
        return self._translated("audio", several(sounds), n, mode, seed)

    def _translated(self, modality: str, given: list[Any], n: int, mode: str, seed: int) -> list[list[Translation]]:
        check(n, mode)
        if mode == "sonify":
            return [sonify_image(one) if modality == "image" else image_from_sonified(one) for one in given]
        every, starts, owners = [], [], []
        for number, one in enumerate(given):
            for start in self._starts(modality, one):
                every.append(self._read(modality, one, start))
                starts.append(start)
                owners.append(number)
        meanings = self.meanings(modality, torch.from_numpy(np.stack(every)))
        names = [name_of(given[owner]) for owner in owners]
        found = (self._generated if mode == "generate" else self._retrieved)(modality, meanings, names, starts, n, seed)
        return [
            [t for i in range(len(owners)) if owners[i] == number for t in found[i]] for number in range(len(given))
        ]

    @torch.inference_mode()
    def meanings(self, modality: str, decoded: Tensor) -> Tensor:
        """Decoded files (B, ...) -> shared embeddings (B, E) of length 1."""
        network = self.network
        parts = [
            network.meaning(modality, network.features[modality](x.to(network.device))) for x in decoded.split(BATCH)
        ]
        return torch.cat(parts).cpu()

    @torch.inference_mode()
    def generate(self, modality: str, meanings: Tensor, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Generates from shared embeddings (B, E) the other modality's features (B, n, *shape), similarity (B, n).

        More samples are generated than requested; those whose own shared embedding is closest to the input are returned
        (as DALL-E does with CLIP, Ramesh et al., 2021).
        """
        wanted, rows = other(modality), len(meanings)
        given = meanings.repeat_interleave(CANDIDATES * n, 0).to(self.network.device)
        noise = torch.randn(len(given), self.network.noise_size, generator=rng).to(self.network.device)
        features = self.network.generate({modality: given}, wanted, noise)
        similarity = (self.network.meaning(wanted, features) * given).sum(1).unflatten(0, (rows, -1))
        best = similarity.topk(n, 1)
        of_each = zip(features.unflatten(0, (rows, -1)), best.indices, strict=True)
        return torch.stack([of_one[places] for of_one, places in of_each]).cpu(), best.values.cpu()

    @torch.inference_mode()
    def contents(self, modality: str, features: Tensor) -> list[NDArray[Any]]:
        """Generated features (B, *shape) -> pixels (H, W[, 3]) uint8, or waveforms (N,), each."""
        if modality == "audio":
            return list(self.vocoder(enhance(features)).numpy())
        pixels = features.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [one.squeeze(2) if one.shape[2] == 1 else one for one in pixels]

    def _generated(
        self, modality: str, meanings: Tensor, names: list[str], starts: list[float], n: int, seed: int
    ) -> list[list[Translation]]:
        wanted, rng = other(modality), torch.Generator().manual_seed(seed)
        contents, near = list[NDArray[Any]](), list[float]()
        with progress_bar("translating", len(meanings)) as bar:
            for part in meanings.split(max(BATCH // (CANDIDATES * n), 1)):
                features, similarity = self.generate(modality, part, n, rng)
                contents += self.contents(wanted, features.flatten(0, 1))
                near += similarity.flatten().tolist()
                bar.update(len(part))
        made = [
            Translation(names[i // n], starts[i // n], wanted, "generate", content, self._rate(wanted), near[i])
            for i, content in enumerate(contents)
        ]
        return [made[i : i + n] for i in range(0, len(made), n)]

    def _retrieved(
        self, modality: str, meanings: Tensor, names: list[str], starts: list[float], n: int, seed: int
    ) -> list[list[Translation]]:
        wanted = other(modality)
        places, similarity = nearest(self.bank.meanings[wanted], meanings, n)
        found = []
        for i, (name, start) in enumerate(zip(names, starts, strict=True)):
            of_one = []
            for place, near in zip(places[i].tolist(), similarity[i].tolist(), strict=True):
                file = self.bank.files[wanted][place]
                try:
                    content = reader(self.reading, wanted)(file)
                except FileError as error:
                    raise FileError(
                        file,
                        f"{error.reason}; it is one of the files that the translator was trained on, among which it "
                        "looks. Put it back, or take --mode generate.",
                    ) from error
                content = content.squeeze(2) if wanted == "image" and content.shape[2] == 1 else content
                of_one.append(Translation(name, start, wanted, "retrieve", content, self._rate(wanted), near, file))
            found.append(of_one)
        return found

    def save(self, folder: str | Path) -> None:
        """Writes a bundle. Raises BundleError if that fails."""
        config = {"format": FORMAT, "kind": TRANSLATOR, "config": dataclasses.asdict(self.config)}
        halves = {m: x.half() for m, x in self.bank.meanings.items()}
        tensors = {WEIGHTS: dict(self.network.state_dict()), MEANINGS: halves}
        write_files(Path(folder), tensors, {CONFIG: config, FILES: self.bank.files}, _card(self.config, self.bank))

    def _starts(self, modality: str, given: Any) -> list[float]:
        if modality == "image":
            return [0.0]
        length = clip_seconds(self.reading)
        return clip_starts(probe_audio(given), length, length)

    def _read(self, modality: str, given: Any, start: float) -> NDArray[Any]:
        where = {"start_seconds": start} if modality == "audio" else {}
        return decode_given(self.windows, modality, given, **where).values

    def _rate(self, modality: str) -> int | None:
        return self.config.audio.sample_rate_hz if modality == "audio" else None


def load_translator(folder: str | Path, *, trust: bool = False) -> Translator:
    """Loads the translator of a bundle.

    Args:
        folder: the folder of the bundle.
        trust: as of `load`.

    Raises:
        BundleError: it is not a bundle, a classifier's, damaged, or of a newer format; or it must be trusted.
    """
    folder = Path(folder)
    saved = Saved(folder, TRANSLATOR, FORMAT, [WEIGHTS, MEANINGS, CONFIG, FILES])
    with bundle_errors(folder):
        config = translator_from_dict(saved.json(CONFIG)["config"])
        bank = _bank(saved.json(FILES), {m: x.float() for m, x in saved.tensors(MEANINGS).items()}, config)
        weights = saved.tensors(WEIGHTS)
        check_translator(config, weights, trust)
        network = build_translator(config, trust=trust)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise BundleError(f"{folder}: the weights do not fit what config.json describes: {error}") from error
        return Translator(network, config, bank, trust)


def _bank(files: Any, meanings: dict[str, Tensor], config: TranslatorConfig) -> RetrievalIndex:
    """Builds the retrieval index. Raises ConfigError for invalid content."""
    for m in MODALITIES:
        names = files.get(m) if isinstance(files, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigError(f"{FILES} is no list of files for each modality")
        if m not in meanings or meanings[m].shape != (len(names), config.meaning_size):
            raise ConfigError(f"{MEANINGS} are not those of the {len(names)} {m} files")
    return RetrievalIndex(files, meanings)


def _stepping(config: Config, step_seconds: float | None) -> Config:
    return dataclasses.replace(config, audio=dataclasses.replace(config.audio, step_seconds=step_seconds))


def _card(config: TranslatorConfig, bank: RetrievalIndex) -> str:
    """Describes the translator and its limits in Markdown."""
    counts: Mapping[str, int] = {m: len(files) for m, files in bank.files.items()}
    return "\n".join(
        [
            "# A sightsound translator",
            "",
            f"From image to sound and back; trained on {counts['image']:,} images and {counts['audio']:,} sounds.",
            f"Images: {config.image.height} x {config.image.width} pixels; sounds: {config.audio.clip_seconds} s at "
            f"{config.audio.sample_rate_hz} Hz, made audible by `{config.vocoder}`.",
            "",
            "Limits: whatever it is given, it answers with something like its training data. What it makes is not a",
            "recording and not a photograph; say so where you show it. `retrieve` looks for the training files where",
            "they were (`files.json`).",
            "",
            "```python",
            "import sightsound as ss",
            'translator = ss.load_translator("path/of/this/folder")',
            'translator.image_to_audio("7.png", n=8)',
            "```",
            "",
        ]
    )
