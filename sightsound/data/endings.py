"""Which modality a file is of, where its name is all there is; readers go by the content."""

from sightsound.modalities.base import every_modality


def modality_of_endings() -> dict[str, str]:
    """Ending, such as ".png" -> the name of its modality."""
    return {ending: one.name for one in every_modality() for ending in one.endings}
