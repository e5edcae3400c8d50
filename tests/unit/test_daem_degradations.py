"""DAEM's explicit PSF and SRF: closed forms, published starts, and widths that stay above zero."""

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.daem.degradations import (
    KnownPSF,
    KnownSRF,
    LearnedPSF,
    LearnedSRF,
    as_arrays,
)
from hsisr_lite.degradation.psf import FWHM_TO_SIGMA, gaussian_psf, window_start


def lower_root(covariance):
    """Lower-triangular T with T^T T = the inverse of a covariance of (row, column).

    The Cholesky factor of the inverse gives L L^T, so it is taken with both axes reversed.
    """
    precision = np.linalg.inv(covariance)
    return np.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1].T.copy()


@pytest.mark.parametrize(("ratio", "size"), [(4, 4), (4, 8), (8, 16), (5, 7), (4, 7)])
@pytest.mark.parametrize(("elongation", "angle"), [(1.0, 0), (1.8, 0), (2.2, 35), (1.5, -60)])
def test_a_kernel_is_the_gaussian_of_its_precision(ratio, size, elongation, angle):
    """P = T^T T; float32 exponents up to a few tens, so 1e-6 of weights below one."""
    psf = gaussian_psf(ratio, fwhm=ratio, elongation=elongation, angle=angle, size=size)
    long, turned = ratio / FWHM_TO_SIGMA, np.deg2rad(angle)
    along = np.array([-np.sin(turned), np.cos(turned)])  # (row, column): angles turn up
    across = np.array([np.cos(turned), np.sin(turned)])
    short = long / elongation
    covariance = long**2 * np.outer(along, along) + short**2 * np.outer(across, across)
    root = lower_root(covariance)
    np.testing.assert_allclose(root.T @ root @ covariance, np.eye(2), atol=1e-10)
    assert root[0, 1] == 0
    centre = (ratio - 1) / 2 - window_start(ratio, size)
    learned = LearnedPSF(size, root=1.0, centre=centre, learn_centre=True)
    with torch.no_grad():
        learned.root.copy_(torch.from_numpy(root))
    np.testing.assert_allclose(learned.kernel().detach().numpy(), psf, atol=1e-6)


def test_the_upper_corner_of_the_root_counts_for_nothing():
    learned = LearnedPSF(5, root=0.7, centre=2, learn_centre=False)
    before = learned.kernel().detach()
    with torch.no_grad():
        learned.root[0, 1] = 9.0
    assert torch.equal(learned.kernel(), before)
    learned.kernel()[1, 3].backward()
    assert learned.root.grad[0, 1] == 0 and learned.root.grad[1, 0] != 0


@pytest.mark.parametrize("size", [4, 5, 8])
def test_the_published_start_is_a_single_pixel(size):
    """sd 0.2 pixels: a neighbour weighs exp(-12.5) = 4e-6 of the centre."""
    kernel = LearnedPSF(size, root=5.0, centre=size // 2, learn_centre=False).kernel()
    single = torch.zeros(size, size)
    single[size // 2, size // 2] = 1
    torch.testing.assert_close(kernel, single, atol=2e-5, rtol=0)


def test_the_centre_is_row_and_column_and_can_be_left_out_of_learning():
    free = LearnedPSF(6, root=1.0, centre=2.5, learn_centre=True)
    fixed = LearnedPSF(6, root=1.0, centre=3, learn_centre=False)
    assert {name for name, _ in free.named_parameters()} == {"root", "centre"}
    assert {name for name, _ in fixed.named_parameters()} == {"root"}
    assert {name for name, _ in fixed.named_buffers()} == {"centre"}
    with torch.no_grad():
        free.root.copy_(torch.tensor([[3.0, 0.0], [0.0, 3.0]]))
        free.centre.copy_(torch.tensor([1.0, 4.0]))
    assert free.kernel().argmax().item() == 1 * 6 + 4
    with torch.no_grad():  # a precision of 9 along rows and 0.01 along columns: a wide streak
        free.root.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.1]]))
    kernel = free.kernel().detach()
    assert kernel[1].sum() > 0.95 and kernel[:, 4].sum() < 0.3


@pytest.mark.parametrize("entry", [0.0, 1e3, -1e3])
def test_a_kernel_is_finite_whatever_its_root(entry):
    for centre in (1.5, -400.0, 400.0):
        psf = LearnedPSF(4, root=entry, centre=centre, learn_centre=True)
        kernel = psf.kernel()
        kernel.square().sum().backward()
        assert torch.isfinite(kernel).all() and kernel.min() >= 0
        assert kernel.sum().item() == pytest.approx(1, abs=1e-6)  # float32
        assert torch.isfinite(psf.root.grad).all() and torch.isfinite(psf.centre.grad).all()


def direct(gaussians, bands):
    """The formula, line by line in numpy: four Gaussians of equal weight, then the row's sum."""
    matrix = np.zeros((len(gaussians), bands))
    for row, four in zip(matrix, gaussians, strict=True):
        for mu, width in four:
            row += np.exp(-((np.arange(bands) - mu) ** 2) / (2 * (width**2 + 0.3**2)))
    return matrix / matrix.sum(axis=1, keepdims=True)


def test_responses_are_sums_of_gaussians():
    """Float32 against float64: 1e-6 of weights below one."""
    rng = np.random.default_rng(0)
    gaussians = np.stack([rng.uniform(0, 30, (5, 4)), rng.uniform(0.5, 6, (5, 4))], axis=-1)
    srf = LearnedSRF(torch.from_numpy(gaussians).float(), 31)
    np.testing.assert_allclose(srf.matrix().detach().numpy(), direct(gaussians, 31), atol=1e-6)
    widths = np.sqrt(gaussians[..., 1] ** 2 + 0.3**2)
    np.testing.assert_allclose(srf.widths().detach().numpy(), widths, rtol=1e-6)


def test_the_start_that_was_given_is_left_alone():
    start = torch.ones(1, 4, 2)
    srf = LearnedSRF(start, 5)
    with torch.no_grad():
        srf.gaussians.add_(1)
    assert torch.equal(start, torch.ones(1, 4, 2))


@pytest.mark.parametrize("width", [0.0, -0.0, 1e-30, -1e-30, -2.0, 1e-6])
@pytest.mark.parametrize("centre", [0.0, 3.5, -1000.0, 1e5])
def test_a_width_of_zero_leaves_rows_and_gradients_finite(width, centre):
    start = torch.tensor([centre, width]).repeat(2, 4, 1)
    srf = LearnedSRF(start, 9)
    matrix = srf.matrix()
    assert torch.isfinite(matrix).all() and matrix.min() >= 0
    torch.testing.assert_close(matrix.sum(-1), torch.ones(2))
    assert srf.widths().min() >= 0.3 - 1e-7  # float32
    (matrix @ torch.linspace(0, 1, 9)).sum().backward()
    assert torch.isfinite(srf.gaussians.grad).all()


@pytest.mark.parametrize("rate", [0.01, 0.3, 3.0])
def test_widths_cannot_reach_zero_however_hard_one_pulls(rate):
    """A target narrower than a band pulls every width to zero, and past it."""
    torch.manual_seed(0)
    srf = LearnedSRF(torch.tensor([4.0, 1.0]).repeat(1, 4, 1) + 0.01 * torch.randn(1, 4, 2), 9)
    optimiser = torch.optim.Adam(srf.parameters(), lr=rate)
    for _ in range(300):
        optimiser.zero_grad()
        loss = -srf.matrix()[0, 4].log() + srf.widths().square().sum()
        loss.backward()
        assert torch.isfinite(srf.gaussians.grad).all()
        optimiser.step()
        matrix = srf.matrix()
        assert torch.isfinite(matrix).all() and srf.widths().min() >= 0.3 - 1e-7  # float32
        assert matrix.sum().item() == pytest.approx(1, abs=1e-6)
    if rate < 1:
        assert srf.widths().max() < 0.5  # the pull was real
        assert matrix[0, 4] > 0.9


def test_the_published_form_is_not_finite_there():
    """Why the floor: 0 / 0 without it."""
    at = torch.arange(5.0)
    row = torch.exp(-((at - 2.5) ** 2) / (2 * torch.tensor(1e-30) ** 2))
    assert torch.isnan(row / row.sum()).any()


def test_what_is_known_has_no_parameters_and_comes_back_as_the_pair_has_it():
    pair = hl.simulate(hl.load_scene("synthetic"), blind=False)
    known = KnownPSF(pair.psf), KnownSRF(pair.srf)
    assert [list(module.parameters()) for module in known] == [[], []]
    psf, srf = as_arrays(pair, *known)
    assert psf is pair.psf and srf is pair.srf


def test_what_was_learned_comes_back_in_float64_and_sums_to_one():
    pair = hl.simulate(hl.load_scene("synthetic"), blind=True)
    psf, srf = as_arrays(
        pair,
        LearnedPSF(5, root=0.7, centre=2.1, learn_centre=True),
        LearnedSRF(torch.rand(3, 4, 2), 20),
    )
    assert psf.dtype == srf.dtype == np.float64
    # sums of at most 25 float64 numbers, normalised
    assert abs(psf.sum() - 1) < 1e-14 and np.abs(srf.sum(axis=1) - 1).max() < 1e-14
