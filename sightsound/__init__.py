"""Classifiers that learn from images and sounds together.

    import sightsound as ss
    classifier = ss.train("table.csv", fusion="concat")
    classifier.predict(image="7.png", audio="seven.wav")

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "train": "api",
    "compare": "api",
    "robustness": "api",
    "generalization": "api",
    "train_translator": "translation.api",
    "translate": "translation.api",
    "evaluate_translator": "translation.api",
    "load_translator": "translation.translator",
    "Translator": "translation.translator",
    "Translation": "translation.retrieval",
    "TranslatorConfig": "translation.config",
    "TranslationOptions": "translation.evaluation",
    "RobustnessOptions": "studies.robustness.study",
    "CompareOptions": "studies.comparison.candidates",
    "load": "classifier",
    "Classifier": "classifier",
    "dataset": "data.datasets",
    "SourceOptions": "data.sources.base",
    "Config": "config",
    "ImageConfig": "config",
    "AudioConfig": "config",
    "AugmentConfig": "config",
    "MissingConfig": "config",
    "ColumnsConfig": "config",
    "Prediction": "types",
    "SightsoundError": "errors",
    "plot": "report",
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"sightsound.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'sightsound' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
