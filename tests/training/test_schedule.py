"""The stages of each schedule: what each shows and trains, and how fast."""

import pytest

from sightsound.config import Config
from sightsound.training.schedule import phases

BOTH = ("image", "audio")
UNIMODAL = [("image", ("image",), ("encoders.image.", "heads.image."), 1.0)]
UNIMODAL += [("audio", ("audio",), ("encoders.audio.", "heads.audio."), 1.0)]
FUSION = ("fusion", BOTH, ("fusion.",), 1.0)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [("joint", BOTH, ("",), 1.0)]),
        ({"modalities": ("audio",), "schedule": "staged"}, [("joint", ("audio",), ("",), 1.0)]),
        ({"schedule": "staged"}, [*UNIMODAL, FUSION]),
        ({"schedule": "staged+finetune"}, [*UNIMODAL, FUSION, ("finetune", BOTH, ("",), 0.1)]),
        ({"balance": "unimodal-teacher"}, [*UNIMODAL, ("joint", BOTH, ("",), 1.0)]),
        ({"fusion": "search"}, [*UNIMODAL, ("joint", BOTH, ("",), 1.0)]),
        ({"fusion": "search", "fusion_options": {"joins": "0-0-relu"}}, [("joint", BOTH, ("",), 1.0)]),
    ],
)
def test_stages_by_hand(options: dict[str, object], wanted: list[tuple[object, ...]]) -> None:
    assert [(part.name, part.active, part.trains, part.rate) for part in phases(Config(**options))] == wanted
