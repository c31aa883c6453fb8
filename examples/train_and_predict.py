"""From a table to answers in Python: train, ask with one modality and with both, save and load.

python examples/train_and_predict.py
"""

import tempfile
from pathlib import Path

import sightsound as ss

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        table = ss.dataset("digits")
        classifier = ss.train(table, out=Path(folder) / "run", fusion="vote", epochs=1)

        image, sound = table.parent / "images" / "0000.png", table.parent / "sounds" / "0000.wav"
        both = classifier.predict(image=image, audio=sound)
        print("both:", both.label, f"{both.probabilities[both.label]:.2f}")
        for modality, said in both.per_modality.items():
            label = max(said, key=lambda name: said[name])
            print(f"{modality} alone:", label, f"{said[label]:.2f}")

        classifier.save(Path(folder) / "digits.bundle")
        print("loaded again:", ss.load(Path(folder) / "digits.bundle").predict(audio=sound).label)
