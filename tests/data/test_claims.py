"""What a header says of a sound's length is checked: what can be read is read whole, what is cut off is said to be."""

import time
from pathlib import Path

import numpy as np
import pytest

from sightsound.data.files import open_sound, probe_audio, read_audio
from sightsound.errors import FileError
from tests.data.sounds import encoded, noise, sound, streamed_flac, streamed_wav, vbr_mp3

RATE, SECONDS = 16000, 12.0
SAMPLES = noise(SECONDS)
WAV = sound(SAMPLES, RATE)
MP3 = sound(SAMPLES, RATE, "MP3")
ID3V2 = b"ID3\x04\0\0\0\0\x10\0" + bytes(2048)
ID3V1 = b"TAG" + bytes(125)
WITHOUT_LENGTH = {
    "mp3 of variable bit rate": vbr_mp3(SAMPLES, RATE),
    "mp3 with tags at both ends": ID3V2 + vbr_mp3(SAMPLES, RATE) + ID3V1,
    "mp3 whose header counts too few": MP3.replace(MP3[MP3.find(b"Xing") :][8:12], (20).to_bytes(4, "big"), 1),
    "mp3 whose last frame is not whole": MP3[:-5],
    "two mp3s joined": b"".join(sound(half, RATE, "MP3") for half in np.split(SAMPLES, 2)),
    "streamed flac": streamed_flac(sound(SAMPLES, RATE, "FLAC")),
    "streamed flac with a tag": streamed_flac(sound(SAMPLES, RATE, "FLAC")) + ID3V1,
    "streamed flac of ffmpeg": streamed_flac(encoded(SAMPLES, RATE, "flac", "flac")),
    **{
        f"wav of {length:#x} bytes": streamed_wav(WAV, length)
        for length in (0, 0x7FFFFFFF, 0x7FFFFFFF - 44, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36)
    },
}


@pytest.mark.parametrize("kind", WITHOUT_LENGTH)
def test_a_length_that_the_header_does_not_say_is_found(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(WITHOUT_LENGTH[kind])
    for given in (path, WITHOUT_LENGTH[kind]):
        assert probe_audio(given) == pytest.approx(SECONDS, abs=0.2)  # encoders add a little at both ends
        wave = read_audio(given, RATE, SECONDS)
        levels = np.abs(wave).reshape(12, -1).mean(1)  # of each second
        assert (levels[7:] > 0.05).all() and (levels[:5] < 0.01).all()
        end = read_audio(given, RATE, 1.0, "end")
        assert np.abs(end[: RATE // 2]).mean() > 0.05


@pytest.mark.parametrize("kind", [kind for kind in WITHOUT_LENGTH if "flac" in kind or "wav" in kind])
def test_what_is_without_loss_is_the_same_wherever_it_is_cut(kind: str) -> None:
    for start in (0.0, 3.3, 11.5):
        found = read_audio(WITHOUT_LENGTH[kind], RATE, 1.0, start_seconds=start)
        wanted = read_audio(WAV, RATE, 1.0, start_seconds=start)
        np.testing.assert_allclose(found, wanted, atol=1e-4)


CUT = {
    "wav": WAV[:-100],
    "wav with a large first chunk": WAV[:36] + b"LIST" + (40_000).to_bytes(4, "little") + bytes(40_000) + WAV[36:-100],
    "aiff": sound(SAMPLES, RATE, "AIFF")[:-100],
    "rf64": sound(SAMPLES, RATE, "RF64")[:-100],
    "ogg vorbis": sound(SAMPLES, RATE, "OGG")[:-100],
    "ogg opus": sound(SAMPLES, RATE, "OGG", "OPUS")[:-1000],
    "mp3": MP3[: len(MP3) // 2],
    "streamed flac": streamed_flac(sound(SAMPLES, RATE, "FLAC"))[:-100],
    "m4a": encoded(SAMPLES, RATE, "mp4", "aac", movflags="faststart")[:-20_000],
}


@pytest.mark.parametrize("kind", CUT)
def test_what_is_cut_off_is_said_from_the_header_alone(kind: str) -> None:
    with pytest.raises(FileError, match="cut off"):
        probe_audio(CUT[kind])


def test_a_length_that_is_a_lie_is_found_out_at_once() -> None:
    flac = bytearray(sound(SAMPLES, RATE, "FLAC"))
    flac[18:26] = (int.from_bytes(flac[18:26], "big") | 2**36 - 1).to_bytes(8, "big")
    begun = time.monotonic()
    with pytest.raises(FileError, match="cut off"):
        probe_audio(bytes(flac))
    assert time.monotonic() - begun < 5


ONLY_FFMPEG = {
    "adts": ("aac", RATE),
    "mp4": ("aac", RATE),
    "webm": ("libopus", 48000),
    "matroska": ("aac", RATE),
    "amr": ("libopencore_amrnb", 8000),
}


@pytest.mark.parametrize("kind", ONLY_FFMPEG)
def test_sounds_of_phones_and_browsers(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, rate = ONLY_FFMPEG[kind]
    path = tmp_path / "a.bin"
    path.write_bytes(encoded(noise(5.0, rate), rate, kind, codec))
    assert probe_audio(path) == pytest.approx(5.0, abs=0.15)
    whole = read_audio(path, rate, 5.0)
    assert np.abs(whole[: 2 * rate]).mean() < 0.01 < 0.03 < np.abs(whole[3 * rate : -rate // 5]).mean()
    with open_sound(path) as opened:  # forwards, backwards and over again
        for start in (0.0, 0.5, 3.0, 3.25, 1.0):
            clip = read_audio(opened, rate, 0.5, start_seconds=start)
            np.testing.assert_allclose(clip[:-1], whole[round(start * rate) :][: len(clip) - 1], atol=1e-3)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(FileError, match=r'pip install "sightsound\[video\]"'):
        probe_audio(path)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_clips_one_after_the_other_are_as_if_read_alone(kind: str) -> None:
    content = sound(np.stack([SAMPLES, SAMPLES[::-1]], 1), RATE, kind)
    with open_sound(content) as opened:
        for start in np.arange(0, SECONDS, 0.25).tolist():
            clip = read_audio(opened, 8000, 0.5, start_seconds=start)
            alone = read_audio(content, 8000, 0.5, start_seconds=start)
            np.testing.assert_allclose(clip, alone, atol=0 if kind in ("WAV", "FLAC") else 0.02)


def test_a_last_clip_of_a_few_samples_does_not_spoil_its_file() -> None:
    clip = read_audio(sound(SAMPLES[: RATE + 20], RATE), RATE, 1.0, start_seconds=1.0)
    assert clip[:20].any() and not clip[20:].any()


def test_a_rate_that_no_sound_has() -> None:
    wav = bytearray(WAV)
    wav[24:28] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(FileError, match="2.14748e\\+09 samples a second"):
        read_audio(bytes(wav), RATE, 10.0)
