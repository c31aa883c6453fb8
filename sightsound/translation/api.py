"""`sightsound.train_translator`, `translate` and `evaluate_translator`: for Python and the command line, with pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from sightsound.classifier import load
from sightsound.config import ColumnsConfig
from sightsound.data.datasets import TableLike, table_for
from sightsound.data.files import Source
from sightsound.data.sources import SourceOptions
from sightsound.data.splits import split
from sightsound.data.table import read_table
from sightsound.errors import ConfigError, RunError
from sightsound.progress import Say, say
from sightsound.run_folder import BUNDLE, alone_in, folder_for, is_free, write_errors
from sightsound.training.run import run_training
from sightsound.translation.config import TranslatorConfig
from sightsound.translation.evaluation import TranslationOptions, TranslatorEvaluation, run_translator_evaluation
from sightsound.translation.evaluators import evaluator_config
from sightsound.translation.gallery import write_evaluation, write_translations
from sightsound.translation.retrieval import Translation, check, image_from_sonified, several, sonify_image
from sightsound.translation.training import run_translator_training
from sightsound.translation.translator import Translator, load_translator


def train_translator(
    table: TableLike,
    *,
    source: SourceOptions | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    config: TranslatorConfig | None = None,
    say: Say = say,
) -> Translator:
    """Trains a translator from image to sound and back, on pairs; labels are not read.

    Args:
        table: as of `train`; rows that lack a modality are left out.
        source: as of `train`.
        out: as of `train`.
        resume: as of `train`.
        say: as of `train`.
        config: all options.

    Returns:
        the translator, which is also saved in OUT/bundle.

    Raises:
        SightsoundError: the input cannot be used; the message says how to correct it.
    """
    run = folder_for(table, out)
    translator = run_translator_training(table_for(table, source), config or TranslatorConfig(), run, resume, say)
    say(f"Bundle: {run / BUNDLE}")
    return translator


def translate(
    *,
    image: Source | Sequence[Source] | None = None,
    audio: Source | Sequence[Source] | None = None,
    bundle: str | Path | None = None,
    n: int = 1,
    mode: str = "generate",
    seed: int = 0,
    out: str | Path | None = None,
    trust: bool = False,
) -> list[list[Translation]]:
    """Translates images to sounds, or sounds to images.

    Args:
        image: images to translate: one path (or the bytes of a file), or several.
        audio: sounds to translate, in the same form; give either images or sounds.
        bundle: folder of the translator; needed for all modes but sonify.
        n: number of translations of each file.
        mode: generate, retrieve (from the training files) or sonify (an image played as a spectrogram).
        seed: seed of what is generated.
        out: new folder for WAV or PNG files, `translations.csv` and `gallery.html`; default: nothing is written.
        trust: as of `load_translator`.

    Returns:
        for each file its translations; of a sound longer than a clip, n for each window.

    Raises:
        SightsoundError: the input cannot be used; the message says how to correct it.
    """
    if (image is None) == (audio is None):
        raise ConfigError("Give images or sounds, one of them: what is to be translated.")
    given = several(image if audio is None else audio)
    check(n, mode)
    folder = Path(out) if out else None
    if folder and folder.exists():
        raise RunError(f"{folder} is there already. Give another --out.")
    if mode == "sonify":
        found = [sonify_image(one) if audio is None else image_from_sonified(one) for one in given]
    else:
        if bundle is None:
            raise ConfigError(
                f"The mode {mode} needs a translator: --bundle RUN_FOLDER/bundle. Train one: translate fit"
            )
        translator = load_translator(bundle, trust=trust)
        found = (translator.image_to_audio if audio is None else translator.audio_to_image)(given, n, mode, seed)
    if folder:
        with write_errors(folder):
            folder.mkdir(parents=True)
            write_translations(found, given, folder)
    return found


def evaluate_translator(
    bundle: str | Path,
    table: TableLike,
    *,
    source: SourceOptions | None = None,
    judge: str | Path | None = None,
    options: TranslationOptions | None = None,
    columns: ColumnsConfig | None = None,
    out: str | Path | None = None,
    trust: bool = False,
    say: Say = say,
) -> TranslatorEvaluation:
    """Measures a translator on a table with labels: an evaluator, trained on recorded data, classifies translations.

    Args:
        bundle: folder of the translator.
        table: a table with labels; its test rows are translated, and the results compared with its training rows.
        source: as of `train`.
        out: as of `train`.
        say: as of `train`.
        judge: bundle of the evaluator, a classifier trained on recorded data; default: one is trained on the table, in
            OUT/judge (OUT/judge-speech where `options.evaluator` has speech).
        options: how many rows and translations.
        columns: the names of the table's columns.
        trust: as of `load_translator`; applies to the evaluator too.

    Returns:
        metrics and samples, which are also in OUT/evaluation.json and OUT/gallery.html.

    Raises:
        SightsoundError: the input cannot be used; the message says how to correct it.
    """
    translator, known = load_translator(bundle, trust=trust), table_for(table, source)
    run, options = folder_for(table, out), options or TranslationOptions()
    if judge is not None and options.evaluator:
        raise ConfigError("--judge is given, and --evaluator is of one that is trained here. Give one of the two.")
    trained = run / "-".join(["judge", *sorted(options.evaluator)])
    if not is_free(run) and not trained.exists():
        raise RunError(f"{run} is there already. Give another --out.")
    names = columns or ColumnsConfig()
    reading = dataclasses.replace(
        evaluator_config(translator.config.reading_config(), options.evaluator),
        columns=names,
        seed=translator.config.seed + 1,
    )
    with write_errors(run):
        run.mkdir(parents=True, exist_ok=True)
        with alone_in(run):
            if judge is None:
                say("Training a judge on real files, which the translator has no part in.")
                classifier = run_training(known, reading, trained, trained.exists(), say)
            else:
                classifier = load(judge, trust=trust)
            rows = split(read_table(known, names), translator.config.seed)
            done = run_translator_evaluation(translator, classifier, rows, options, say)
            say(f"Gallery: {write_evaluation(done, run)}")
    return done
