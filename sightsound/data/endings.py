"""Finds a file's modality by its ending, where only its name is known; readers go by the content."""

from sightsound.modalities.base import every_modality


def modality_of_endings() -> dict[str, str]:
    """Maps an ending, such as ".png", to the name of its modality."""
    return {ending: one.name for one in every_modality() for ending in one.endings}
