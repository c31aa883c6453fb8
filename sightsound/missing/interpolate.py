"""Interpolates linearly or by a Gaussian process: (n, d) known points with (n, v) values -> (w, v) at other points.

The same two functions serve pixels (d = 2), spectrogram frames and embeddings along time (d = 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.spatial import KDTree

Array = NDArray[np.float64]

NEIGHBOURS = 24  # nearest known points that a Gaussian process uses; further ones have little weight
KERNELS: dict[str, Callable[[Array], Array]] = {  # covariance at squared distances; the rough one: Ornstein-Uhlenbeck
    "smooth": lambda apart: np.exp(-apart / 2),
    "rough": lambda apart: np.exp(-np.sqrt(apart)),
}
# of a process: kernel, length scale in distances between neighbours, variance of the noise as a share of the signal's
PROCESSES = [
    *(("smooth", length, noise) for length in (1.0, 2.0, 4.0, 8.0, 16.0) for noise in (1e-4, 1.0)),
    *(("rough", length, 1e-4) for length in (4.0, 16.0, 64.0)),
]
TRIED = 30  # known points by which the process is selected


class Interpolated(NamedTuple):
    """Values (w, v) and their uncertainty (w,), from 0 (as good as known) to 1 (nothing is known); None: not given."""

    values: Array
    uncertainty: Array | None


def linear(known: NDArray[Any], values: NDArray[Any], wanted: NDArray[Any]) -> Interpolated:
    """Interpolates along lines in one dimension, in Delaunay triangles in two; outside, by the nearest known value.

    Args:
        known: (n, d) points, n at least 1.
        values: (n, v) values at these points.
        wanted: (w, d) points to interpolate at.
    """
    if known.shape[1] == 1:
        order = np.argsort(known[:, 0])
        x, y = known[order, 0], values[order]
        columns = [np.interp(wanted[:, 0], x, y[:, i]) for i in range(y.shape[1])]
        return Interpolated(np.stack(columns, 1), None)
    # here, since importing it takes half a second, and few predictions interpolate
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.spatial import QhullError

    nearest = NearestNDInterpolator(known, values)(wanted)
    try:
        inside = LinearNDInterpolator(known, values)(wanted)
    except (QhullError, ValueError):  # all on one line, or fewer than three
        return Interpolated(nearest, None)
    return Interpolated(np.where(np.isnan(inside), nearest, inside), None)


def gaussian(known: NDArray[Any], values: NDArray[Any], wanted: NDArray[Any]) -> Interpolated:
    """Interpolates by the mean of a Gaussian process, given the nearest known points.

    It is local kriging (Rasmussen & Williams, 2006, section 2.2, on neighbourhoods), with the kernel, length scale and
    noise that best predict known points from others as far away as known points are from those in the gaps.

    Args:
        known: (n, d) points, n at least 1.
        values: (n, v) values at these points.
        wanted: (w, d) points to interpolate at.
    """
    from scipy.spatial import KDTree

    known, values, wanted = (np.asarray(x, np.float64) for x in (known, values, wanted))
    tree = KDTree(known)
    process = _fitted(tree, known, values, wanted)
    near = np.asarray(tree.query(wanted, min(NEIGHBOURS, len(known)))[1]).reshape(len(wanted), -1)
    return _kriged(known[near], values[near], wanted, *process)


def _fitted(tree: KDTree, known: Array, values: Array, wanted: Array) -> tuple[str, float, float]:
    """Selects kernel, length scale and noise."""
    if len(known) < 3:
        return PROCESSES[0]
    tried = np.unique(np.linspace(0, len(known) - 1, TRIED).astype(int))
    gaps = np.random.default_rng(0).choice(np.asarray(tree.query(wanted)[0]), (len(tried), 1))
    distance, near = map(np.asarray, tree.query(known[tried], min(4 * NEIGHBOURS, len(known))))
    spacing = float(np.median(distance[:, 1])) or 1.0
    too_near = distance < np.maximum(gaps, spacing / 2)
    order = np.argsort(too_near, axis=1, kind="stable")[:, : min(NEIGHBOURS, near.shape[1] - 1)]
    others = np.take_along_axis(near, order, 1)
    errors = {}
    for kernel, scale, noise in PROCESSES:
        process = kernel, scale * spacing, noise
        guessed = _kriged(known[others], values[others], known[tried], *process).values
        errors[process] = float(((guessed - values[tried]) ** 2).sum())
    return min(errors, key=lambda process: errors[process])


def _kriged(known: Array, values: Array, wanted: Array, kernel: str, length: float, noise: float) -> Interpolated:
    """Kriges from known (w, k, d) points with (w, k, v) values around each of (w, d) wanted points."""
    apart = ((known[:, :, None] - known[:, None]) ** 2).sum(-1)
    away = ((known - wanted[:, None]) ** 2).sum(-1)
    covariance = KERNELS[kernel](apart / length**2) + noise * np.eye(known.shape[1])
    with_wanted = KERNELS[kernel](away / length**2)
    weights = np.linalg.solve(covariance, with_wanted[..., None])[..., 0]
    mean = values.mean(1)
    found = mean + np.einsum("wk,wkv->wv", weights, values - mean[:, None])
    left = 1 - (with_wanted * weights).sum(1)
    return Interpolated(found, np.sqrt(left.clip(0, 1)))


METHODS = {"linear": linear, "gaussian": gaussian}
