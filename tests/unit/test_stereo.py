"""STEREO: its cost never rises, it never explodes, and the cubes it is made of are found."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.canonical import against, canonical
from hsisr_lite.baselines.tensors import maps
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.methods import fuse
from hsisr_lite.metrics import psnr
from hsisr_lite.scenes.synthetic import synthetic_scene

TILTED = gaussian_psf(4, size=8, elongation=2, angle=30)
pytestmark = pytest.mark.filterwarnings("ignore:.*are negative")  # random cubes have either sign


def sum_of_cubes(rng, shape, rank):
    rows, cols, spectra = (rng.standard_normal((size, rank)) for size in shape)
    return maps(rows, cols) @ spectra.T


def observed(cube, ratio=4, msi_bands=5, psf=None, noise=0.0, seed=0):
    psf = gaussian_psf(ratio) if psf is None else psf
    rng = np.random.default_rng(seed)
    srf = rng.random((msi_bands, cube.shape[2]))
    srf /= srf.sum(axis=1, keepdims=True)
    lr_hsi, hr_msi = SpatialOperator(psf, ratio).A(cube), SpectralOperator(srf).A(cube)
    return ObservedPair(
        lr_hsi + noise * rng.standard_normal(lr_hsi.shape),
        hr_msi + noise * rng.standard_normal(hr_msi.shape),
        ratio,
        400 + 10.0 * np.arange(cube.shape[2]),
        psf=psf,
        srf=srf,
    )


@pytest.mark.parametrize("psf", [None, TILTED], ids=["block", "tilted"])
@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_the_cost_never_rises(seed, noise, psf):
    """White cubes fit no model well; rounding alone may lift a cost by 1e-12 of the first."""
    rng = np.random.default_rng(seed)
    cube = rng.random((24, 20, 15)) if seed % 2 else sum_of_cubes(rng, (24, 20, 15), 6)
    costs = np.array(fuse(observed(cube, psf=psf, noise=noise), "stereo").history["cost"])
    assert len(costs) > 1 and np.diff(costs).max() <= 1e-12 * costs[0]


def test_with_any_psf_rows_and_columns_answer_to_both_images(monkeypatch):
    """Against the same sweeps with rows and columns left as the HrMSI alone has them."""
    pair = observed(np.random.default_rng(2).random((24, 20, 15)), psf=TILTED)
    moving = fuse(pair, "stereo").history["cost"]
    monkeypatch.setattr(
        "hsisr_lite.baselines.stereo.conjugate_gradients",
        lambda normal, right, ready, start, steps: start,
    )
    frozen = fuse(pair, "stereo").history["cost"]
    assert moving[0] == frozen[0] and moving[-1] < 0.9 * frozen[-1]


def test_the_recorded_cost_is_the_objective():
    """The answer is half a sweep ahead of the last cost: its misfit alone must lie below it."""
    cube = sum_of_cubes(np.random.default_rng(1), (24, 20, 15), 4)
    pair = observed(cube, psf=TILTED)
    result = fuse(pair, "stereo", rank=4)
    image = result.hr_hsi.astype(float)
    misfit = np.sum((SpatialOperator(TILTED, 4).A(image) - pair.lr_hsi) ** 2)
    misfit += np.sum((SpectralOperator(pair.srf).A(image) - pair.hr_msi) ** 2)
    assert misfit <= result.history["cost"][-1]


@pytest.mark.parametrize("psf", [None, TILTED], ids=["block", "tilted"])
@pytest.mark.parametrize("rank", [2, 3, 5])
def test_an_exact_sum_of_cubes_is_recovered(rank, psf):
    """The ridge costs a cube some 1e-4 of its strength (80 dB); what the MSI sees worst, more."""
    cube = sum_of_cubes(np.random.default_rng(rank), (24, 28, 20), rank)
    found = fuse(observed(cube, psf=psf), "stereo", rank=rank).hr_hsi
    assert 10 * np.log10(np.sum(cube**2) / np.sum((cube - found) ** 2)) > 45


def test_a_decomposition_finds_the_cubes_themselves():
    """Up to order and scale, each factor's columns are those that made the image: unique."""
    rng = np.random.default_rng(3)
    made = [rng.standard_normal((size, 4)) for size in (12, 15, 6)]
    factors = canonical(maps(*made[:2]) @ made[2].T, 4, ridge=1e-8, sweeps=300)
    for found, true in zip(factors, made, strict=True):
        found, true = (f / np.linalg.norm(f, axis=0) for f in (found, true))
        # a cosine: 1e-6 below one is a thousandth of a radian
        assert np.abs(found.T @ true).max(axis=0).min() > 1 - 1e-6


def test_products_of_factors_are_those_of_tensorly():
    tenalg = pytest.importorskip("tensorly.tenalg")
    rng = np.random.default_rng(4)
    image, factors = rng.random((3, 4, 5)), [rng.random((size, 2)) for size in (3, 4, 5)]
    for axis in range(3):
        others = [factor for k, factor in enumerate(factors) if k != axis]
        theirs = tenalg.unfolding_dot_khatri_rao(image, (None, factors), axis)
        np.testing.assert_allclose(against(image, axis, *others), theirs, rtol=1e-12)


@pytest.mark.parametrize("rank", [30, 31, 1000, 0, 2.5, "ten"])
def test_a_rank_that_the_lr_hsi_does_not_determine_is_refused(rank):
    """24 x 20 pixels at ratio 4: 30 low-resolution ones."""
    pair = observed(np.random.default_rng(5).random((24, 20, 15)))
    with pytest.raises(InputError, match=r"from 1 to 29 is needed.*underdetermined.*try 20"):
        fuse(pair, "stereo", rank=rank)
    assert np.isfinite(fuse(pair, "stereo", rank=29).hr_hsi).all()


@pytest.mark.parametrize("ratio", [4, 8, 12, 24])
@pytest.mark.parametrize("snr_db", [None, 30])
def test_it_never_explodes(ratio, snr_db):
    """Where the published fit is worse than nothing (few low pixels, noise): near the floor or up.

    Bicubic interpolation is that floor; at ratio 24, 16 pixels determine 11 cubes.
    """
    scene = synthetic_scene()
    pair = simulate(scene, ratio, snr_db=snr_db, blind=False)
    found, floor = (psnr(scene.cube, fuse(pair, m).hr_hsi) for m in ("stereo", "bicubic"))
    assert found > floor


def test_the_answer_scales_with_the_images():
    cube = np.random.default_rng(6).random((16, 20, 9))
    small, large = (fuse(observed(c), "stereo").hr_hsi for c in (cube, 1000 * cube))
    # float32 pairs, and a fit that amplifies their rounding
    np.testing.assert_allclose(1000 * small, large, rtol=1e-2, atol=2)
