"""Make the spoken digits that ship with the package (`sightsound/data/sources/spoken_digits.*`).

Run once by a developer; the result is committed. Needs `pip install espeakng-loader` (eSpeak NG with its voices).
74 voice variants x 2 English accents x 10 words -> one mono Ogg/Opus file of 8 kHz sound and an index in CSV.

    python tools/make_spoken_digits.py
"""

import csv
import ctypes
from pathlib import Path

import espeakng_loader
import numpy as np
import soundfile
import soxr

OUT = Path(__file__).parents[1] / "sightsound" / "data" / "sources"
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ACCENTS = ["en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc"]
ACCENTS_PER_VARIANT = 2
VARIANTS = [
    *(
        [
            "Alex",
            "Alicia",
            "Andrea",
            "Andy",
            "Annie",
            "Denis",
            "Diogo",
            "Gene",
            "Gene2",
            "Henrique",
            "Hugo",
            "Jacky",
            "Lee",
            "Marco",
            "Mario",
            "Michael",
            "Mike",
        ]
    ),
    *(
        [
            "Nguyen",
            "Reed",
            "Storm",
            "adam",
            "anika",
            "announcer",
            "antonio",
            "aunty",
            "belinda",
            "benjamin",
            "boris",
            "caleb",
            "david",
            "ed",
            "edward",
        ]
    ),
    *(
        [
            "f1",
            "f2",
            "f3",
            "f4",
            "f5",
            "grandma",
            "grandpa",
            "gustave",
            "ian",
            "iven",
            "iven2",
            "john",
            "kaukovalta",
            "klatt",
            "klatt2",
            "klatt4",
            "linda",
        ]
    ),
    *(
        [
            "m1",
            "m2",
            "m3",
            "m4",
            "m5",
            "m6",
            "m7",
            "m8",
            "marcelo",
            "max",
            "miguel",
            "norbert",
            "pablo",
            "paul",
            "pedro",
            "quincy",
            "rob",
            "robert",
            "sandro",
        ]
    ),
    *(["shelby", "steph", "steph2", "travis", "victor", "zac"]),
]
SAMPLE_RATE_HZ = 8000
PAD_SECONDS = 0.02  # silence kept around each word, so that lossy coding of one never leaks into the next

SYNCHRONOUS, RATE, PITCH, UTF8 = 2, 1, 3, 1  # constants of espeak-ng/speak_lib.h
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Speaker:
    """eSpeak NG through its C library: text in, float32 waveform out."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz = self.library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
        self.chunks: list[np.ndarray] = []
        self.callback = CALLBACK(self._receive)  # kept, or ctypes frees it
        self.library.espeak_SetSynthCallback(self.callback)

    def _receive(self, samples, count: int, events) -> int:  # noqa: ANN001 - a C pointer
        if samples and count > 0:
            self.chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, pitch: int, words_per_minute: int) -> np.ndarray:
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SystemExit(f"eSpeak NG has no voice {voice!r}")
        self.library.espeak_SetParameter(RATE, words_per_minute, 0)
        self.library.espeak_SetParameter(PITCH, pitch, 0)
        self.chunks = []
        encoded = text.encode() + b"\0"
        self.library.espeak_Synth(encoded, len(encoded), 0, 0, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        return np.concatenate(self.chunks).astype(np.float32) / 32768


def trimmed(wave: np.ndarray) -> np.ndarray:
    """Without the silence around the word, at 90 % of full scale, faded in and out."""
    loud = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())
    pad = int(PAD_SECONDS * SAMPLE_RATE_HZ)
    wave = wave[loud[0] : loud[-1] + 1]
    return np.pad(0.9 * wave / np.abs(wave).max(), pad)


def main() -> None:
    rng = np.random.default_rng(0)
    speaker = Speaker()
    waves, rows, start = [], [], 0
    for index, variant in enumerate(VARIANTS):
        for k in range(ACCENTS_PER_VARIANT):
            accent = ACCENTS[(index + 2 * k) % len(ACCENTS)]
            pitch, speed = int(rng.integers(30, 71)), int(rng.integers(130, 191))
            for digit, word in enumerate(WORDS):
                wave = speaker.say(word, f"{accent}+{variant}", pitch, speed)
                wave = trimmed(soxr.resample(wave, speaker.rate_hz, SAMPLE_RATE_HZ))
                waves.append(wave)
                rows.append([digit, variant, accent, pitch, speed, start, len(wave)])
                start += len(wave)
    with soundfile.SoundFile(
        OUT / "spoken_digits.opus", "w", SAMPLE_RATE_HZ, 1, format="OGG", subtype="OPUS", compression_level=0.9
    ) as file:
        for wave in waves:  # word by word: libsndfile's Opus encoder overruns its stack on one very long write
            file.write(wave)
    with (OUT / "spoken_digits.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["digit", "speaker", "accent", "pitch", "words_per_minute", "start_sample", "samples"])
        writer.writerows(rows)
    size = (OUT / "spoken_digits.opus").stat().st_size / 1e6
    print(f"{len(rows)} words, {start / SAMPLE_RATE_HZ:.0f} s, {size:.2f} MB")


if __name__ == "__main__":
    main()
