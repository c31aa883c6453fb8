"""Translations as files: each input's own, whatever the inputs are called."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from PIL import Image

from sightsound.translation.gallery import write_translations
from sightsound.translation.retrieval import Translation


def test_inputs_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    given, made = [], []
    for number, folder in enumerate(("a", "b", "c"), start=1):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(tmp_path / folder / "x.png")
        given.append(tmp_path / folder / "x.png")
        waves = [np.full(800, (number + k / 2) / 10, np.float32) for k in range(2)]
        made.append([Translation(str(given[-1]), 0.0, "audio", "generate", wave, 8000) for wave in waves])
    (tmp_path / "out").mkdir()
    page = write_translations(made, given, tmp_path / "out")
    listed = pd.read_csv(tmp_path / "out" / "translations.csv")
    assert len(set(listed["file"])) == 6 and listed["source"].tolist() == [str(g) for g in given for _ in range(2)]
    levels = [soundfile.read(tmp_path / "out" / name)[0][400] for name in listed["file"]]
    np.testing.assert_allclose(levels, [0.1, 0.15, 0.2, 0.25, 0.3, 0.35], atol=1e-3)
    assert page.read_text().count("<audio") == 6
