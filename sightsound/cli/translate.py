"""`sightsound translate demo|fit|image-to-audio|audio-to-image|evaluate`: from image to sound, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from sightsound.cli.common import SHARED, Parser, trust_argument
from sightsound.cli.tables import text_table
from sightsound.config import ColumnsConfig
from sightsound.data.sources.base import SourceOptions
from sightsound.errors import did_you_mean

QUICK: dict[str, Any] = {
    "meaning_steps": 800,
    "batch_size": 128,
    "decoder_steps": 400,
    "flow_steps": 1000,
}  # of the demo

EXAMPLE = """usage: sightsound translate ACTION ...

From image to sound, and back: trained on pairs, without labels.

  sightsound translate demo
  sightsound translate fit table.csv --out runs/translator
  sightsound translate image-to-audio 7.png --bundle runs/translator/bundle -n 8 --out heard
  sightsound translate audio-to-image seven.wav --bundle runs/translator/bundle --out seen
  sightsound translate image-to-audio 7.png --mode sonify --out played
  sightsound translate evaluate runs/translator/bundle table.csv --out runs/judged

More on an action: sightsound translate ACTION --help
"""
FIT = """Trains a translator on the pairs of a table: what images and sounds mean, how each is put together, and what
could belong to a meaning. Labels are not read; rows that lack a modality are left out.

  sightsound translate fit table.csv --out runs/translator
  sightsound translate fit digits --out runs/digits
"""
FILES = """Translates files. Writes WAV or PNG files, translations.csv, and gallery.html, where every input stands
beside what was made of it.

  generate   makes something new that means the same; --seed says what
  retrieve   finds the nearest among the files that the translator was trained on
  sonify     plays a picture as a spectrogram, or draws a sound as one; needs no translator

  sightsound translate {action} {file} --bundle runs/translator/bundle -n 8 --out translated
  sightsound translate {action} {file} --mode sonify --out translated

A sound that is longer than the clips of the training is translated window by window.
"""
EVALUATE = """Measures a translator on the test rows of a table with labels: how many translations a classifier that was
trained on real files takes for the class of what was given, how varied they are, and whether they are copies.

  sightsound translate evaluate runs/translator/bundle table.csv --out runs/judged
  sightsound translate evaluate runs/translator/bundle table.csv --judge runs/first/bundle --out runs/judged
"""


DEMO = """Writes the embedded handwritten and spoken digits as files, without noise, trains a translator on them in some
minutes, and has its translations of test files judged by a classifier of real ones.

  sightsound translate demo
  sightsound translate demo --out runs/again --seed 1
"""


def run(arguments: Sequence[str]) -> None:
    """Runs the action."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(EXAMPLE, end="")
        sys.exit(0 if arguments else 2)
    if arguments[0] not in ACTIONS:
        print(f"sightsound translate: {did_you_mean(arguments[0], ACTIONS)}", file=sys.stderr)
        sys.exit(2)
    ACTIONS[arguments[0]](arguments[1:])


def demo(arguments: Sequence[str]) -> None:
    """Trains and translates on embedded data; finished steps are not repeated."""
    from sightsound.translation.config import TranslatorConfig

    parser = Parser("translate demo", "", DEMO)
    parser.add_argument("--out", default="runs/translate-demo", help="folder (default: runs/translate-demo)")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    given = parser.parse(arguments)
    from sightsound.api import train
    from sightsound.data.sources import digits
    from sightsound.translation.api import evaluate_translator, train_translator
    from sightsound.translation.evaluation import TranslationOptions
    from sightsound.translation.gallery import numbers_table

    out = Path(given.out)
    print(f"Writing the data to {out / 'data'}")
    table = digits.write(out / "data", noisy=False)
    config = TranslatorConfig(**QUICK, seed=given.seed)
    train_translator(table, out=out / "run", resume=(out / "run" / "request.json").exists(), config=config)
    judge, judged = out / "judge", out / "judged"
    train(table, out=judge, resume=(judge / "request.json").exists(), epochs=10, seed=given.seed + 1)
    options = TranslationOptions(rows=100, seed=given.seed)
    done = evaluate_translator(out / "run" / "bundle", table, judge=judge / "bundle", options=options, out=judged)
    print(f"\n{text_table(numbers_table(done.numbers))}\n")
    image = out / "data" / "images" / "0007.png"
    print(f"Now try:\n  sightsound translate image-to-audio {image} --bundle {out / 'run' / 'bundle'} -n 8 --out heard")


def fit(arguments: Sequence[str]) -> None:
    """Trains."""
    from sightsound.translation.config import TranslatorConfig, translator_from_dict

    parser = Parser("translate fit", "TABLE", FIT)
    parser.add_argument("table", help="CSV, TSV, Parquet or JSON Lines file, a folder of classes, or a name")
    parser.add_argument("--out", help="run folder; default: a new one under runs/")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(TranslatorConfig, nested_key=None)
    parser.add_class_arguments(SourceOptions, nested_key=None, skip=SHARED)
    given = parser.parse(arguments).as_dict()
    given.pop("config", None)
    table, out, resume = (given.pop(name) for name in ("table", "out", "resume"))
    if resume and not out:
        parser.error("--resume needs --out RUN_FOLDER, the run to go on with")
    own = {f.name: given.pop(f.name) for f in fields(SourceOptions) if f.name not in SHARED}
    source = SourceOptions(**own, **{name: given[name] for name in SHARED})
    from sightsound.translation.api import train_translator

    train_translator(table, source=source, out=out, resume=resume, config=translator_from_dict(given))


def translate_files(action: str, arguments: Sequence[str]) -> None:
    """Translates."""
    modality = action.split("-", maxsplit=1)[0]
    example = FILES.format(action=action, file="7.png" if modality == "image" else "seven.wav")
    parser = Parser(f"translate {action}", "FILE...", example)
    parser.add_argument("files", nargs="+", help="images" if modality == "image" else "sounds")
    parser.add_argument("--bundle", help="folder written by translate fit")
    parser.add_argument("-n", type=int, default=1, help="translations of each file")
    parser.add_argument("--mode", default="generate", help="generate, retrieve or sonify")
    parser.add_argument("--seed", type=int, default=0, help="of what is generated")
    parser.add_argument("--out", default="translated", help="new folder")
    trust_argument(parser)
    given = parser.parse(arguments)
    from sightsound.translation.api import translate

    options = {name: given[name] for name in ("bundle", "n", "mode", "seed", "out", "trust")}
    found = translate(**{modality: given.files}, **options)
    print(f"{sum(len(of_one) for of_one in found)} translations\nGallery: {Path(given.out) / 'gallery.html'}")


def evaluate(arguments: Sequence[str]) -> None:
    """Measures."""
    parser = Parser("translate evaluate", "BUNDLE TABLE", EVALUATE)
    parser.add_argument("bundle", help="folder written by translate fit")
    parser.add_argument("table", help="CSV, TSV, Parquet or JSON Lines file, a folder of classes, or a name")
    parser.add_argument("--judge", help="bundle of a classifier; default: one is trained on the table, in OUT/judge")
    parser.add_argument(
        "--evaluator",
        default="",
        help="pretrained encoders of the judge that is trained: speech or yamnet, lite0, or one of each with a comma",
    )
    parser.add_argument("--rows", type=int, default=1000, help="at most so many test rows are translated")
    parser.add_argument("-n", type=int, default=4, help="translations of each, at least 2")
    parser.add_argument("--out", help="folder; default: a new one under runs/")
    parser.add_class_arguments(ColumnsConfig, "columns")
    parser.add_class_arguments(SourceOptions, nested_key=None)
    trust_argument(parser)
    given = parser.parse(arguments)
    from sightsound.translation.api import evaluate_translator
    from sightsound.translation.evaluation import TranslationOptions
    from sightsound.translation.gallery import numbers_table

    evaluator = tuple(filter(None, given.evaluator.replace(" ", "").split(",")))
    done = evaluate_translator(
        given.bundle,
        given.table,
        source=SourceOptions(**{f.name: given[f.name] for f in fields(SourceOptions)}),
        judge=given.judge,
        options=TranslationOptions(given.rows, given.n, given.seed, evaluator),
        columns=ColumnsConfig(**given.columns.as_dict()),
        out=given.out,
        trust=given.trust,
    )
    print(f"\n{text_table(numbers_table(done.numbers))}")


ACTIONS: dict[str, Callable[[Sequence[str]], None]] = {
    "demo": demo,
    "fit": fit,
    "image-to-audio": lambda given: translate_files("image-to-audio", given),
    "audio-to-image": lambda given: translate_files("audio-to-image", given),
    "evaluate": evaluate,
}
