"""What tests of the command line share: a trained bundle, and a table of a user's own."""

from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture
def bundle(trained: tuple[Path, Path]) -> Path:
    return trained[1] / "bundle"


@pytest.fixture
def own(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    """A table of a user's own, with columns of other names and two rows that cannot be used as they are."""
    frame = pd.read_csv(trained[0])[::4].reset_index(drop=True)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(trained[0].parent / name))
    (tmp_path / "text.png").write_text("no image")
    frame.loc[2, "image"] = "text.png"
    frame.loc[3, ["image", "audio"]] = ["text.png", ""]
    frame = frame.rename(columns={"label": "species"}).assign(Site="north", probability="theirs", note="=1+1")
    frame.to_csv(tmp_path / "own.csv", index=False)
    return tmp_path / "own.csv"
