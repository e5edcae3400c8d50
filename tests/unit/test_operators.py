"""The degradation operators: adjoints, phase, borders, and the identity that blind methods use."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.psf import gaussian_psf


def spatial_cases():
    """(ratio, kernel size, low rows, low cols): odd shapes, not square, kernels small and large."""
    for ratio in range(2, 17):
        for size in {ratio, 2 * ratio, ratio + 1, max(1, ratio - 1), 1, 4 * ratio + 3}:
            yield ratio, size, 3, 5
    yield 2, 9, 1, 7
    yield 3, 40, 2, 1  # a kernel many times larger than the image


def relative_gap(a, b):
    return abs(a - b) / max(abs(a), abs(b))


@pytest.mark.parametrize(("ratio", "size", "low_rows", "low_cols"), list(spatial_cases()))
def test_spatial_adjoint_identity(ratio, size, low_rows, low_cols):
    """<A x, y> = <x, A* y> in float64: only rounding (1e-10) may separate them."""
    rng = np.random.default_rng(ratio * 100 + size)
    psf = rng.random((size, size))
    operator = SpatialOperator(psf / psf.sum(), ratio)
    x = rng.standard_normal((low_rows * ratio, low_cols * ratio, 3))
    y = rng.standard_normal((low_rows, low_cols, 3))
    assert relative_gap(np.vdot(operator.A(x), y), np.vdot(x, operator.A_adjoint(y))) < 1e-10


@pytest.mark.parametrize("bands", [(1, 1), (3, 31), (8, 99), (13, 5)])
def test_spectral_adjoint_identity(bands):
    """<S x, y> = <x, S* y> in float64: only rounding (1e-10) may separate them."""
    rng = np.random.default_rng(7)
    srf = rng.random(bands)
    operator = SpectralOperator(srf / srf.sum(axis=1, keepdims=True))
    x, y = rng.standard_normal((5, 7, bands[1])), rng.standard_normal((5, 7, bands[0]))
    assert relative_gap(np.vdot(operator.A(x), y), np.vdot(x, operator.A_adjoint(y))) < 1e-10


@pytest.mark.parametrize("ratio", [2, 3, 4, 7])
@pytest.mark.parametrize("extra", [0, 1, 2, 3, 5])
def test_a_delta_image_finds_each_psf_weight_in_its_place(ratio, extra):
    """A single bright pixel at u is seen by low pixel i with weight h[u - (r i - (k - r) // 2)]."""
    size = ratio + extra
    psf = np.random.default_rng(size).random((size, size))
    psf /= psf.sum()
    image = np.zeros((7 * ratio, 6 * ratio, 1))
    row, col = 3 * ratio + 1, 3 * ratio
    image[row, col] = 1
    seen = SpatialOperator(psf, ratio).A(image)[..., 0]
    for i in range(7):
        for j in range(6):
            a = row - (ratio * i - (size - ratio) // 2)
            b = col - (ratio * j - (size - ratio) // 2)
            inside = 0 <= a < size and 0 <= b < size
            assert seen[i, j] == pytest.approx(psf[a, b] if inside else 0, abs=1e-15)


@pytest.mark.parametrize("size", [4, 5, 8, 11])
def test_borders_are_mirrored_with_the_edge_repeated(size):
    """numpy's symmetric padding, then a plain window by window sum, gives the same image."""
    ratio, rng = 4, np.random.default_rng(size)
    psf = rng.random((size, size))
    psf /= psf.sum()
    image = rng.random((12, 20, 2))
    before = (size - ratio) // 2
    pad = ((before, size), (before, size), (0, 0))
    wide = np.pad(image, pad, mode="symmetric") if before >= 0 else image
    wanted = np.zeros((3, 5, 2))
    for i in range(3):
        for j in range(5):
            window = wide[ratio * i : ratio * i + size, ratio * j : ratio * j + size]
            wanted[i, j] = np.einsum("ab,abc->c", psf, window)
    np.testing.assert_allclose(SpatialOperator(psf, ratio).A(image), wanted, rtol=1e-12)


def test_flat_images_stay_flat_even_at_the_border():
    flat = np.full((12, 8, 2), 0.7)
    seen = SpatialOperator(gaussian_psf(4, size=9), 4).A(flat)
    np.testing.assert_allclose(seen, 0.7, rtol=1e-12)


def test_blur_and_band_mix_commute():
    """S(P X) = P(S X): they act on different axes, so only rounding separates them."""
    rng = np.random.default_rng(0)
    cube, srf = rng.random((12, 20, 9)), rng.random((3, 9))
    spatial = SpatialOperator(gaussian_psf(4, size=7, elongation=2, angle=30), 4)
    spectral = SpectralOperator(srf / srf.sum(axis=1, keepdims=True))
    one, other = spectral.A(spatial.A(cube)), spatial.A(spectral.A(cube))
    np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_of_the_image_is_kept(dtype):
    image = np.ones((8, 8, 2), dtype)
    operator = SpatialOperator(gaussian_psf(4), 4)
    assert operator.A(image).dtype == operator.A_adjoint(operator.A(image)).dtype == dtype
    assert SpectralOperator([[0.5, 0.5]]).A(image).dtype == dtype


def test_integer_images_are_not_rounded_to_nothing():
    counts = np.arange(48, dtype=np.uint16).reshape(4, 4, 3)
    for operator in (SpatialOperator(gaussian_psf(2), 2), SpectralOperator(np.full((1, 3), 1 / 3))):
        np.testing.assert_allclose(operator.A(counts), operator.A(counts.astype(float)), rtol=1e-6)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="ratio 5 does not divide the image: 93 rows"):
        SpatialOperator(gaussian_psf(5), 5).A(np.ones((93, 90, 1)))
    with pytest.raises(InputError, match="the image has 3 bands: 2 are needed"):
        SpectralOperator([[0.5, 0.5]]).A(np.ones((2, 2, 3)))
