"""SCOTT: exact where a Tucker model is exact, sane where it is not, and clear about its ranks."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.scott import solve_core
from hsisr_lite.baselines.tensors import (
    conjugate_gradients,
    expand,
    fit_spectra,
    leading,
    marginals,
    sylvester,
)
from hsisr_lite.baselines.visible_spectra import visible_spectra
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.simulate import simulate
from hsisr_lite.methods import fuse
from hsisr_lite.metrics import psnr
from hsisr_lite.scenes.synthetic import synthetic_scene

WIDE = {"size": 10, "fwhm": 5, "phase": "pixel"}
TILTED = {"size": 8, "fwhm": 5, "elongation": 2, "angle": 30}


def tucker_cube(rng, shape, ranks):
    """A random cube of exact multilinear ranks."""
    rows, cols, spectra = (
        np.linalg.qr(rng.standard_normal((size, rank)))[0]
        for size, rank in zip(shape, ranks, strict=True)
    )
    return expand(rng.standard_normal(ranks), rows, cols) @ spectra.T


def observed(cube, ratio, msi_bands, psf, seed=0):
    srf = np.random.default_rng(seed).random((msi_bands, cube.shape[2]))
    srf /= srf.sum(axis=1, keepdims=True)
    return ObservedPair(
        SpatialOperator(psf, ratio).A(cube),
        SpectralOperator(srf).A(cube),
        ratio,
        400 + 10.0 * np.arange(cube.shape[2]),
        psf=psf,
        srf=srf,
    )


def recovery(cube, found):
    """Signal over error in decibels, over the whole cube."""
    return 10 * np.log10(np.sum(cube**2) / np.sum((cube - found) ** 2))


@pytest.mark.filterwarnings("ignore:.*are negative")  # a random Tucker cube has either sign
@pytest.mark.parametrize("psf", [{}, WIDE, TILTED], ids=["block", "wide", "tilted"])
@pytest.mark.parametrize(
    ("shape", "ranks", "ratio", "msi_bands"),
    [
        ((24, 24, 20), (24, 24, 3), 4, 6),  # few spectra, full in space
        ((24, 32, 20), (20, 15, 5), 8, 7),
        ((30, 24, 20), (30, 24, 2), 3, 3),
        ((24, 36, 20), (4, 6, 9), 4, 6),  # more spectra than MSI bands, coarse in space
        ((24, 32, 12), (2, 3, 10), 8, 3),
        ((36, 28, 18), (5, 4, 7), 4, 4),
    ],
)
def test_an_exact_tucker_cube_is_recovered(shape, ranks, ratio, msi_bands, psf):
    """Both regions of identifiability; a float32 pair leaves 144 dB, less the condition's share."""
    cube = tucker_cube(np.random.default_rng(4), shape, ranks)
    pair = observed(cube, ratio, msi_bands, gaussian_psf(ratio, **psf))
    assert recovery(cube, fuse(pair, "scott", ranks=ranks).hr_hsi) > 100


def test_the_default_finds_the_ranks_of_a_cube_that_the_msi_resolves():
    rng = np.random.default_rng(1)
    cube = rng.random((24, 28, 3)) @ rng.random((3, 16))
    result = fuse(observed(cube, 4, 6, gaussian_psf(4)), "scott")
    assert recovery(cube, result.hr_hsi) > 100  # as above


def test_the_core_solves_the_whole_least_squares_problem():
    """Against a dense solve of all equations at once, with a PSF that is no column times row."""
    rng = np.random.default_rng(2)
    cube = rng.random((8, 12, 7))
    pair = observed(cube, 4, 3, gaussian_psf(4, **TILTED))
    lr_hsi, hr_msi, operator, srf, _ = prepare(pair)
    rows, cols = leading(hr_msi, 0, 5), leading(hr_msi, 1, 6)
    spectra = leading(lr_hsi, 2, 2).T
    core, *turned = solve_core(lr_hsi, hr_msi, operator, srf, rows, cols, spectra)
    space = np.kron(rows, cols)  # (pixels, 30): what the core becomes, row by row
    seen_low = np.kron(operator.matrix(8, 12) @ space, spectra.T)
    seen_high = np.kron(space, srf @ spectra.T)
    equations = np.vstack([seen_low, seen_high])  # (observations, 60)
    wanted = np.linalg.lstsq(equations, np.concatenate([lr_hsi.ravel(), hr_msi.ravel()]))[0]
    # conjugate gradients stop at 1e-12 of the right side; the condition is below 1e4
    np.testing.assert_allclose(
        expand(core, *turned[:2]) @ turned[2].T,
        (np.kron(space, spectra.T) @ wanted).reshape(8, 12, 7),  # (rows, cols, bands)
        atol=1e-8,
    )


@pytest.mark.parametrize("psf", [{}, WIDE], ids=["block", "wide"])
def test_for_a_separable_psf_the_division_is_the_solution(psf, monkeypatch):
    """Without one step of conjugate gradients; float64, conditions below 1e5."""
    pair = observed(np.random.default_rng(2).random((16, 20, 9)), 4, 4, gaussian_psf(4, **psf))
    refined = fuse(pair, "scott").hr_hsi
    monkeypatch.setattr(
        "hsisr_lite.baselines.scott.conjugate_gradients",
        lambda normal, right, ready, start, steps: start,
    )
    np.testing.assert_allclose(fuse(pair, "scott").hr_hsi, refined, atol=1e-6)  # float32 result


def test_mode_products_are_those_of_tensorly():
    tucker = pytest.importorskip("tensorly.tucker_tensor")
    rng = np.random.default_rng(3)
    core, rows, cols = rng.random((2, 3, 4)), rng.random((5, 2)), rng.random((6, 3))
    spectra = rng.random((7, 4))
    theirs = tucker.tucker_to_tensor((core, [rows, cols, spectra]))
    np.testing.assert_allclose(expand(core, rows, cols) @ spectra.T, theirs, rtol=1e-12)


@pytest.mark.parametrize("psf", [{}, WIDE, {"size": 3}], ids=["block", "wide", "narrow"])
def test_a_separable_operator_is_the_product_of_its_marginals(psf):
    operator = SpatialOperator(gaussian_psf(4, **psf), 4)
    along_rows, along_cols, exact = marginals(operator, 12, 20)
    assert exact
    np.testing.assert_allclose(
        np.kron(along_rows, along_cols), operator.matrix(12, 20).toarray(), atol=1e-15
    )
    assert not marginals(SpatialOperator(gaussian_psf(4, **TILTED), 4), 12, 20)[2]


def test_the_sylvester_solution_satisfies_its_equation():
    rng = np.random.default_rng(5)
    left, inner, outer = (m @ m.T for m in map(rng.standard_normal, [(6, 2), (4, 3), (4, 9)]))
    right = rng.standard_normal((6, 4))
    found = sylvester(np.linalg.eigh(left), inner, outer, right)
    # float64 and conditions of a few hundred
    np.testing.assert_allclose(left @ found @ inner + found @ outer, right, atol=1e-11)


def test_spectra_are_those_of_one_dense_least_squares_problem():
    rng = np.random.default_rng(6)
    srf, coarse, fine = rng.random((2, 5)), rng.random((2, 2, 3)), rng.random((4, 4, 3))
    lr_hsi, hr_msi, goal = rng.random((2, 2, 5)), rng.random((4, 4, 2)), rng.random((5, 3))
    low, high = coarse.reshape(4, 3), fine.reshape(16, 3)  # (pixels, rank)
    ridge = 0.1
    equations = np.vstack(
        [np.kron(low, np.eye(5)), np.kron(high, srf), np.sqrt(ridge) * np.eye(15)]
    )
    targets = [lr_hsi.ravel(), hr_msi.ravel(), np.sqrt(ridge) * goal.T.ravel()]
    wanted = np.linalg.lstsq(equations, np.concatenate(targets))[0].reshape(3, 5).T  # (bands, rank)
    found = fit_spectra(lr_hsi, hr_msi, srf, coarse, fine, ridge=ridge, towards=goal)
    np.testing.assert_allclose(found, wanted, atol=1e-10)  # float64, well conditioned


def test_conjugate_gradients_never_raise_the_quadratic_and_end_at_its_minimum():
    rng = np.random.default_rng(7)
    matrix = rng.standard_normal((8, 8))
    matrix = matrix @ matrix.T + np.eye(8)
    right, ready = rng.standard_normal(8), np.diag(1 / np.diag(matrix))
    start, values = rng.standard_normal(8), []
    for steps in range(9):
        x = conjugate_gradients(
            lambda x: matrix @ x, right, lambda r: ready @ r, start, steps=steps
        )
        values.append(x @ matrix @ x / 2 - right @ x)
    assert np.diff(values).max() <= 0
    np.testing.assert_allclose(x, np.linalg.solve(matrix, right), atol=1e-8)  # 8 steps, 8 unknowns


def test_spectra_that_the_msi_hardly_sees_are_left_out():
    """A strong pattern moves no MSI band: the chosen spectra lose less than the strongest ones."""
    rng = np.random.default_rng(8)
    patterns = np.linalg.qr(rng.standard_normal((12, 5)))[0].T
    srf = np.abs(patterns[1:]) @ np.eye(12)
    srf /= srf.sum(axis=1, keepdims=True)
    unseen = np.linalg.svd(srf)[2][-1]
    seen = rng.random((16, 16, 4)) @ (0.1 * patterns[1:])
    cube = 1 + seen + 0.5 * rng.random((16, 16, 1)) * unseen
    pair = ObservedPair(
        SpatialOperator(gaussian_psf(4), 4).A(cube), cube @ srf.T, 4, 400 + np.arange(12.0),
        psf=gaussian_psf(4), srf=srf,
    )  # fmt: skip
    chosen = visible_spectra(pair, pair.lr_hsi.astype(float), SpatialOperator(pair.psf, 4), srf)
    y = pair.lr_hsi.reshape(-1, 12)  # (low-resolution pixels, bands)

    def loss(spectra):
        return np.sum((y - y @ srf.T @ np.linalg.pinv(spectra @ srf.T) @ spectra) ** 2)

    # No mix of MSI values does better than least squares from them to all bands.
    best = y - y @ srf.T @ np.linalg.lstsq(y @ srf.T, y)[0]
    assert loss(chosen) <= np.sum(best**2) * (1 + 1e-6) + 1e-9 * np.sum(y**2)
    assert loss(chosen) < 0.25 * min(loss(leading(pair.lr_hsi, 2, k).T) for k in (2, 3))
    np.testing.assert_allclose(chosen @ chosen.T, np.eye(len(chosen)), atol=1e-6)  # float32 image


@pytest.mark.parametrize(
    "ranks",
    [
        (24, 24, 6),  # as many spectra as MSI bands, full in space: on the boundary
        (24, 24, 7),  # more: undetermined
        (6, 4, 8),  # as many rows as the LrHSI
        (4, 6, 8),  # as many columns
        (5, 7, 6),
        (25, 24, 3),  # more rows than the image
        (4, 4, 21),  # more spectra than bands
        (4, 4),
        (4, 4, 0),
        (4.5, 4, 3),
        "abc",
    ],
)
def test_ranks_that_do_not_fit_are_refused_with_a_sentence(ranks):
    cube = np.random.default_rng(9).random((24, 24, 20))
    pair = observed(cube, 4, 6, gaussian_psf(4))
    with pytest.raises(InputError, match=r"(?s)ranks .*(needed|possible).*(try|choose|leave)"):
        fuse(pair, "scott", ranks=ranks)


@pytest.mark.parametrize("msi_bands", [1, 2, 3])
def test_the_boundary_is_refused_with_few_bands_too(msi_bands):
    pair = observed(np.random.default_rng(9).random((24, 24, 20)), 4, msi_bands, gaussian_psf(4))
    with pytest.raises(InputError, match=f"fewer spectra than the {msi_bands} MSI bands"):
        fuse(pair, "scott", ranks=(24, 24, msi_bands))


@pytest.mark.parametrize("ranks", [(5, 5, 8), (24, 24, 5), (6, 24, 5), (5, 5, 6), (1, 1, 1)])
def test_ranks_beside_the_boundary_are_accepted(ranks):
    cube = np.random.default_rng(9).random((24, 24, 20))
    result = fuse(observed(cube, 4, 6, gaussian_psf(4)), "scott", ranks=ranks)
    assert np.isfinite(result.hr_hsi).all()


@pytest.mark.parametrize(("snr_db", "gain"), [(None, 8), (30, 1)])
def test_better_than_bicubic_with_and_without_noise(snr_db, gain):
    scene = synthetic_scene()
    pair = simulate(scene, 4, snr_db=snr_db, blind=False)
    found, floor = (psnr(scene.cube, fuse(pair, m).hr_hsi) for m in ("scott", "bicubic"))
    assert found > floor + gain


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_an_msi_of_few_bands_beats_bicubic(bands):
    """Materials that differ in what even one band sees; three bands may keep three spectra."""
    rng = np.random.default_rng(10)
    cube = 0.1 + rng.random((24, 24, bands)) @ rng.random((bands, 16))
    pair = observed(cube, 4, bands, gaussian_psf(4))
    found, floor = (psnr(cube, fuse(pair, m).hr_hsi) for m in ("scott", "bicubic"))
    assert found > floor
