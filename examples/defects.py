"""A factory: 24 of 600 parts are defective, most of them with a scratch that one sees or a rattle that one hears.

    python examples/defects.py

Accuracy says little here: who calls every part fine is right in 96 of 100. What counts is how many defects are found,
and how many of the alarms are true.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from PIL import Image

import sightsound as ss

RATE = 8000


def make_parts(folder: Path, fine: int = 576, defects: int = 24) -> pd.DataFrame:
    """Photos and sounds of parts, as files; half of the parts of each kind train, a quarter validates or tests."""
    rng = np.random.default_rng(0)
    rows = []
    for label, count in (("fine", fine), ("defect", defects)):
        for i in range(count):
            photo = 120 + 12 * rng.standard_normal((32, 32))
            sound = 0.05 * rng.standard_normal(RATE // 2) + 0.2 * np.sin(2 * np.pi * 120 * np.arange(RATE // 2) / RATE)
            seen, heard = (True, False) if i % 3 == 0 else (False, True) if i % 3 == 1 else (True, True)
            if label == "defect" and seen:
                row = rng.integers(4, 28)
                photo[row : row + 2, rng.integers(0, 8) : rng.integers(22, 32)] += 90
            if label == "defect" and heard:
                for start in range(rng.integers(0, 200), len(sound) - 40, 400):
                    sound[start : start + 40] += 0.5 * rng.standard_normal(40)
            image, audio = folder / f"{label}{i}.png", folder / f"{label}{i}.wav"
            Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(image)
            soundfile.write(audio, sound.clip(-1, 1), RATE)
            split = ("train", "train", "val", "test")[i % 4]
            rows.append({"image": str(image), "audio": str(audio), "label": label, "split": split})
    return pd.DataFrame(rows)


def main() -> None:
    """Trains for a recall of 0.9, and shows what that costs."""
    with tempfile.TemporaryDirectory() as folder:
        parts = make_parts(Path(folder))
        classifier = ss.train(
            parts,
            out=Path(folder) / "run",
            class_recall={"defect": 0.9},
            epochs=30,
            image={"encoder": "resnet"},
            audio={"encoder": "convnet"},
        )
        for name, numbers in classifier.metrics["subsets"].items():
            defect = numbers["per_class"]["defect"]
            print(
                f"{name}: accuracy {numbers['accuracy']:.3f}; of {defect['rows']} defects {defect['recall']:.2f} are "
                f"found, of the alarms {defect['precision']:.2f} are true; average precision "
                f"{defect['average_precision']:.3f}"
            )
        one = classifier.predict(parts["image"].iloc[-1], parts["audio"].iloc[-1])
        print(f"the last part: {one.label}, with a probability of {one.probabilities[one.label]:.3f}")


if __name__ == "__main__":
    main()
