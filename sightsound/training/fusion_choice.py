"""Chooses the fusion strategy where the configuration leaves it open, by the number of training rows.

A layer that is trained to fuse needs rows. With few a class the product of the unimodal predictions, which has next to
nothing to fit, was better in all trials but those with most rows, which tied (docs/results.md, "Few rows of photos and
voices"). Only a trained layer can find what the modalities tell together and neither tells alone, so that it is the
choice where rows are many.
"""

from __future__ import annotations

import dataclasses
import math

from sightsound.config import Config
from sightsound.fusion import AUTO, strategy_name
from sightsound.training.balances import BALANCES

FEW_ROWS_A_CLASS = 100  # training rows with all modalities, in the mean over the classes, below which it is the product


def with_fusion(config: Config, rows_a_class: float = math.inf) -> Config:
    """Returns the configuration with a strategy for so many complete training rows a class.

    Where options of a strategy are given, or the fused loss trains the encoders, it is the trained layer.
    """
    if config.fusion != AUTO:
        return config
    flow = BALANCES[config.balance].flow
    trained = config.fusion_options or config.schedule == "fusion+joint" or flow.fused
    few = rows_a_class < FEW_ROWS_A_CLASS and not trained and len(config.modalities) > 1
    return dataclasses.replace(config, fusion="product" if few else strategy_name(AUTO))
