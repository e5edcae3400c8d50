"""Abundances solve their problem exactly: optimality conditions, and independent solvers."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from hsisr_lite.arrays import InputError
from hsisr_lite.unmixing import fcls, nnls_abundances


def drawn(kind, seed=0):
    """Pixels (120, bands) and endmembers of one kind of trouble."""
    rng = np.random.default_rng(seed)
    materials, bands = {"one material": (1, 9), "more materials than bands": (7, 4)}.get(
        kind, (5, 30)
    )
    pure = rng.random((materials, bands))
    if kind == "ill-conditioned":
        pure[1] = pure[0] + 1e-5 * rng.standard_normal(bands)
    if kind == "collinear":
        pure[1], pure[4] = 2 * pure[0], pure[2] + pure[3]
    if kind == "a black endmember":
        pure[2] = 0
    image = rng.dirichlet(np.ones(materials), 120) @ pure
    if kind != "noise-free":
        image = image + 0.3 * rng.standard_normal(image.shape)
    image[0], image[1] = 0, -1
    return (1e-4 * image, 1e-4 * pure) if kind == "small units" else (image, pure)


KINDS = (
    "plain",
    "noise-free",
    "one material",
    "ill-conditioned",
    "collinear",
    "a black endmember",
    "more materials than bands",
    "small units",
)
every_kind = pytest.mark.parametrize("kind", KINDS)


def misfit(image, pure, shares):
    return np.sum((image - shares @ pure) ** 2, axis=-1)


@every_kind
def test_nnls_is_as_good_as_scipy(kind):
    image, pure = drawn(kind)
    found = nnls_abundances(image, pure)
    wanted = np.array([nnls(pure.T, pixel)[0] for pixel in image])
    assert found.min() >= 0
    # Both work in float64: their misfits differ by rounding of the pixel's energy.
    power = np.sum(image**2, axis=1)
    assert (misfit(image, pure, found) <= misfit(image, pure, wanted) + 1e-12 * power).all()
    if kind in ("plain", "one material", "small units"):  # well-posed: the answer is unique
        np.testing.assert_allclose(found, wanted, atol=1e-10)


@every_kind
@pytest.mark.parametrize("solve", [nnls_abundances, fcls])
def test_the_optimality_conditions_hold(kind, solve):
    """More of no endmember would help, and of one that is present neither more nor less."""
    image, pure = drawn(kind)
    shares = solve(image, pure)
    gain = (image - shares @ pure) @ pure.T
    if solve is fcls:
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)  # rounding, far below 1e-6
        gain -= np.sum(gain * shares, axis=1, keepdims=True)
    # Rounding of the products, relative to the lengths of what is multiplied: the pixel and its
    # mixture (large where ill-conditioned spectra have large amounts), times the change.
    lengths = np.linalg.norm(pure, axis=1)
    mixture, change = (shares @ lengths)[:, None], lengths
    if solve is fcls:  # shares near one are right to 1e-16 of one, however small their product
        mixture, change = lengths.max(), lengths + lengths.max()
    allowed = 1e-11 * (np.linalg.norm(image, axis=1, keepdims=True) + mixture) * change
    assert (gain <= allowed).all()
    if solve is nnls_abundances:
        assert (np.abs(gain) <= allowed)[shares > 1e-9 * shares.max()].all()
    assert shares.min() >= 0


@every_kind
def test_fcls_is_the_nearest_point_of_the_simplex(kind):
    """Independent: min over the simplex of |x - aE| is NNLS of (0, 1) on the corners less x."""
    image, pure = drawn(kind)
    found = fcls(image, pure)
    scale = np.abs(pure).max()
    for pixel, shares in zip(image, found, strict=True):
        corners = np.vstack([((pure - pixel) / scale).T, np.ones(len(pure))])
        wanted, _ = nnls(corners, np.r_[np.zeros(pixel.size), 1.0])
        wanted /= wanted.sum()
        best = misfit(pixel, pure, wanted)
        # The squares of both agree to the rounding of the pixel's and the corners' energy.
        assert misfit(pixel, pure, shares) <= best + 1e-12 * (pixel @ pixel + np.sum(pure**2))
        if kind in ("plain", "one material"):
            np.testing.assert_allclose(shares, wanted, atol=1e-9)


def test_fcls_agrees_with_a_general_solver():
    """SLSQP stops at 1e-12 in the misfit, so about 1e-6 in the shares."""
    image, pure = drawn("plain")
    for pixel, shares in zip(image[:25], fcls(image[:25], pure), strict=True):
        solution = minimize(
            lambda a, x=pixel: np.sum((x - a @ pure) ** 2),
            np.full(5, 0.2),
            method="SLSQP",
            bounds=[(0, None)] * 5,
            constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(shares, solution.x, atol=1e-5)


def test_true_abundances_come_back():
    """Noise-free mixtures of independent spectra have one answer, and both find it."""
    rng = np.random.default_rng(0)
    pure, shares = rng.random((6, 40)), rng.dirichlet(np.full(6, 0.4), (10, 12))
    np.testing.assert_allclose(fcls(shares @ pure, pure), shares, atol=1e-10)
    light = rng.uniform(0.1, 2, (10, 12, 1))
    found = nnls_abundances(light * shares @ pure, pure)
    np.testing.assert_allclose(found, light * shares, atol=1e-10)


def test_many_endmembers_and_many_pixels_at_once():
    """More pixels than one batch holds, in the order in which they came; 20 endmembers."""
    rng = np.random.default_rng(0)
    pure = rng.random((3, 12))
    image = rng.random((100, 100, 12))
    whole = fcls(image, pure)
    assert whole.shape == (100, 100, 3)
    np.testing.assert_array_equal(whole[90:], fcls(image[90:], pure))
    many, image = rng.random((20, 25)), rng.random((40, 25))
    wanted = np.array([nnls(many.T, pixel)[0] for pixel in image])
    np.testing.assert_allclose(nnls_abundances(image, many), wanted, atol=1e-9)


@pytest.mark.parametrize("solve", [nnls_abundances, fcls])
def test_bands_that_do_not_fit_are_refused(solve):
    with pytest.raises(InputError, match="have 3 bands: 4 are needed"):
        solve(np.ones((2, 2, 4)), np.ones((2, 3)))
    with pytest.raises(InputError, match="endmembers holds 1 values that are NaN"):
        solve(np.ones((2, 3)), [[1.0, np.nan, 1.0]])
