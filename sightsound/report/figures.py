"""Figures, pictures and sounds of a report, as SVG text or data URIs."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from sightsound.classifier import Classifier
from sightsound.data.decode import reader
from sightsound.features.audio import LogMel
from sightsound.modalities.audio import log_mel

LONGEST_NAME = 32  # letters beside an axis


def curves_figure(history: dict[str, pd.DataFrame]) -> Markup:
    """Losses on the left and macro F1 of each subset on the right, one row of plots for each stage; SVG."""
    if not history:
        return Markup("")
    rows = len(history)
    figure = Figure(figsize=(10, 3.2 * rows))
    axes = figure.subplots(rows, 2, squeeze=False)
    # margins in numbers: constrained layout takes twice as long to draw, and here they are known
    figure.subplots_adjust(0.06, 0.15 / rows, 0.985, 1 - 0.1 / rows, wspace=0.15, hspace=0.4)
    for (stage, epochs), (left, right) in zip(history.items(), axes, strict=True):
        for name in ("train_loss", "val_loss"):
            left.plot(epochs.index + 1, epochs[name], marker=".", label=name.replace("_", " "))
        for name in epochs.columns[epochs.columns.str.startswith("val_f1_")]:
            right.plot(epochs.index + 1, epochs[name], marker=".", label=name.removeprefix("val_f1_"))
        left.set(title=f"{stage}: loss", xlabel="epoch", ylim=(0, None))
        right.set(title=f"{stage}: macro F1 on validation rows", xlabel="epoch", ylim=(None, 1.01))
        for plot in (left, right):
            plot.grid(alpha=0.3)
            plot.legend(frameon=False)
    return svg(figure)


def confusion_figure(confusion: list[list[int]], labels: list[str]) -> Markup:
    """True classes by row, predicted ones by column, coloured by the share of the row; counts where they fit; SVG."""
    counts = np.array(confusion)
    side = float(np.clip(1.5 + 0.33 * len(labels), 3.2, 14))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    names = [short(label) for label in labels]
    axes.set_xticks(ticks, names, rotation=90 if max(map(len, labels)) > 2 else 0, fontsize=8)
    axes.set_yticks(ticks, names, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    if len(labels) <= 25:
        for i, j in zip(*np.nonzero(counts), strict=True):
            share = counts[i, j] / counts[i].sum()
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=7, color="w" if share > 0.5 else "k")
    return svg(figure)


def trust_figure(subsets: dict[str, Any]) -> Markup:
    """Left: how often answers of a certainty are right; right: accuracy when only the surest are given; SVG."""
    figure = Figure(figsize=(10, 3.8))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(0.06, 0.13, 0.985, 0.92, wspace=0.2)
    left.plot([0, 1], [0, 1], color="#8a97a5", lw=1, ls="--", label="as sure as right")
    for name, numbers in subsets.items():
        sure, share_right, rows = (np.array(values) for values in zip(*numbers["reliability"], strict=True))
        [line] = left.plot(sure, share_right, lw=1, label=name)
        left.scatter(sure, share_right, s=4 + 120 * rows / rows.sum(), color=line.get_color())
        coverage, accuracy, _ = zip(*numbers["coverage"], strict=True)
        right.plot(coverage, accuracy, marker=".", label=name)
    left.set(title="Is it as sure as it is right?", xlabel="probability of the answer", ylabel="share that is right")
    right.set(title="If it answers only when surest", xlabel="share of the rows answered", ylabel="accuracy")
    for plot in (left, right):
        plot.grid(alpha=0.3)
        plot.legend(frameon=False, fontsize=8)
    return svg(figure)


def image_uri(classifier: Classifier, path: Path | bytes) -> str:
    """The image as the network gets it; PNG."""
    return png_uri(reader(classifier.config, "image")(path).squeeze())


def spectrogram_uri(classifier: Classifier, path: Path | bytes) -> str:
    """The log-mel frames, as the network gets them if it takes such, time to the right and frequency upwards; PNG."""
    return frames_uri(reader(classifier.config, "audio")(path), log_mel(classifier.config.audio))


def sound_uri(classifier: Classifier, path: Path | bytes) -> str:
    """The sound as the network gets it; WAV."""
    return wav_uri(reader(classifier.config, "audio")(path), classifier.config.audio.sample_rate_hz)


def frames_uri(wave: NDArray[Any], how: LogMel) -> str:
    """The log-mel frames of a waveform (N,), time to the right and frequency upwards; PNG."""
    frames = how(torch.from_numpy(wave)[None])[0].numpy()
    low, high = np.percentile(frames, [5, 99.5])
    return png_uri((255 * (frames.T[::-1] - low) / max(high - low, 1e-6)).clip(0, 255).astype(np.uint8))


def wav_uri(wave: NDArray[Any], rate_hz: int) -> str:
    """A waveform (N,); WAV."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, format="WAV", subtype="PCM_16")
    return _uri("audio/wav", file)


def png_uri(pixels: NDArray[Any]) -> str:
    """Pixels (H, W) or (H, W, 3) uint8; PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return _uri("image/png", file)


def _uri(kind: str, file: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def short(name: str) -> str:
    """A class or group as it stands beside an axis."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def svg(figure: Figure) -> Markup:
    """A figure as text to stand in a page; what is written in it is no formula, though a class be called $x^2$."""
    file = io.StringIO()
    for written in figure.findobj(Text):
        written.set_parse_math(False)
    with rc_context({"text.parse_math": False}):  # of ticks that are made while it is drawn
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    return Markup(text[text.index("<svg") :])
