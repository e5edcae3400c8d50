"""FUSE: the closed form is the minimum, whatever the PSF."""

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import upsample
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.subspace_model import LARGEST_RANK, missing_detail, subspace_model
from hsisr_lite.baselines.sylvester import most_probable, sylvester_solver
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.metrics import psnr

PSFS = {
    "its own block": hl.gaussian_psf(3),
    "wide": hl.gaussian_psf(3, fwhm=4, size=7),
    "wide and tilted": hl.gaussian_psf(3, fwhm=5, elongation=2, angle=30, size=6),
    "one pixel": np.ones((1, 1)),
}


def random_pair(seed, psf, *, rows=12, cols=15, bands=20, msi_bands=4, noise=0.01, dimensions=6):
    """A pair made of random spectra, seen with noise that both images share in size."""
    rng = np.random.default_rng(seed)
    cube = rng.random((rows, cols, dimensions)) @ rng.random((dimensions, bands)) / dimensions
    srf = rng.random((msi_bands, bands))
    srf /= srf.sum(axis=1, keepdims=True)
    images = SpatialOperator(psf, 3).A(cube), SpectralOperator(srf).A(cube)
    images = [image + noise * rng.standard_normal(image.shape) for image in images]
    wavelengths = 400 + 10.0 * np.arange(bands)
    pair = hl.ObservedPair(*images, 3, wavelengths, psf=psf, srf=srf, noise=(noise, noise))
    return cube, pair


def objective(u, inputs, model, mean, variance):
    """That of the docstring of `fuse`, as a torch number of a (pixels, rank) tensor."""
    rows, cols, _ = inputs.hr_msi.shape
    p = torch.from_numpy(inputs.operator.matrix(rows, cols).toarray())
    y, z, mean = (torch.from_numpy(image).flatten(0, 1) for image in (*inputs[:2], mean))
    image = u @ torch.from_numpy(model.basis)
    parts = (
        (y - p @ image, model.hsi_variance),
        (z - image @ torch.from_numpy(inputs.srf.T), model.msi_variance),
        (u - mean, variance),
    )
    return sum((rest**2 / torch.from_numpy(size)).sum() for rest, size in parts)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("psf", PSFS.values(), ids=PSFS)
def test_the_gradient_vanishes_at_the_closed_form(psf, noise):
    """By automatic differentiation of the objective as written; float64 leaves 1e-10 of it."""
    for seed in range(4):
        _, pair = random_pair(seed, psf, noise=noise)
        inputs = prepare(pair)
        model = subspace_model(pair, inputs, rank=5)
        rng = np.random.default_rng(seed)
        mean, variance = rng.standard_normal((12, 15, 5)), 0.01 + rng.random(5)
        norms = []
        for point in (mean, most_probable(inputs, model, mean, variance)):
            u = torch.from_numpy(point).flatten(0, 1).requires_grad_()
            objective(u, inputs, model, mean, variance).backward()
            norms.append(u.grad.norm())
        assert norms[1] < 1e-10 * norms[0]


@pytest.mark.parametrize("psf", PSFS.values(), ids=PSFS)
def test_the_solver_agrees_with_the_whole_system_written_out(psf):
    """(G kron P* P + H kron I) vec(U) = vec(C), by dense elimination; condition about 1e3."""
    rng = np.random.default_rng(0)
    p = SpatialOperator(psf, 3).matrix(6, 9)
    g, h = (a @ a.T + 0.1 * np.eye(4) for a in rng.standard_normal((2, 4, 4)))
    c = rng.standard_normal((54, 4))
    system = np.kron(g, (p.T @ p).toarray()) + np.kron(h, np.eye(54))
    wanted = np.linalg.solve(system, c.T.ravel()).reshape(4, 54).T  # (pixels, rank)
    np.testing.assert_allclose(sylvester_solver(p, g, h)(c), wanted, rtol=1e-9, atol=1e-9)


def test_what_the_msi_sees_whole_is_recovered():
    """Three kinds of spectra, six bands: Z decides alone, but for a trust that ends at 1e-4."""
    cube, pair = random_pair(0, PSFS["wide and tilted"], dimensions=3, noise=0.0, msi_bands=6)
    assert psnr(cube, hl.fuse(pair, "fuse").hr_hsi) > 60


def test_the_subspace_leaves_out_what_is_noise():
    """Six dimensions rise above the noise; without noise they are still no more than six."""
    for noise in (0.0, 1e-4):
        _, pair = random_pair(1, PSFS["wide"], rows=60, cols=60, bands=40, noise=noise)
        assert len(subspace_model(pair, prepare(pair), None).basis) == 6
    _, pair = random_pair(1, PSFS["wide"], rows=60, cols=60, bands=40, dimensions=30, noise=0.0)
    assert len(subspace_model(pair, prepare(pair), None).basis) == LARGEST_RANK


def test_noise_alone_has_no_second_dimension():
    """The edge of the singular values of pure noise; chance exceeds it by a percent at most."""
    rng = np.random.default_rng(3)
    for seed in range(5):
        _, pair = random_pair(seed, PSFS["wide"], rows=60, cols=60, dimensions=1, noise=0.02)
        y = pair.lr_hsi * 0 + 0.5 + 0.02 * rng.standard_normal(pair.lr_hsi.shape)
        pair = hl.ObservedPair(
            y, pair.hr_msi, 3, pair.wavelengths, psf=pair.psf, srf=pair.srf, noise=(0.0202, 0.02)
        )
        assert len(subspace_model(pair, prepare(pair), None).basis) == 1


def test_missing_detail_finds_the_variance_of_a_fractal():
    """An image whose detail is the same share of it at both scales: within a factor of two."""
    rng = np.random.default_rng(0)
    for strength in (1.0, 3.0):
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96)))[..., None]
        waves = np.fft.fft2(rng.standard_normal((96, 96, 3)), axes=(0, 1))
        waves = waves / np.maximum(frequency, 1 / 96)
        images = np.fft.ifft2(waves, axes=(0, 1)).real * np.array([strength, 0.5, 0.1]) / 100
        images += 1
        psf = hl.gaussian_psf(4)
        low = SpatialOperator(psf, 4).A(images)
        pair = hl.ObservedPair(low, images, 4, [500.0, 600, 700], psf=psf, srf=np.eye(3))
        true = np.mean((images - upsample(low, 4)) ** 2, axis=(0, 1))
        ratio = missing_detail(prepare(pair), low) / true
        assert (ratio > 0.5).all() and (ratio < 2).all()


@pytest.mark.parametrize(("bands", "gain"), [(8, 5), (3, 1.5)])
def test_it_stays_useful_under_noise(bands, gain):
    """At 30 dB, decibels above the enlarged LrHSI: three visible bands tell little of 2400 nm."""
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, 4, snr_db=30, blind=False)
    pair = hl.ObservedPair(
        pair.lr_hsi, pair.hr_msi[..., :bands], 4, scene.wavelengths, pair.psf, pair.srf[:bands]
    )
    floor = psnr(scene.cube, hl.fuse(pair, "bicubic").hr_hsi)
    assert psnr(scene.cube, hl.fuse(pair, "fuse").hr_hsi) > floor + gain


def test_units_do_not_matter():
    """A pair in other units gives the image in those units: float32 rounds to 1e-6 of it."""
    _, pair = random_pair(2, PSFS["wide"], noise=0.0)
    scaled = hl.ObservedPair(
        3000 * pair.lr_hsi, 3000 * pair.hr_msi, 3, pair.wavelengths, psf=pair.psf, srf=pair.srf
    )
    pair = hl.ObservedPair(
        pair.lr_hsi, pair.hr_msi, 3, pair.wavelengths, psf=pair.psf, srf=pair.srf
    )
    for method in ("fuse", "hysure"):
        answers = [hl.fuse(given, method, progress=False).hr_hsi for given in (pair, scaled)]
        np.testing.assert_allclose(answers[1] / 3000, answers[0], atol=1e-4 * answers[0].max())


def test_a_rank_that_is_not_there_is_refused():
    _, pair = random_pair(0, PSFS["wide"])
    with pytest.raises(InputError, match="rank is 21: a whole number from 1 to 20 is needed"):
        hl.fuse(pair, "fuse", rank=21)
    assert hl.fuse(pair, "fuse", rank=3).notes == ["spectra in a subspace of 3 dimensions."]
