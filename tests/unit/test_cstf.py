"""CSTF: its objective falls, its core is sparse as asked, and it does not lose what SCOTT has."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.tensors import expand
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.methods import fuse
from hsisr_lite.metrics import psnr
from hsisr_lite.scenes.synthetic import synthetic_scene

TILTED = gaussian_psf(4, size=8, elongation=2, angle=30)
pytestmark = pytest.mark.filterwarnings("ignore:.*are negative")  # random cubes have either sign


@pytest.fixture(scope="module")
def scene():
    return synthetic_scene()


def sparse_tucker(rng, shape, ranks, filled):
    """A cube of orthonormal dictionaries and a core of which a share ``filled`` is not zero."""
    rows, cols, spectra = (
        np.linalg.qr(rng.standard_normal((size, rank)))[0]
        for size, rank in zip(shape, ranks, strict=True)
    )
    core = rng.standard_normal(ranks) * (rng.random(ranks) < filled)
    return expand(core, rows, cols) @ spectra.T


def observed(cube, psf, msi_bands=6, noise=0.0):
    rng = np.random.default_rng(0)
    srf = rng.random((msi_bands, cube.shape[2]))
    srf /= srf.sum(axis=1, keepdims=True)
    lr_hsi, hr_msi = SpatialOperator(psf, 4).A(cube), SpectralOperator(srf).A(cube)
    return ObservedPair(
        lr_hsi + noise * rng.standard_normal(lr_hsi.shape),
        hr_msi + noise * rng.standard_normal(hr_msi.shape),
        4,
        400 + 10.0 * np.arange(cube.shape[2]),
        psf=psf,
        srf=srf,
    )


def zeros(result):
    """The share of zeros in the core, as its note states it."""
    return float(result.notes[-1].split("%")[0])


@pytest.mark.parametrize("psf", [gaussian_psf(4), TILTED], ids=["block", "tilted"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("sparsity", [None, 0.0, 1e-2, 1.0])
def test_the_objective_never_rises(sparsity, noise, psf):
    """White cubes fit no model well; rounding alone may lift an objective by 1e-12 of the first."""
    cube = np.random.default_rng(1).random((24, 20, 15))
    pair = observed(cube, psf, noise=noise)
    costs = np.array(fuse(pair, "cstf", sparsity=sparsity).history["cost"])
    assert len(costs) > 1 and np.diff(costs).max() <= 1e-12 * costs[0]


def test_without_sparsity_the_recorded_objective_is_that_of_the_answer(scene):
    pair = simulate(scene, 8, blind=False)
    result = fuse(pair, "cstf", sparsity=0)
    image = result.hr_hsi.astype(float)
    misfit = np.sum((SpatialOperator(pair.psf, 8).A(image) - pair.lr_hsi) ** 2)
    misfit += np.sum((SpectralOperator(pair.srf).A(image) - pair.hr_msi) ** 2)
    # the answer is rounded to float32: 1e-7 of values whose misfit is 1e-3 of them
    np.testing.assert_allclose(misfit, result.history["cost"][-1], rtol=1e-3)


@pytest.mark.parametrize("psf", [gaussian_psf(4), TILTED], ids=["block", "tilted"])
def test_an_exact_sparse_tucker_cube_is_recovered(psf):
    """Shrinkage costs 1e-4 of the root mean square, more where the MSI sees little: 40 dB."""
    cube = sparse_tucker(np.random.default_rng(2), (32, 24, 20), (20, 18, 4), 0.1)
    result = fuse(observed(cube, psf), "cstf")
    assert 10 * np.log10(np.sum(cube**2) / np.sum((cube - result.hr_hsi) ** 2)) > 40
    assert zeros(result) > 25  # 12 rows and 6 columns of patterns are not there at all


def test_more_sparsity_leaves_fewer_entries(scene):
    pair = simulate(scene, 8, blind=False)
    shares = [zeros(fuse(pair, "cstf", sparsity=s)) for s in (0, 1e-4, 1e-3, 1e-2, 1e-1, 1e3)]
    assert (np.diff(shares) > 0).all()
    assert shares[0] == 0 and shares[-1] == 100


@pytest.mark.parametrize("snr_db", [None, 25])
def test_no_worse_than_scott_and_better_than_bicubic(scene, snr_db):
    """It starts from SCOTT's factors; the objective is not the error, so a decibel is granted."""
    pair = simulate(scene, 4, snr_db=snr_db, blind=False)
    score = {m: psnr(scene.cube, fuse(pair, m).hr_hsi) for m in ("cstf", "scott", "bicubic")}
    assert score["cstf"] > score["scott"] - 1
    assert score["cstf"] > score["bicubic"] + 1


def test_noise_makes_the_core_sparse(scene):
    """Without noise hardly an entry is worth dropping; at 30 dB most of them are noise."""
    clean, noisy = (fuse(simulate(scene, 8, snr_db=snr, blind=False), "cstf") for snr in (None, 30))
    assert zeros(clean) < 10 and zeros(noisy) > 40


@pytest.mark.parametrize("sparsity", [-1, np.nan, np.inf, "much", (1, 2)])
def test_a_sparsity_that_is_none_is_refused(scene, sparsity):
    with pytest.raises(InputError, match=r"sparsity is .*at least 0 is needed.*try"):
        fuse(simulate(scene, 24), "cstf", sparsity=sparsity)
