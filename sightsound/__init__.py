"""Classifiers that learn from images and sounds together.

    import sightsound as ss
    classifier = ss.train("table.csv")
    classifier.predict(image="7.png", audio="seven.wav")

Names are loaded when they are first used, so that importing the package costs nothing; type checkers see them all.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sightsound.api import compare as compare
    from sightsound.api import learning_curve as learning_curve
    from sightsound.api import leave_one_group_out as leave_one_group_out
    from sightsound.api import robustness as robustness
    from sightsound.api import train as train
    from sightsound.classifier import Classifier as Classifier
    from sightsound.classifier import load as load
    from sightsound.config.options import AudioConfig as AudioConfig
    from sightsound.config.options import AugmentConfig as AugmentConfig
    from sightsound.config.options import ColumnsConfig as ColumnsConfig
    from sightsound.config.options import Config as Config
    from sightsound.config.options import ImageConfig as ImageConfig
    from sightsound.config.options import MissingConfig as MissingConfig
    from sightsound.data.datasets import dataset as dataset
    from sightsound.data.sources.base import SourceOptions as SourceOptions
    from sightsound.encoders.base import Encoder as Encoder
    from sightsound.errors import BundleError as BundleError
    from sightsound.errors import ConfigError as ConfigError
    from sightsound.errors import FileError as FileError
    from sightsound.errors import InputError as InputError
    from sightsound.errors import NothingLeftError as NothingLeftError
    from sightsound.errors import RunError as RunError
    from sightsound.errors import SightsoundError as SightsoundError
    from sightsound.errors import SourceError as SourceError
    from sightsound.errors import StoreError as StoreError
    from sightsound.errors import TableError as TableError
    from sightsound.errors import TrainingError as TrainingError
    from sightsound.errors import TrustError as TrustError
    from sightsound.estimator import SightsoundEstimator as SightsoundEstimator
    from sightsound.fusion.base import Combined as Combined
    from sightsound.fusion.base import Fusion as Fusion
    from sightsound.missing.impute import Imputer as Imputer
    from sightsound.modalities.base import Modality as Modality
    from sightsound.report import plot as plot
    from sightsound.studies.comparison.candidates import CompareOptions as CompareOptions
    from sightsound.studies.comparison.compare import ComparisonStudy as ComparisonStudy
    from sightsound.studies.comparison.recommend import Recommendation as Recommendation
    from sightsound.studies.comparison.run import Comparison as Comparison
    from sightsound.studies.comparison.summary import ComparisonRow as ComparisonRow
    from sightsound.studies.generalization import Fold as Fold
    from sightsound.studies.robustness.conditions import Condition as Condition
    from sightsound.studies.robustness.curves import RobustnessCurve as RobustnessCurve
    from sightsound.studies.robustness.measure import Measurement as Measurement
    from sightsound.studies.robustness.study import RobustnessOptions as RobustnessOptions
    from sightsound.studies.robustness.study import RobustnessStudy as RobustnessStudy
    from sightsound.translation.api import evaluate_translator as evaluate_translator
    from sightsound.translation.api import train_translator as train_translator
    from sightsound.translation.api import translate as translate
    from sightsound.translation.config import TranslatorConfig as TranslatorConfig
    from sightsound.translation.decoders.vocoder import Vocoder as Vocoder
    from sightsound.translation.evaluation import TranslationOptions as TranslationOptions
    from sightsound.translation.evaluation import TranslatorEvaluation as TranslatorEvaluation
    from sightsound.translation.retrieval import Translation as Translation
    from sightsound.translation.translator import Translator as Translator
    from sightsound.translation.translator import load_translator as load_translator
    from sightsound.types import Clip as Clip
    from sightsound.types import Imputation as Imputation
    from sightsound.types import Prediction as Prediction

__version__ = "0.1.0"

_PLACES = {
    "compare": "api",
    "learning_curve": "api",
    "leave_one_group_out": "api",
    "robustness": "api",
    "train": "api",
    "Classifier": "classifier",
    "load": "classifier",
    "AudioConfig": "config.options",
    "AugmentConfig": "config.options",
    "ColumnsConfig": "config.options",
    "Config": "config.options",
    "ImageConfig": "config.options",
    "MissingConfig": "config.options",
    "dataset": "data.datasets",
    "SourceOptions": "data.sources.base",
    "Encoder": "encoders.base",
    "BundleError": "errors",
    "ConfigError": "errors",
    "FileError": "errors",
    "InputError": "errors",
    "NothingLeftError": "errors",
    "RunError": "errors",
    "SightsoundError": "errors",
    "SourceError": "errors",
    "StoreError": "errors",
    "TableError": "errors",
    "TrainingError": "errors",
    "TrustError": "errors",
    "SightsoundEstimator": "estimator",
    "Combined": "fusion.base",
    "Fusion": "fusion.base",
    "Imputer": "missing.impute",
    "Modality": "modalities.base",
    "plot": "report",
    "CompareOptions": "studies.comparison.candidates",
    "ComparisonStudy": "studies.comparison.compare",
    "Recommendation": "studies.comparison.recommend",
    "Comparison": "studies.comparison.run",
    "ComparisonRow": "studies.comparison.summary",
    "Fold": "studies.generalization",
    "Condition": "studies.robustness.conditions",
    "RobustnessCurve": "studies.robustness.curves",
    "Measurement": "studies.robustness.measure",
    "RobustnessOptions": "studies.robustness.study",
    "RobustnessStudy": "studies.robustness.study",
    "evaluate_translator": "translation.api",
    "train_translator": "translation.api",
    "translate": "translation.api",
    "TranslatorConfig": "translation.config",
    "Vocoder": "translation.decoders.vocoder",
    "TranslationOptions": "translation.evaluation",
    "TranslatorEvaluation": "translation.evaluation",
    "Translation": "translation.retrieval",
    "Translator": "translation.translator",
    "load_translator": "translation.translator",
    "Clip": "types",
    "Imputation": "types",
    "Prediction": "types",
}
__all__ = ["__version__", *_PLACES]


if not TYPE_CHECKING:  # to a type checker, a name that is not imported above is an error and not Any

    def __getattr__(name: str) -> object:
        if name in _PLACES:
            return getattr(import_module(f"sightsound.{_PLACES[name]}"), name)
        raise AttributeError(f"module 'sightsound' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
