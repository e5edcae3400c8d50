"""DAEM's losses: what they are, what they are zero for, and whom their gradients reach."""

import numpy as np
import pytest
import torch

from hsisr_lite.daem import losses, published
from hsisr_lite.daem.autoencoder import AbundanceEncoder, Autoencoder, SpectralDecoder
from hsisr_lite.daem.degradations import KnownPSF, KnownSRF, LearnedPSF, LearnedSRF
from hsisr_lite.daem.losses import blur, cross_loss, l1, phi_loss, regenerated_loss, theta_loss
from hsisr_lite.daem.published import PublishedModel, step_loss
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.degradation.psf import gaussian_psf


def observed(seed=0, pixels=12, ratio=3, bands=7, msi_bands=3):
    """A scene in blocks, its PSF and SRF, and what both cameras see of it."""
    torch.manual_seed(seed)
    kernel = torch.rand(ratio * ratio).softmax(0)
    srf = torch.rand(msi_bands, bands).softmax(-1)
    truth = torch.rand(pixels, ratio * ratio, bands)
    return truth, kernel, srf, (truth * kernel[:, None]).sum(1), truth @ srf.T


def test_losses_are_means_over_every_entry():
    a, b = torch.zeros(4, 5), torch.zeros(4, 5)
    b[1, 2] = -3.0
    assert l1(a, b).item() == pytest.approx(3 / 20)
    assert phi_loss(a, b).item() == pytest.approx(1.5 / 20)


def test_a_blur_of_blocks_is_the_spatial_operator():
    rng = np.random.default_rng(0)
    image, psf = rng.random((6, 9, 2)), gaussian_psf(3, elongation=1.5, angle=20)
    blocks = image.reshape(2, 3, 3, 3, 2).swapaxes(1, 2).reshape(6, 9, 2)
    low = blur(torch.from_numpy(blocks), torch.from_numpy(psf.ravel())).numpy()
    np.testing.assert_allclose(low.reshape(2, 3, 2), SpatialOperator(psf, 3).A(image), atol=1e-14)


def test_the_cross_term_is_zero_at_the_truth_and_nowhere_near_it():
    """Zero up to float32 rounding of sums of a few values below one: 1e-6."""
    _, kernel, srf, lr_hsi, hr_msi = observed()
    assert cross_loss(lr_hsi, blur(hr_msi, kernel), srf).item() < 1e-6
    for seed in range(20):
        torch.manual_seed(100 + seed)
        other = (kernel.log() + torch.randn_like(kernel)).softmax(0)
        mix = (srf.log() + torch.randn_like(srf)).softmax(-1)
        assert cross_loss(lr_hsi, blur(hr_msi, other), srf).item() > 1e-3
        assert cross_loss(lr_hsi, blur(hr_msi, kernel), mix).item() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(10))
def test_the_published_third_term_is_identically_zero(seed, dtype):
    """For random P, S and X, and so is its gradient. What is left is rounding: each of the two
    sums has some 60 products of at most 10, so 100 epsilons of 10 bound it; the loss is the mean of
    their differences' signs times values, whose gradient is bounded by the same.
    """
    torch.manual_seed(seed)
    kernel = torch.randn(9, dtype=dtype).softmax(0).requires_grad_()
    srf = torch.randn(3, 7, dtype=dtype).softmax(-1).requires_grad_()
    image = 10 * torch.rand(12, 9, 7, dtype=dtype)
    blurred, mixed = blur(image, kernel), image @ srf.T
    rounding = 100 * torch.finfo(dtype).eps * 10
    loss = regenerated_loss(blurred, mixed, kernel, srf)
    assert loss.item() < rounding
    # Its gradient: of a sign that rounding decides, times (P x) S^T - P (x S^T), differentiated.
    # At random signs w, d/dk and d/dS of w . difference vanish; taken here for w = ones.
    ones = (blurred @ srf.T - blur(mixed, kernel)).sum()
    for gradient in torch.autograd.grad(ones, (kernel, srf)):
        assert gradient.abs().max() < 12 * 3 * rounding  # summed over 12 pixels of 3 bands
    loss = regenerated_loss(blur(image, kernel), image @ srf.T, kernel, srf)
    for gradient in torch.autograd.grad(loss, (kernel, srf)):
        assert gradient.abs().max() < 12 * rounding


def test_the_cross_term_has_a_gradient_where_the_published_one_has_none():
    _, kernel, srf, lr_hsi, hr_msi = observed()
    wrong = (kernel.log() + torch.randn(9)).softmax(0).requires_grad_()
    gradient = torch.autograd.grad(cross_loss(lr_hsi, blur(hr_msi, wrong), srf), wrong)[0]
    assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize("third", ["regenerated", "cross"])
def test_thetas_loss_has_the_published_weights(third):
    """1/2, 1/5 and 1/5, by numpy in float64: 1e-6 for float32."""
    fused, _, _, lr_hsi, hr_msi = observed()
    torch.manual_seed(7)
    kernel, srf = torch.rand(9).softmax(0), torch.rand(3, 7).softmax(-1)
    x, k, s, y, z = (t.double().numpy() for t in (fused, kernel, srf, lr_hsi, hr_msi))
    px, pz = np.einsum("nkb,k->nb", x, k), np.einsum("nkm,k->nm", z, k)
    expected = 0.5 * np.abs(y - px).mean() + 0.2 * np.abs(z - x @ s.T).mean()
    if third == "cross":
        expected += 0.2 * np.abs(y @ s.T - pz).mean()
    found = theta_loss(lr_hsi, hr_msi, fused, kernel, srf, third=third).item()
    assert found == pytest.approx(expected, abs=1e-6)


def test_thetas_loss_is_zero_at_the_truth():
    truth, kernel, srf, lr_hsi, hr_msi = observed()
    for third in ("regenerated", "cross"):
        assert theta_loss(lr_hsi, hr_msi, truth, kernel, srf, third=third).item() < 1e-6  # float32


@pytest.mark.parametrize("third", ["regenerated", "cross"])
def test_thetas_loss_gives_the_image_no_gradient(third):
    _, kernel, srf, lr_hsi, hr_msi = observed()
    fused = torch.rand(12, 9, 7, requires_grad=True)
    kernel.requires_grad_(), srf.requires_grad_()
    theta_loss(lr_hsi, hr_msi, fused, kernel, srf, third=third).backward()
    assert fused.grad is None
    assert kernel.grad.abs().max() > 0 and srf.grad.abs().max() > 0


def nothing(*_, **__):
    return torch.zeros(())


def model_and_images(seed=0, **known):
    torch.manual_seed(seed)
    model = PublishedModel(3, 7, 3, layers=2, **known)
    _, _, _, lr_hsi, hr_msi = observed(seed)
    return model, lr_hsi, hr_msi


def reached(module):
    grads = [p.grad for p in module.parameters()]
    return any(grad is not None and grad.abs().max() > 0 for grad in grads)


@pytest.mark.parametrize("third", ["regenerated", "cross"])
def test_no_gradient_reaches_a_frozen_group(monkeypatch, third):
    """Phi's loss alone leaves PSF and SRF alone, theta's alone leaves the network alone."""
    for silenced, trained, frozen in (
        ("theta_loss", ["network"], ["psf", "srf"]),
        ("phi_loss", ["psf", "srf"], ["network"]),
    ):
        model, *images = model_and_images()
        with torch.no_grad():  # away from the single pixel, whose gradient is tiny
            model.psf.root.copy_(torch.eye(2))
        with monkeypatch.context() as patch:
            patch.setattr(published, silenced, nothing)
            step_loss(model, *images, third=third).backward()
        assert all(reached(getattr(model, name)) for name in trained)
        assert not any(reached(getattr(model, name)) for name in frozen)


def test_as_published_the_srf_has_no_say_in_anything_else():
    """Network and PSF get the same gradients whatever the SRF is; the third term is rounding."""
    found = []
    for start in (0.0, 3.0):
        model, *images = model_and_images()
        with torch.no_grad():
            model.psf.root.copy_(torch.eye(2))
            model.srf.gaussians.add_(start)
        torch.manual_seed(1)
        step_loss(model, *images, third="regenerated").backward()
        found.append([p.grad for m in (model.network, model.psf) for p in m.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_a_step_is_the_sum_of_both_losses_at_one_point():
    """The published step by hand, from the same random numbers."""
    model, lr_hsi, hr_msi = model_and_images()
    torch.manual_seed(1)
    found = step_loss(model, lr_hsi, hr_msi, third="cross").item()
    torch.manual_seed(1)
    kernel, srf = model.psf.kernel().reshape(-1), model.srf.matrix()
    fused = model.network(hr_msi, sample=True)
    theta = theta_loss(lr_hsi, hr_msi, fused, kernel, srf, third="cross")
    phi = 0.5 * l1(model.network(blur(hr_msi, kernel), sample=True), lr_hsi)
    assert found == pytest.approx((theta + phi).item(), rel=1e-6)  # float32


def test_what_is_known_is_not_learned():
    psf, srf = gaussian_psf(3), np.full((3, 7), 1 / 7)
    model, *images = model_and_images(psf=psf, srf=srf)
    assert isinstance(model.psf, KnownPSF) and isinstance(model.srf, KnownSRF)
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"network"}
    step_loss(model, *images, third="cross").backward()
    assert reached(model.network)


def test_the_cross_term_learns_without_a_network():
    torch.manual_seed(0)
    psf = LearnedPSF(3, root=1.0, centre=1.0, learn_centre=True)
    srf = LearnedSRF(7 * torch.rand(3, 4, 2), 7)
    network = Autoencoder(
        AbundanceEncoder(3), SpectralDecoder(16, 7), torch.ones(2, 3), torch.ones(2, 7)
    )
    _, _, _, lr_hsi, hr_msi = observed()
    losses.cross_loss(lr_hsi, blur(hr_msi, psf.kernel().reshape(-1)), srf.matrix()).backward()
    assert reached(psf) and reached(srf) and not reached(network)
