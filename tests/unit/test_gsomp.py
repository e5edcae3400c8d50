"""G-SOMP+: what its dictionary and its shared choice promise, and what the whole recovers."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import bicubic
from hsisr_lite.baselines.dictionary import learn_dictionary, widen
from hsisr_lite.baselines.gsomp import gsomp, shared_amounts
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


@pytest.mark.parametrize("seed", range(3))
def test_mixtures_of_few_pure_spectra_are_recovered_exactly(seed):
    """Five spectra, each pure in some LrHSI pixel, six MSI bands: one answer fits, and is found."""
    rng = np.random.default_rng(seed)
    spectra = 0.05 + rng.random((5, 20))
    amounts = rng.random((24, 32, 5)) * (rng.random((24, 32, 5)) < 0.5)
    for material in range(5):
        amounts[:4, 4 * material : 4 * material + 4] = np.eye(5)[material]
    cube = amounts @ spectra
    fused = gsomp(observed(cube, random_srf(rng, 6, 20)), Run()).hr_hsi
    # The pair is float32: 1e-7 of rounding, times the condition of five spectra in six bands.
    assert psnr(cube, fused) > 70


def test_a_patch_shares_its_atoms_and_finds_those_it_was_made_of():
    rng = np.random.default_rng(0)
    atoms = np.abs(rng.standard_normal((40, 12)))
    truth = np.zeros((64, 40))
    truth[:, [3, 17, 29]] = 0.2 + rng.random((64, 3))
    amounts, norms = shared_amounts(truth @ atoms, atoms, picks=3, stop=0.99)
    # More atoms than needed are chosen on the way; exact arithmetic leaves them at zero.
    np.testing.assert_allclose(amounts, truth, atol=1e-6)
    assert norms[-1] < 1e-6 * norms[0]


@pytest.mark.parametrize("picks", [1, 4, 100])
@pytest.mark.parametrize("seed", range(5))
def test_the_residual_never_rises_and_ends_where_no_choice_could_lower_it(seed, picks):
    """Pixels outside the cone of the atoms; the end is the optimum over the whole dictionary."""
    rng = np.random.default_rng(seed)
    atoms, pixels = rng.random((30, 6)), rng.standard_normal((16, 6)) + 0.5
    amounts, norms = shared_amounts(pixels, atoms, picks, stop=1.0)
    assert (np.diff(norms) <= 1e-9 * norms[0]).all() and (amounts >= 0).all()
    assert np.linalg.norm(pixels - amounts @ atoms) == pytest.approx(norms[-1], rel=1e-12)
    best = sum(2 * lsq_linear(atoms.T, pixel, (0, np.inf), tol=1e-12).cost for pixel in pixels)
    # A round that lowers nothing ends the choice early; pickings of one do so at an optimum only.
    assert norms[-1] ** 2 <= best * (1 + 1e-6)


def test_one_pick_is_the_atom_that_lowers_the_residual_most():
    """Against trying every atom by itself."""
    rng = np.random.default_rng(1)
    atoms, pixels = 3 * rng.random((25, 5)), rng.standard_normal((9, 5)) + 0.3
    amounts, _ = shared_amounts(pixels, atoms, picks=1, stop=1e-9)  # one round
    alone = [
        np.sum((pixels - np.maximum(pixels @ atom, 0)[:, None] / (atom @ atom) * atom) ** 2)
        for atom in atoms
    ]
    np.testing.assert_array_equal(np.flatnonzero(amounts.any(axis=0)), [np.argmin(alone)])


def test_the_dictionary_is_non_negative_of_unit_norm_and_explains_its_pixels():
    rng = np.random.default_rng(2)
    kinds = rng.random((6, 15))
    pixels = kinds[rng.integers(0, 6, 300)] * (0.1 + rng.random((300, 1)))
    atoms = learn_dictionary(pixels, 6)
    assert (atoms >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, rtol=1e-12)
    wanted = kinds / np.linalg.norm(kinds, axis=1, keepdims=True)
    # Six directions, six atoms: every pixel is a multiple of one, so the fit is exact.
    np.testing.assert_allclose((wanted @ atoms.T).max(axis=1), 1, atol=1e-12)
    wide = widen(atoms, pixels.mean(axis=0), 2.0)
    assert (wide >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(wide, axis=1), 1, rtol=1e-12)


def test_learning_averages_noise_away():
    """Atoms of noisy pixels lie closer to the clean directions than the pixels themselves do."""
    rng = np.random.default_rng(3)
    kinds = 0.2 + rng.random((4, 30))
    clean = kinds[rng.integers(0, 4, 400)]
    noisy = clean + 0.05 * rng.standard_normal(clean.shape)
    directions = kinds / np.linalg.norm(kinds, axis=1, keepdims=True)
    far = {
        name: np.mean(1 - (spectra @ directions.T).max(axis=1))
        for name, spectra in (
            ("atoms", learn_dictionary(noisy, 8)),
            ("pixels", noisy / np.linalg.norm(noisy, axis=1, keepdims=True)),
        )
    }
    dark = learn_dictionary(noisy - 0.3, 8)  # noise below zero must not make atoms negative
    assert (noisy - 0.3 < 0).any() and (dark >= 0).all()
    # Some fifty pixels an atom; a quarter of the error power would already show averaging.
    assert far["atoms"] < 0.5 * far["pixels"]


@pytest.mark.parametrize("snr_db", [None, 30])
def test_it_beats_interpolation_on_the_embedded_scene(snr_db):
    scene = synthetic_scene()
    pair = simulate(scene, 8, snr_db=snr_db, blind=False)
    gain = psnr(scene.cube, gsomp(pair, Run()).hr_hsi) - psnr(
        scene.cube, bicubic(pair, Run()).hr_hsi
    )
    assert gain > 6  # 10 measured; interpolation knows nothing of the MSI


@pytest.mark.parametrize("kind", ["two pixels", "constant", "zero pixels", "negative", "few bands"])
def test_odd_pairs_are_answered(kind):
    rng = np.random.default_rng(4)
    cube = 0.1 + rng.random((4, 8, 9)) if kind == "two pixels" else 0.1 + rng.random((16, 16, 9))
    if kind == "constant":
        cube[:] = 0.4
    if kind == "zero pixels":
        cube[:8] = 0
    if kind == "negative":
        cube[0, :, :2] = -0.05
    srf = random_srf(rng, 9 if kind == "few bands" else 3, 9)
    fused = gsomp(observed(cube, srf), Run()).hr_hsi
    assert np.isfinite(fused).all()
    if kind == "constant":  # float32
        np.testing.assert_allclose(fused, 0.4, rtol=1e-5)


def test_the_same_seed_gives_the_same_image_and_settings_out_of_range_are_refused():
    rng = np.random.default_rng(5)
    pair = observed(0.1 + rng.random((16, 16, 9)), random_srf(rng, 3, 9))
    np.testing.assert_array_equal(gsomp(pair, Run()).hr_hsi, gsomp(pair, Run()).hr_hsi)
    with pytest.raises(InputError, match="atoms is 17: a whole number from 1 to 16"):
        gsomp(pair, Run(), atoms=17)
    with pytest.raises(InputError, match="stop is 0"):
        gsomp(pair, Run(), stop=0)
