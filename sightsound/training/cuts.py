"""What the sizes that nobody asked for leave out of a table's files, in sentences for the user."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sightsound.config import Config

LARGEST_SIDE = 64  # pixels, unless the user asks for more


def cuts(asked: Config, config: Config, infos: dict[str, NDArray[np.float64]]) -> list[str]:
    """What the sizes that nobody asked for leave out of the files, in sentences.

    Args:
        asked: as the user wrote it.
        config: with all sizes filled in.
        infos: as `probe` gives them.
    """
    found = []
    if len(infos.get("image", ())) and not (asked.image.height or asked.image.width or config.image.pretrained):
        height, width = np.median(infos["image"][:, :2], axis=0)
        if max(height, width) > LARGEST_SIDE:
            found.append(
                f"images of {height:.0f} x {width:.0f} pixels (the median) are reduced to {config.image.height} x "
                f"{config.image.width}. Small things may vanish: --image.height and --image.width keep more"
            )
    if config.image.white and not asked.image.white:
        deep = int((infos["image"][:, 3] > 0).sum())
        found.append(
            f"{deep} of the {len(infos['image'])} images that were looked at have more than 8 bits and do "
            f"not say which value is white; "
            f"{config.image.white:g} is taken for all, from the largest. --image.white overrules it"
        )
    seconds = infos.get("audio", np.zeros((0, 1)))[:, 0]
    longer = seconds > (config.audio.clip_seconds or math.inf) + 0.05
    if longer.any() and not (asked.audio.clip_seconds or asked.audio.step_seconds):
        kept = {"start": "first", "center": "middle", "end": "last"}[config.audio.crop]
        found.append(
            f"{longer.sum()} of the {len(seconds)} sounds that were looked at are longer than "
            f"{config.audio.clip_seconds:g} s, the longest "
            f"{seconds.max():.4g} s; of these the {kept} {config.audio.clip_seconds:g} s are kept. "
            "--audio.clip-seconds keeps more, --audio.step-seconds cuts them into clips that all count"
        )
    return found
