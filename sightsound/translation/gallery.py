"""Writes translations as files, and a page with every input beside its playable translations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.data.files import Source, probe_audio, read_audio
from sightsound.data.text import without_formulas
from sightsound.features.audio import LogMel
from sightsound.modalities.media import frames_uri, png_uri, thumbnail, wav_uri
from sightsound.report.page import version, when, write_page
from sightsound.translation.config import MODALITIES
from sightsound.translation.evaluation import TranslatorEvaluation
from sightsound.translation.retrieval import SONIFIED_RATE_HZ, Translation, other, write

WINDOW_MS, HOP_MS, BINS = 32.0, 10.0, 64  # of the spectrograms shown


TITLES = {
    "coherence": "of the same class, by the evaluator",
    "coherence_of_real": "real files: right, by the evaluator",
    "round_trip": "round trip: of the same class",
    "sonified_round_trip": "played as a spectrogram and drawn again",
    "frechet": "Fréchet distance to training files",
    "frechet_of_real": "Fréchet distance of real test files",
    "diversity": "distance between translations of one file",
    "diversity_of_real": "distance between real files of a class",
    "near_copies": "near-copies of training files",
    "near_copies_of_real": "the same of real test files",
    "groups": "groups (speakers) among the most similar",
}


class Shown(NamedTuple):
    """One image or sound on the page.

    Attributes:
        title: beneath it.
        picture: data URI of the image, or of a spectrogram.
        sound: data URI, "" of an image.
    """

    title: str
    picture: str
    sound: str


class Line(NamedTuple):
    """An input, and its translations."""

    given: Shown
    made: list[Shown]


class Section(NamedTuple):
    """A section of the page: heading, a sentence about it, and lines."""

    title: str
    about: str
    lines: list[Line]


def write_translations(translations: list[list[Translation]], given: list[Source], folder: Path) -> Path:
    """Writes a WAV or PNG for each translation, `translations.csv`, and `gallery.html`; the path of the latter.

    Args:
        translations: the translations of each file.
        given: the files.
        folder: a new, empty folder.
    """
    rows, lines = [], []
    for number, (source, of_one) in enumerate(zip(given, translations, strict=True)):
        stem = Path(source).stem if isinstance(source, str | Path) else f"{number + 1}"
        made = []
        for i, one in enumerate(of_one):
            path = write(one, _free(folder, f"{stem}-{i + 1}", one))
            rows.append(
                {
                    "source": one.source,
                    "start_seconds": one.start_seconds,
                    "file": path.name,
                    "mode": one.mode,
                    "similarity": "" if one.similarity is None else round(one.similarity, 4),
                    "found": one.file,
                }
            )
            made.append(show(one, path.name))
        lines.append(Line(shown_file(source, "audio" if of_one[0].modality == "image" else "image"), made))
    without_formulas(pd.DataFrame(rows)).to_csv(folder / "translations.csv", index=False)
    return write_page(
        folder / "gallery.html",
        title=_title(translations, given),
        about=[f"{when(folder / 'translations.csv')}, {version()}."],
        sections=[Section("", "", lines)],
        numbers=[],
    )


def _title(translations: list[list[Translation]], given: list[Source]) -> str:
    first = translations[0][0]
    inputs = f"{len(given)} {other(first.modality)}s" if len(given) > 1 else f"One {other(first.modality)}"
    return f"{inputs} translated to {first.modality} (mode {first.mode})"


def write_evaluation(done: TranslatorEvaluation, run: Path) -> Path:
    """Writes `evaluation.json`, and a page with metrics, samples, and failures; returns the path of the page."""
    (run / "evaluation.json").write_text(json.dumps(done.numbers, indent=1) + "\n", encoding="utf-8")
    sections = []
    for direction, samples in done.samples.items():
        source = direction.split(" ", maxsplit=1)[0]
        lines = [
            Line(shown_file(of_one[0].source, source), [show(one, str(i + 1)) for i, one in enumerate(of_one)])
            for of_one in samples
        ]
        sections.append(Section(f"{direction}: the first test rows", "", lines))
        failed = [
            Line(shown_file(one.source, source), [show(one, f"of class {meant}, taken for {taken}")])
            for one, meant, taken in done.failures[direction]
        ]
        about = "Translations that the evaluator takes for another class than that of the input."
        sections.append(Section(f"{direction}: wrong translations", about if failed else "None.", failed))
    return write_page(
        run / "gallery.html",
        title=f"Translations evaluated: {' and '.join(done.samples)}",
        about=[f"{when(run / 'evaluation.json')}, {version()}. Everything is of test rows."],
        sections=sections,
        numbers=numbers_table(done.numbers),
    )


def numbers_table(numbers: dict[str, Any]) -> list[list[str]]:
    """Formats the metrics of both directions as text, the first row being the head."""
    directions = [f"{m} to {other(m)}" for m in MODALITIES]
    rows = [["", *directions]]
    for name, title in TITLES.items():
        rows.append([title, *(_text(numbers[direction][name]) for direction in directions)])
    for name in numbers["retrieval"][directions[0]]:
        title = f"retrieval among {numbers['retrieval']['rows']}: {name.replace('_', ' ')}"
        rows.append([title, *(_text(numbers["retrieval"][direction][name]) for direction in directions)])
    return rows


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if "covered" in value:
        return f"{value['covered']} of {value['of']}"
    return f"{value['value']:.4f} ({value['ci'][0]:.4f} to {value['ci'][1]:.4f})"


def show(translation: Translation, title: str) -> Shown:
    """Shows a translation, with its similarity to the input beside its name."""
    if translation.similarity is not None:
        title = f"{title} ({translation.similarity:.2f})"
    return _shown(translation.content, translation.sample_rate_hz, title)


def shown_file(source: Source, modality: str) -> Shown:
    """Shows a given file."""
    name = Path(source).name if isinstance(source, str | Path) else "bytes"
    if modality == "audio":
        return _shown(read_audio(source, SONIFIED_RATE_HZ, probe_audio(source), "start"), SONIFIED_RATE_HZ, name)
    return Shown(name, thumbnail(source), "")


def _shown(content: NDArray[Any], rate_hz: int | None, title: str) -> Shown:
    if rate_hz is None:
        return Shown(title, png_uri(np.atleast_2d(content)), "")
    how = LogMel(rate_hz, len(content) / rate_hz, WINDOW_MS, HOP_MS, BINS)
    return Shown(title, frames_uri(content, how), wav_uri(content, rate_hz))


def _free(folder: Path, stem: str, translation: Translation) -> Path:
    """Returns a free path for a translation: two inputs of the same name do not overwrite each other."""
    ending, number, name = (".png" if translation.sample_rate_hz is None else ".wav"), 1, stem
    while (folder / f"{name}{ending}").exists():
        number += 1
        name = f"{stem}_{number}"
    return folder / name
