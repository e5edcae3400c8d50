"""HySure: the iteration reaches the minimum of its objective, and that objective resists noise."""

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.hysure import (
    differences,
    differences_adjoint,
    mean_length,
    minimise,
    shrink,
)
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.budget import Run
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.metrics import psnr

RUN = Run()


def random_pair(seed, noise=0.02):
    """Patches of random spectra under a random PSF wider than its block, and a random SRF."""
    rng = np.random.default_rng(seed)
    ratio, rows, cols, bands, msi_bands = rng.integers([2, 3, 3, 6, 2], [4, 6, 6, 16, 6])
    patches = np.kron(rng.random((rows, cols, 4)), np.ones((ratio, ratio, 1)))
    cube = np.roll(patches, 1, axis=(0, 1)) @ rng.random((4, bands))
    psf, srf = rng.random((2 * ratio + 1,) * 2), rng.random((msi_bands, bands))
    psf, srf = psf / psf.sum(), srf / srf.sum(axis=1, keepdims=True)
    images = SpatialOperator(psf, ratio).A(cube), SpectralOperator(srf).A(cube)
    images = [image + noise * rng.standard_normal(image.shape) for image in images]
    return hl.ObservedPair(*images, ratio, 400 + 10.0 * np.arange(bands), psf=psf, srf=srf)


@pytest.mark.parametrize("seed", range(6))
def test_the_residuals_fall_and_the_iteration_ends_by_them(seed):
    """Both fall to a thousandth before 200 iterations; the primal one to a tenth of its largest."""
    history = hl.fuse(random_pair(seed), "hysure", progress=False).history
    primal, dual = np.array(history["primal_residual"]), np.array(history["dual_residual"])
    assert max(primal[-1], dual[-1]) < 1e-3 and len(primal) < 200
    assert primal[-1] < 0.1 * primal[:3].max()
    # Not in every single step (ADMM promises none), but over every third of the run.
    thirds = [part.max() for part in np.array_split(primal, 3)]
    assert thirds[0] > thirds[1] > thirds[2]


@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_is_that_of_a_general_solver(seed):
    """L-BFGS on the objective as written, with |t| rounded off below 1e-6, by torch in float64."""
    inputs = prepare(random_pair(seed))
    rng = np.random.default_rng(seed)
    basis, start = rng.random((3, inputs.lr_hsi.shape[2])), np.zeros((*inputs.hr_msi.shape[:2], 3))
    weights = {"msi_weight": 2.0, "smoothness": 0.05}
    found, history = minimise(inputs, basis, penalty=0.3, start=start, run=RUN, **weights)
    p = torch.from_numpy(inputs.operator.matrix(*start.shape[:2]).toarray())
    y, z = (torch.from_numpy(image).flatten(0, 1) for image in inputs[:2])
    e, s = torch.from_numpy(basis), torch.from_numpy(inputs.srf)

    def objective(u, rounding):
        image = u.flatten(0, 1) @ e
        down, right = u.diff(dim=0, append=u[-1:]), u.diff(dim=1, append=u[:, -1:])
        length = torch.sqrt((down**2 + right**2).sum(-1) + rounding**2)
        data = ((y - p @ image) ** 2).sum() + 2.0 * ((z - image @ s.T) ** 2).sum()
        return data / 2 + 0.05 * length.sum()

    u = torch.from_numpy(start).clone().requires_grad_()
    for rounding in (1e-2, 1e-4, 1e-6):
        solver = torch.optim.LBFGS([u], max_iter=300, line_search_fn="strong_wolfe")

        def closure():
            solver.zero_grad()  # noqa: B023
            value = objective(u, rounding)  # noqa: B023
            value.backward()
            return value

        solver.step(closure)
    best, ours = (float(objective(x, 0)) for x in (u.detach(), torch.from_numpy(found)))
    np.testing.assert_allclose(history["objective"][-1], ours, rtol=1e-10)  # what is recorded
    assert ours < 1.001 * best  # the residuals stop at a thousandth


def test_differences_and_their_adjoint():
    """<D u, w> = <u, D* w>, and D* D is the mirrored Laplacian that the cosines diagonalise."""
    rng = np.random.default_rng(0)
    u, w = rng.standard_normal((5, 7, 2)), rng.standard_normal((2, 5, 7, 2))
    np.testing.assert_allclose(
        np.sum(differences(u) * w), np.sum(u * differences_adjoint(w)), rtol=1e-12
    )
    wave = np.cos(np.pi * 3 * (np.arange(5) + 0.5) / 5)[:, None, None] * np.ones((5, 7, 1))
    np.testing.assert_allclose(
        differences_adjoint(differences(wave)), (2 - 2 * np.cos(3 * np.pi / 5)) * wave, atol=1e-12
    )


def test_shrink_is_the_nearest_point_that_pays_for_its_length():
    """min |w - t|^2 / 2 + threshold |w|: no nearby point is cheaper, per pixel."""
    rng = np.random.default_rng(1)
    steps = rng.standard_normal((2, 3, 4, 2))

    def price(w):
        lengths = np.sqrt(np.sum(w**2, axis=(0, -1)))
        return np.sum((w - steps) ** 2, axis=(0, -1)) / 2 + 1.5 * lengths

    shrunk = shrink(steps, 1.5)
    assert (shrunk == 0).any() and (shrunk != 0).any()
    for size in (1e-3, 0.1, 1.0):
        for _ in range(50):
            assert (price(shrunk) <= price(shrunk + size * rng.standard_normal(steps.shape))).all()


def test_smoothness_smooths_and_must_be_positive():
    pair = random_pair(0)
    lengths = [
        mean_length(hl.fuse(pair, "hysure", smoothness=s, progress=False).hr_hsi.astype(float))
        for s in (1e-3, 1e-1, 10.0)
    ]
    assert lengths[0] > lengths[1] > lengths[2]
    with pytest.raises(InputError, match="smoothness is 0: a positive number is needed"):
        hl.fuse(pair, "hysure", smoothness=0)


@pytest.mark.parametrize("snr_db", [20, 30])
def test_under_noise_it_does_better_than_a_map_and_its_residual(snr_db):
    """A regression cannot average over neighbours; the total variation does: at least 1 dB."""
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, 4, snr_db=snr_db, blind=False)
    errors = {
        method: psnr(scene.cube, hl.fuse(pair, method, progress=False).hr_hsi)
        for method in ("hysure", "regression_residual")
    }
    assert errors["hysure"] > errors["regression_residual"] + 1
