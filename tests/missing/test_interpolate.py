"""Interpolation against scipy and scikit-learn, and against what can be said by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import griddata
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Kernel, Matern

from sightsound.missing import interpolate
from sightsound.missing.interpolate import METHODS, gaussian, linear


def picture() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Known and wanted pixels of a smooth picture of which 30 % are dead, with their values."""
    rows, columns = np.mgrid[:24, :24]
    smooth = np.sin(rows / 5) * np.cos(columns / 4)
    dead = np.random.default_rng(0).random(smooth.shape) < 0.3
    return np.argwhere(~dead), smooth[~dead][:, None], np.argwhere(dead), smooth[dead][:, None]


def test_linear_is_scipys() -> None:
    known, values, wanted, _ = picture()
    expected = griddata(known, values, wanted, "linear")
    inside = ~np.isnan(expected[:, 0])
    assert inside.sum() > 100
    np.testing.assert_allclose(linear(known, values, wanted).values[inside], expected[inside])


@pytest.mark.parametrize(("kernel", "same"), [("smooth", RBF(1.3)), ("rough", Matern(1.3, nu=0.5))])
def test_gaussian_is_scikit_learns(kernel: str, same: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    known, wanted = rng.random((20, 1)) * 10, rng.random((7, 1)) * 10  # fewer than are listened to: nothing is local
    values = np.stack([np.sin(known[:, 0]), np.cos(known[:, 0])], 1)
    monkeypatch.setattr(interpolate, "_fitted", lambda *_: (kernel, 1.3, 1e-3))
    process = GaussianProcessRegressor(same, alpha=1e-3, optimizer=None)
    process.fit(known, values - values.mean(0))
    mean, deviation = process.predict(wanted, return_std=True)
    found = gaussian(known, values, wanted)
    np.testing.assert_allclose(found.values, mean + values.mean(0), atol=1e-6)
    assert found.uncertainty is not None
    np.testing.assert_allclose(found.uncertainty, deviation[:, 0], atol=1e-6)


def test_gaussian_is_closer_than_linear_on_smooth_data() -> None:
    known, values, wanted, truth = picture()
    errors = {name: np.abs(method(known, values, wanted).values - truth).mean() for name, method in METHODS.items()}
    assert errors["gaussian"] < 0.5 * errors["linear"]
    time = np.arange(0, 60, 1.0)[:, None]
    curve, gap = np.sin(time / 6), (time[:, 0] % 20 > 14)
    ends = {name: method(time[~gap], curve[~gap], time[gap]).values for name, method in METHODS.items()}
    assert np.abs(ends["gaussian"] - curve[gap]).mean() < 0.5 * np.abs(ends["linear"] - curve[gap]).mean()


def test_uncertainty_grows_with_the_distance() -> None:
    known = np.arange(20.0)[:, None]
    found = gaussian(known, np.sin(known / 3), np.array([[5.5], [22.0], [200.0]]))
    assert found.uncertainty is not None
    near, far, nowhere = found.uncertainty
    assert near < 0.5 * far and far < nowhere == 1


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dimensions", [1, 2])
def test_few_points_will_do(name: str, dimensions: int) -> None:
    for count in (1, 2, 3):  # in two dimensions all on one line
        known = np.repeat(np.arange(float(count))[:, None], dimensions, 1)
        found = METHODS[name](known, np.full((count, 2), 7.0), known + 0.25)
        np.testing.assert_allclose(found.values, 7.0)


@pytest.mark.parametrize("name", METHODS)
@settings(deadline=None)
@given(level=st.floats(-1e3, 1e3), seed=st.integers(0, 100))
def test_what_is_constant_stays_constant(name: str, level: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, wanted = rng.random((30, 2)) * 9, rng.random((5, 2)) * 12
    np.testing.assert_allclose(METHODS[name](known, np.full((30, 1), level), wanted).values, level, atol=1e-6)
