"""CNMF: no update raises the coupled cost, and the factors are what they claim to be."""

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.baselines import cnmf as room
from hsisr_lite.baselines.cnmf import (
    coupled_cost,
    multiply,
    update_abundances,
    update_endmembers,
)
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.metrics import psnr


def random_pair(seed, noise=0.0, offset=0.0):
    """Random mixtures under a random PSF of any width and a random SRF, of random sizes."""
    rng = np.random.default_rng(seed)
    ratio, rows, cols, bands, msi_bands, width = rng.integers(
        [2, 2, 2, 3, 1, 1], [4, 6, 6, 20, 8, 9]
    )
    cube = rng.random((ratio * rows, ratio * cols, 3)) @ rng.random((3, bands)) + offset
    psf, srf = rng.random((width, width)), rng.random((msi_bands, bands))
    psf, srf = psf / psf.sum(), srf / srf.sum(axis=1, keepdims=True)
    images = SpatialOperator(psf, ratio).A(cube), SpectralOperator(srf).A(cube)
    images = [image + noise * rng.standard_normal(image.shape) for image in images]
    return cube, hl.ObservedPair(*images, ratio, 400 + 10.0 * np.arange(bands), psf=psf, srf=srf)


@pytest.mark.filterwarnings("ignore:.*are negative")
@pytest.mark.parametrize(("noise", "offset"), [(0.0, 0.0), (0.05, 0.0), (0.3, -0.5)])
@pytest.mark.parametrize("seed", range(10))
def test_the_cost_never_rises(seed, noise, offset):
    """Over random instances, also noisy and negative ones; float64 sums round to 1e-12."""
    cost = hl.fuse(random_pair(seed, noise, offset)[1], "cnmf", progress=False).history["cost"]
    assert len(cost) > 2
    assert (np.diff(cost) <= 1e-12 * cost[0]).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_single_multiplication_raises_its_quadratic(seed):
    rng = np.random.default_rng(seed)
    root = rng.random((6, 6)) * (rng.random((6, 6)) < 0.5)
    q, linear, factor = root @ root.T, rng.random((6, 4)), 10 * rng.random((6, 4))

    def value(f):
        return np.sum(f * (q @ f)) / 2 - np.sum(linear * f)

    for _ in range(100):
        lower = multiply(factor, linear, lambda f: q @ f, 1)
        assert value(lower) <= value(factor) + 1e-10 * abs(value(factor))
        factor = lower


@pytest.mark.parametrize("seed", range(4))
def test_every_entry_moves_against_the_slope_of_the_coupled_cost(seed, monkeypatch):
    """The slope by automatic differentiation of the cost as written."""
    monkeypatch.setattr(room, "_ABUNDANCE_UPDATES", 1)
    monkeypatch.setattr(room, "_ENDMEMBER_UPDATES", 1)
    rng = np.random.default_rng(seed)
    p = SpatialOperator(np.full((3, 3), 1 / 9), 2).matrix(4, 6)
    y, z, s = rng.random((6, 5)), rng.random((24, 2)), rng.random((2, 5))
    a, e = 2 * rng.random((24, 3)), 2 * rng.random((3, 5))
    a_torch, e_torch = (torch.from_numpy(x).clone().requires_grad_() for x in (a, e))
    dense, y_, z_, s_ = (torch.from_numpy(x) for x in (p.toarray(), y, z, s))
    cost = ((y_ - dense @ a_torch @ e_torch) ** 2).sum()
    cost = cost + 0.7 * ((z_ - a_torch @ e_torch @ s_.T) ** 2).sum()
    cost = cost + room._SUM_TO_ONE**2 * ((a_torch.sum(1) - 1) ** 2).sum()
    assert coupled_cost(y, z, p, s, a, e, 0.7) == pytest.approx(cost.item(), rel=1e-12)
    cost.backward()
    moved = update_abundances(y, z, p, s, a, e, 0.7) - a
    assert (np.sign(moved) == -np.sign(a_torch.grad.numpy())).all()
    moved = update_endmembers(y, z, p, s, a, e, 0.7) - e
    assert (np.sign(moved) == -np.sign(e_torch.grad.numpy())).all()


def test_the_image_is_the_product_of_its_factors_and_neither_is_negative():
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, 8, blind=False)
    result = hl.fuse(pair, "cnmf", progress=False)
    materials = len(result.endmembers)
    assert 8 < materials <= 30 and result.endmembers.shape[1] == 99
    assert result.abundances.shape == (96, 96, materials)
    assert result.endmembers.min() >= 0 and result.abundances.min() >= 0
    np.testing.assert_allclose(
        result.hr_hsi, result.abundances @ result.endmembers, rtol=1e-6, atol=1e-7
    )  # float32
    sums = result.abundances.sum(axis=-1)
    assert abs(np.median(sums) - 1) < 0.2  # soft: shade is allowed to move it


@pytest.mark.filterwarnings("ignore:.*are negative")
def test_values_below_zero_are_named_and_left_where_they_are():
    _, pair = random_pair(1, noise=0.02, offset=-0.3)
    before = pair.lr_hsi.copy(), pair.hr_msi.copy()
    result = hl.fuse(pair, "cnmf", progress=False)
    assert "values below 0 count as 0: factors are non-negative." in result.notes
    np.testing.assert_array_equal(pair.lr_hsi, before[0])
    np.testing.assert_array_equal(pair.hr_msi, before[1])


def test_units_do_not_matter():
    """A pair in other units takes the same path: only float32 and the tiny constants differ."""
    _, pair = random_pair(2)
    scaled = hl.ObservedPair(
        3000 * pair.lr_hsi, 3000 * pair.hr_msi, pair.ratio, pair.wavelengths, pair.psf, pair.srf
    )
    answers = [hl.fuse(given, "cnmf", progress=False).hr_hsi for given in (pair, scaled)]
    np.testing.assert_allclose(answers[1] / 3000, answers[0], atol=1e-3 * answers[0].max())


def test_it_stops_where_the_noise_explains_the_rest():
    """30 dB: the same factors told that there is no noise go on, and learn it: 1 dB worse."""
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, 4, snr_db=30, blind=False, seed=1)
    deaf = hl.ObservedPair(
        pair.lr_hsi, pair.hr_msi, 4, pair.wavelengths, pair.psf, pair.srf, noise=(0.0, 0.0)
    )
    heard, ignored = (hl.fuse(given, "cnmf", progress=False) for given in (pair, deaf))
    assert len(heard.history["cost"]) < len(ignored.history["cost"])
    assert psnr(scene.cube, heard.hr_hsi) > psnr(scene.cube, ignored.hr_hsi) + 1


def test_more_materials_than_the_spectra_span_are_refused():
    _, pair = random_pair(3)
    with pytest.raises(InputError, match="materials is 50"):
        hl.fuse(pair, "cnmf", materials=50)
    assert hl.fuse(pair, "cnmf", materials=2, progress=False).endmembers.shape[0] == 2
