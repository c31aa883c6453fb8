"""Chooses the fusion strategy where the configuration leaves it open, by the number of training rows.

A layer that learns to fuse needs rows. With few a class, the product of the unimodal answers, which has next to nothing
to learn, is better by several points (docs/results.md, "Few rows of photos and voices"); with many the two tie wherever
each modality tells something of the class, and only a learnt layer can find what both modalities tell together.
"""

from __future__ import annotations

import dataclasses
import math

from sightsound.config import Config
from sightsound.fusion import AUTO, named
from sightsound.training.balances import BALANCES

FEW_ROWS = 100  # training rows a class below which the product is taken


def with_fusion(config: Config, rows_a_class: float = math.inf) -> Config:
    """Returns the configuration with a strategy for so many training rows a class, in the mean over the classes.

    Options of a strategy, and trainings in which the fused answer teaches the encoders, are those of a learnt layer.
    """
    if config.fusion != AUTO:
        return config
    flow = BALANCES[config.balance].flow
    learnt = config.fusion_options or config.schedule == "fusion+joint" or flow.fused or not flow.unimodal
    few = rows_a_class < FEW_ROWS and not learnt and len(config.modalities) > 1
    return dataclasses.replace(config, fusion="product" if few else named(AUTO))
