"""Classifiers that learn from images and sounds together.

    import sightsound as ss
    classifier = ss.train("table.csv", fusion="concat")
    classifier.predict(image="7.png", audio="seven.wav")

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Which part may import which: a part imports only parts of a lower tier; files and folders of one tier don't import
# each other. A test walks the imports and enforces it.
TIERS = {
    "types": 0,
    "errors": 0,
    "checks": 0,
    "progress": 0,
    "text": 0,
    "clusters": 0,
    "config": 1,
    "registry": 1,
    "missing": 1,
    "data": 2,
    "features": 2,
    "bundle_files": 2,
    "encoders": 2,
    "fusion": 2,
    "translator_config": 2,
    "losses": 2,
    "metrics": 2,
    "model": 3,
    "decoders": 3,
    "bundle": 3,
    "run_folder": 3,
    "build": 4,
    "inference": 4,
    "answers": 4,
    "translator": 5,
    "translations": 4,
    "predictions": 5,
    "answer_table": 5,
    "asked": 5,
    "pipeline": 6,
    "prediction_file": 7,
    "translation": 6,
    "training": 7,
    "studies": 8,
    "report": 9,
    "api": 10,
    "translator_api": 10,
    "cli": 11,
    "__main__": 12,
}

_PLACES = {
    "train": "api",
    "compare": "api",
    "robustness": "api",
    "generalization": "api",
    "train_translator": "translator_api",
    "translate": "translator_api",
    "evaluate_translator": "translator_api",
    "load_translator": "translation",
    "Translator": "translation",
    "Translation": "translations",
    "TranslatorConfig": "translator_config",
    "TranslationOptions": "studies.translation",
    "RobustnessOptions": "studies.robustness",
    "CompareOptions": "studies.candidates",
    "load": "pipeline",
    "Classifier": "pipeline",
    "dataset": "data.named",
    "SourceOptions": "data.sources.base",
    "Config": "config",
    "ImageConfig": "config",
    "AudioConfig": "config",
    "AugmentConfig": "config",
    "MissingConfig": "config",
    "ColumnsConfig": "config",
    "Prediction": "types",
    "SightsoundError": "errors",
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"sightsound.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'sightsound' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
