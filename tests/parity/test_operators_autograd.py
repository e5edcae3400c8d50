"""The adjoint is what autograd calls a vector-Jacobian product of the same blur in torch."""

import numpy as np
import pytest
import torch

from hsisr_lite.arrays import to_image, to_tensor
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator


def torch_blur(x, psf, ratio):
    """Symmetric padding by index, then a depth-wise strided correlation."""
    before, size = (len(psf) - ratio) // 2, len(psf)

    def taps(length):
        index = np.pad(np.arange(length), (before, size), mode="symmetric")
        return torch.from_numpy(index[: (length // ratio - 1) * ratio + size])

    wide = x[:, :, taps(x.shape[2])][:, :, :, taps(x.shape[3])]
    kernel = torch.from_numpy(psf)[None, None].expand(x.shape[1], 1, size, size)
    return torch.nn.functional.conv2d(wide, kernel, stride=ratio, groups=x.shape[1])


@pytest.mark.parametrize(("ratio", "size"), [(2, 2), (3, 6), (4, 9), (5, 5), (8, 16)])
def test_spatial_operator_and_adjoint_against_autograd(ratio, size):
    rng = np.random.default_rng(size)
    psf = rng.random((size, size))
    psf /= psf.sum()
    x = to_tensor(rng.random((3 * ratio, 5 * ratio, 2))).requires_grad_()
    y = rng.random((3, 5, 2))
    seen = torch_blur(x, psf, ratio)
    operator = SpatialOperator(psf, ratio)
    # float64 on both sides: only the order of summation differs.
    np.testing.assert_allclose(operator.A(to_image(x)), to_image(seen), rtol=1e-12)
    (gradient,) = torch.autograd.grad(seen, x, to_tensor(y))
    np.testing.assert_allclose(operator.A_adjoint(y), to_image(gradient), rtol=1e-11, atol=1e-15)


def test_spectral_adjoint_against_autograd():
    rng = np.random.default_rng(0)
    srf = rng.random((3, 9))
    srf /= srf.sum(axis=1, keepdims=True)
    x, y = to_tensor(rng.random((4, 5, 9))).requires_grad_(), rng.random((4, 5, 3))
    seen = torch.einsum("mb,nbij->nmij", torch.from_numpy(srf), x)
    (gradient,) = torch.autograd.grad(seen, x, to_tensor(y))
    operator = SpectralOperator(srf)
    np.testing.assert_allclose(operator.A(to_image(x)), to_image(seen), rtol=1e-12)
    np.testing.assert_allclose(operator.A_adjoint(y), to_image(gradient), rtol=1e-12)
