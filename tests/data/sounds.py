"""Sounds as encoders write them when they cannot go back, in bytes; used by several tests."""

import io
import tempfile
from pathlib import Path

import av
import numpy as np
import soundfile


def noise(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """(N,) float32, loud in its second half only, so that variable bit rates vary."""
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate)).astype(np.float32)
    samples[: len(samples) // 2] *= 0.001
    return samples


def sound(samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """As libsndfile writes it."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def encoded(
    samples: np.ndarray, rate: int, kind: str, codec: str, codec_options: dict[str, str] | None = None, **options: str
) -> bytes:
    """As FFmpeg writes it."""
    file = Path(tempfile.mkstemp()[1])  # some headers are written last, into a file that is opened again
    with av.open(str(file), "w", format=kind, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono", options=codec_options or {})
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.pts = rate, 0
        fifo = av.AudioFifo()
        for part in resampler.resample(frame):
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        while (part := fifo.read(size, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode())
    content = file.read_bytes()
    file.unlink()
    return content


def streamed_flac(content: bytes) -> bytes:
    """A FLAC whose length was not known when its header was written."""
    head = bytearray(content)
    packed = int.from_bytes(head[18:26], "big") & ~(2**36 - 1)
    head[18:26] = packed.to_bytes(8, "big")
    return bytes(head)


def streamed_wav(content: bytes, length: int) -> bytes:
    """A WAV with another length of its data; 44 bytes of header."""
    return content[:4] + length.to_bytes(4, "little") + content[8:40] + length.to_bytes(4, "little") + content[44:]


def vbr_mp3(samples: np.ndarray, rate: int) -> bytes:
    """An MP3 of variable bit rate without a Xing header."""
    return encoded(
        samples,
        rate,
        "mp3",
        "libmp3lame",
        {"flags": "+qscale", "global_quality": "708"},
        write_xing="0",
        id3v2_version="0",
    )
