r"""DAEM's two explicit degradations: few numbers each, and all of them learned.

They keep the conventions of the package: :class:`LearnedPSF` gives a (k, k) kernel that
:class:`~hsisr_lite.degradation.operators.SpatialOperator` takes, :class:`LearnedSRF` a
(msi_bands, bands) matrix whose rows sum to one.
"""

import torch
from torch import nn

GAUSSIANS = 4  # per MSI band
_NARROWEST = 0.3  # bands: a Gaussian narrower than that falls between two bands


class LearnedPSF(nn.Module):
    r"""A Gaussian kernel, given by a triangular root of its precision.

    .. math:: h(d) \propto \exp\bigl(-\tfrac12 \lVert T d \rVert^2\bigr), \qquad
              \Sigma^{-1} = T^\top T, \qquad T = \begin{pmatrix} t_1 & 0 \\ t_2 & t_3 \end{pmatrix}

    for the offset d = (row, column) - c, counted from the window's first pixel. T is the lower
    triangle of a learned 2 x 2 matrix, so any T gives a valid precision [daem2023]_. Published,
    the centre is fixed at pixel ``k // 2`` and ``k`` is the ratio, with T = 5 I at the start: a
    single pixel.

    Parameters
    ----------
    size : int
        k, pixels along a side.
    root : float
        The start of T is this times the identity.
    centre : float
        Row and column of the centre, in pixels.
    learn_centre : bool
        Whether the centre is a parameter.

    Examples
    --------
    >>> kernel = LearnedPSF(4, root=5.0, centre=2.0, learn_centre=False).kernel()
    >>> kernel.argmax().item(), round(kernel.sum().item(), 6)
    (10, 1.0)
    """

    def __init__(self, size, *, root, centre, learn_centre):
        super().__init__()
        self.size = size
        self.root = nn.Parameter(root * torch.eye(2))
        centre = torch.full((2,), float(centre))
        if learn_centre:
            self.centre = nn.Parameter(centre)
        else:
            self.register_buffer("centre", centre)

    def kernel(self):
        """(k, k), non-negative, sums to one."""
        at = torch.arange(self.size, device=self.root.device)
        offset = torch.cartesian_prod(at, at) - self.centre  # (k k, 2): row, column
        # exp(-1/2 |T d|^2), normalised
        exponent = -0.5 * (offset @ self.root.tril().T).square().sum(-1)
        return exponent.softmax(0).reshape(self.size, self.size)  # (k, k)


class LearnedSRF(nn.Module):
    r"""Four Gaussians per MSI band, in units of the band index.

    .. math:: S_{mb} \propto \sum_{g=1}^{4} \exp\Bigl(-\frac{(b - \mu_{mg})^2}
              {2 (\sigma_{mg}^2 + \sigma_0^2)}\Bigr), \qquad \sum_b S_{mb} = 1

    Published, :math:`\sigma_0 = 0`: a width that reaches zero makes the row 0 / 0 [daem2023]_. Here
    :math:`\sigma_0` is 0.3 bands, and the sums are taken of logarithms, so that a row stays finite
    wherever its Gaussians go.

    Parameters
    ----------
    gaussians : (msi_bands, 4, 2) tensor
        Where centres and widths start.
    bands : int
        Of the LrHSI.

    Examples
    --------
    >>> LearnedSRF(torch.zeros(1, 4, 2), bands=3).matrix().sum(-1)
    tensor([1.], grad_fn=<SumBackward1>)
    """

    def __init__(self, gaussians, bands):
        super().__init__()
        self.gaussians = nn.Parameter(gaussians.clone())
        self.register_buffer("at", torch.arange(bands, dtype=torch.float32))

    def widths(self):
        """(msi_bands, 4) standard deviations in bands, never below 0.3."""
        return (self.gaussians[..., 1].square() + _NARROWEST**2).sqrt()

    def matrix(self):
        """(msi_bands, bands), non-negative, rows sum to one."""
        offset = self.at - self.gaussians[..., :1]  # (msi_bands, 4, bands)
        # log of sum_g exp(-1/2 ((b - mu) / sigma)^2), then normalised over b
        exponent = -0.5 * (offset / self.widths()[..., None]).square()
        return exponent.logsumexp(1).softmax(-1)


class KnownPSF(nn.Module):
    """A kernel that a pair knows, in the place of a learned one; it has no parameters."""

    def __init__(self, psf):
        super().__init__()
        self.size = len(psf)
        self.register_buffer("values", torch.tensor(psf, dtype=torch.float32))

    def kernel(self):
        """(k, k), as it was given."""
        return self.values


class KnownSRF(nn.Module):
    """Responses that a pair knows, in the place of learned ones; they have no parameters."""

    def __init__(self, srf):
        super().__init__()
        self.register_buffer("values", torch.tensor(srf, dtype=torch.float32))

    def matrix(self):
        """(msi_bands, bands), as they were given."""
        return self.values


def as_arrays(pair, psf, srf):
    """PSF and SRF as float64 arrays that sum to one; what the pair knows, as the pair has it.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), blind=False)
    >>> as_arrays(pair, KnownPSF(pair.psf), KnownSRF(pair.srf))[0] is pair.psf
    True
    """
    with torch.no_grad():
        kernel, matrix = psf.kernel().double().cpu(), srf.matrix().double().cpu()
    kernel, matrix = kernel / kernel.sum(), matrix / matrix.sum(-1, keepdim=True)
    return (
        kernel.numpy() if pair.psf is None else pair.psf,
        matrix.numpy() if pair.srf is None else pair.srf,
    )
