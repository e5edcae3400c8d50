"""CSU: its projections and descents keep their promises, and the whole recovers what it can."""

import numpy as np
import pytest
from scipy.optimize import minimize

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import bicubic
from hsisr_lite.baselines.csu import csu
from hsisr_lite.baselines.projected import descend, into_unit, onto_simplex
from hsisr_lite.budget import Run
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.metrics import psnr
from hsisr_lite.scenes.synthetic import synthetic_scene


def observed(cube, srf, ratio=4):
    psf = gaussian_psf(ratio)
    lr_hsi, hr_msi = SpatialOperator(psf, ratio).A(cube), SpectralOperator(srf).A(cube)
    wavelengths = 400 + 10.0 * np.arange(cube.shape[-1])
    return ObservedPair(lr_hsi, hr_msi, ratio, wavelengths, psf=psf, srf=srf)


def random_srf(rng, msi_bands, bands):
    srf = rng.random((msi_bands, bands))
    return srf / srf.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_the_simplex_projection_is_the_quadratic_programs_answer(seed):
    """Against a general solver of min |x - v|^2, x >= 0, sum x = 1 (its tolerance: 1e-6)."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((6, 5)) * 10.0 ** rng.integers(-2, 2)
    for point, found in zip(points.T, onto_simplex(points).T, strict=True):
        theirs = minimize(
            lambda x, v=point: np.sum((x - v) ** 2),
            np.full(6, 1 / 6),
            jac=lambda x, v=point: 2 * (x - v),
            bounds=[(0, None)] * 6,
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-14},
        ).x
        np.testing.assert_allclose(found, theirs, atol=1e-6)


def test_the_simplex_projection_ends_on_the_simplex_and_leaves_it_alone():
    points = np.random.default_rng(0).standard_normal((30, 1000)) * np.logspace(-6, 3, 1000)
    points[:, ::7] = points[:1, ::7]  # ties
    found = onto_simplex(points)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-9)
    np.testing.assert_allclose(onto_simplex(found), found, atol=1e-14)  # rounding


@pytest.mark.parametrize("project", [onto_simplex, into_unit])
@pytest.mark.parametrize("seed", range(8))
def test_a_descent_never_rises_and_stays_in_its_set(seed, project):
    """Random, badly conditioned quadratics; the values are computed anew, not read off."""
    rng = np.random.default_rng(seed)
    factor = rng.random((7, 12)) * 10.0 ** rng.uniform(-3, 1, (7, 1))
    gram, target = factor.T @ factor, factor.T @ rng.standard_normal((7, 20))
    value = lambda x: 0.5 * np.sum(x * (gram @ x)) - np.sum(target * x)  # noqa: E731
    start = project(rng.random((12, 20)))
    last = value(start)
    for steps in range(1, 40, 3):
        x, values = descend(start, gram, target, project, steps)
        assert (np.diff(values) <= 0).all()
        assert value(x) <= last + 1e-12 * abs(last)  # rounding of sums in another order
        np.testing.assert_allclose(project(x), x, atol=1e-12)
        last = value(x)


def test_a_long_descent_meets_the_conditions_of_the_optimum():
    """On the simplex the gradient is equal where x > 0 and no smaller where x = 0."""
    rng = np.random.default_rng(1)
    factor = rng.random((15, 8))
    gram, target = factor.T @ factor, factor.T @ rng.random((15, 30))
    x = np.full((8, 30), 1 / 8)
    for _ in range(30):  # anew each time, so that the end rule does not count
        x, _ = descend(x, gram, target, onto_simplex, 200)
    slope = gram @ x - target
    floor = slope.min(axis=0)
    # Steps end when they gain a thousandth of a descent: ten digits in f, five in the slope.
    assert np.max(x * (slope - floor)) < 1e-5


def test_mixtures_of_pure_materials_are_recovered():
    """Four materials, each pure in some LrHSI pixel, and five separate MSI bands hide nothing."""
    rng = np.random.default_rng(2)
    spectra = 0.1 + 0.8 * rng.random((4, 20))
    shares = rng.dirichlet(np.full(4, 0.4), (24, 24))
    for material in range(4):
        shares[:4, 4 * material : 4 * material + 4] = np.eye(4)[material]
    cube = shares @ spectra
    pair = observed(cube, np.kron(np.eye(5), np.full((1, 4), 0.25)))
    costs = csu(pair, Run(), rounds=200).history["cost"]
    # The approach is linear: the cost is still falling, from 0.3 to below a thousandth of that.
    assert costs[-1] < 1e-3 * costs[0]
    assert psnr(cube, csu(pair, Run(), rounds=200).hr_hsi) > 60


def test_cost_abundances_and_endmembers_are_what_the_model_says():
    scene = synthetic_scene()
    pair = simulate(scene, 8, blind=False)
    result = csu(pair, Run())
    cost, abundances = result.history["cost"], result.abundances
    assert len(cost) > 1 and min(cost) < 0.5 * cost[0]
    assert (abundances >= 0).all()
    np.testing.assert_allclose(abundances.sum(axis=-1), 1, atol=1e-9)
    scale = max(pair.lr_hsi.max(), pair.hr_msi.max())
    assert (result.endmembers >= 0).all() and (result.endmembers <= scale * (1 + 1e-12)).all()
    model = abundances @ result.endmembers
    np.testing.assert_allclose(result.hr_hsi, model, atol=1e-6)  # float32
    misfits = (
        SpatialOperator(pair.psf, 8).A(model) - pair.lr_hsi,
        SpectralOperator(pair.srf).A(model) - pair.hr_msi,
    )
    again = 0.5 * sum(np.sum(misfit**2) for misfit in misfits) / scale**2
    assert again == pytest.approx(min(cost), rel=1e-6)


def test_the_answer_follows_the_units_of_the_pair():
    """Values above one are scaled inside: ten times the pair gives ten times the image."""
    rng = np.random.default_rng(3)
    cube, srf = 0.1 + rng.random((16, 16, 9)), random_srf(rng, 4, 9)
    small, large = (csu(observed(factor * cube, srf), Run()).hr_hsi for factor in (1, 8))
    np.testing.assert_allclose(large, 8 * small, rtol=1e-4)  # a power of two: alike in float32


@pytest.mark.parametrize("snr_db", [None, 30])
def test_it_beats_interpolation_on_the_embedded_scene(snr_db):
    scene = synthetic_scene()
    pair = simulate(scene, 8, snr_db=snr_db, blind=False)
    gain = psnr(scene.cube, csu(pair, Run()).hr_hsi) - psnr(scene.cube, bicubic(pair, Run()).hr_hsi)
    assert gain > 6  # over 10 measured; interpolation knows nothing of the MSI


@pytest.mark.parametrize("kind", ["two pixels", "constant", "black", "negative", "few bands"])
def test_odd_pairs_are_answered(kind):
    rng = np.random.default_rng(4)
    cube = 0.1 + rng.random((4, 8, 9)) if kind == "two pixels" else 0.1 + rng.random((16, 16, 9))
    if kind in ("constant", "black"):
        cube[:] = 0.4 * (kind == "constant")
    if kind == "negative":
        cube[0, :, :2] = -0.05
    result = csu(observed(cube, random_srf(rng, 9 if kind == "few bands" else 3, 9)), Run())
    assert np.isfinite(result.hr_hsi).all()
    assert "materials" in result.notes[-1]  # fewer than thirty fit
    if kind in ("constant", "black"):
        np.testing.assert_allclose(result.hr_hsi, cube, atol=1e-3)


def test_more_materials_than_fit_are_refused():
    rng = np.random.default_rng(5)
    pair = observed(0.1 + rng.random((8, 8, 9)), random_srf(rng, 3, 9))
    with pytest.raises(InputError, match="materials is 9: a whole number from 1 to 5"):
        csu(pair, Run(), materials=9)
