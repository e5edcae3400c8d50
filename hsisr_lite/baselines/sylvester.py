r"""FUSE: the most probable image under a Gaussian prior, in closed form [wei2015]_.

Setting the gradient to zero leaves one linear equation for all pixels at once. Because P acts on
rows and S on bands, it is a Sylvester equation, and a change of basis takes it apart.
"""

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import identity
from scipy.sparse.linalg import splu

from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.subspace_model import missing_detail, subspace_model
from hsisr_lite.results import FusionResult


def fuse(pair, run, *, rank=None):
    r"""Maximum a posteriori fusion in a spectral subspace, :math:`X = U E`.

    .. math:: \min_U \lVert (Y - P U E)\, \Lambda_Y^{-1/2} \rVert^2
              + \lVert (Z - U E S^\top)\, \Lambda_Z^{-1/2} \rVert^2
              + \lVert (U - M)\, \Sigma^{-1/2} \rVert^2

    E holds the first right singular vectors of the LrHSI, M is the LrHSI enlarged by cubic
    interpolation, :math:`\Lambda` are noise variances (known or estimated) and the diagonal
    :math:`\Sigma` says how far the enlarged image may be from the true one: see
    :func:`missing_detail`. The PSF and the SRF are taken from the pair or estimated.

    Parameters
    ----------
    rank : int, optional
        Rows of E; default at most 15, fewer where the LrHSI shows only noise beyond.
    """
    inputs = prepare(pair)
    model = subspace_model(pair, inputs, rank)
    centre = psf_centre(inputs.operator.psf, pair.ratio)
    mean = upsample(model.low, pair.ratio, centre)
    u = most_probable(inputs, model, mean, missing_detail(inputs, model.low))
    return FusionResult.of(
        pair,
        u @ model.basis,
        parameters=u.size + model.basis.size,
        notes=[*inputs.notes, *model.notes],
    )


def most_probable(inputs, model, mean, variance):
    """The U (rows, cols, rank) at which the gradient of the objective of :func:`fuse` vanishes.

    Parameters
    ----------
    inputs : Inputs
    model : SubspaceModel
        E and the two noise variances.
    mean : (rows, cols, rank) array
        M.
    variance : (rank,) array
        The diagonal of Sigma, positive.
    """
    (rows, cols, msi_bands), (rank, bands) = inputs.hr_msi.shape, model.basis.shape
    y = inputs.lr_hsi.reshape(-1, bands) / model.hsi_variance  # (low-resolution pixels, bands)
    z = inputs.hr_msi.reshape(-1, msi_bands) / model.msi_variance  # (pixels, msi_bands)
    p, basis = inputs.operator.matrix(rows, cols), model.basis
    seen = basis @ inputs.srf.T  # (rank, msi_bands): the subspace as the MSI sees it
    # P* P U G + U H = C with G = E Lambda_Y^-1 E*, H = F Lambda_Z^-1 F* + Sigma^-1, F = E S*
    g = (basis / model.hsi_variance) @ basis.T
    h = (seen / model.msi_variance) @ seen.T + np.diag(1 / variance)
    c = p.T @ (y @ basis.T) + z @ seen.T + mean.reshape(-1, rank) / variance
    solve = sylvester_solver(p, g, h)
    u = solve(c)
    u += solve(c - p.T @ ((p @ u) @ g) - u @ h)  # the digits lost where an eigenvalue is small
    return u.reshape(rows, cols, rank)  # (rows, cols, rank)


def sylvester_solver(p, g, h):
    r"""Prepare to solve :math:`P^* P\, U G + U H = C` for U, exactly, for any PSF.

    .. math:: V^\top G V = I, \quad V^\top H V = \operatorname{diag}(\lambda), \qquad
              t_k = \tfrac{1}{\lambda_k} \bigl( c_k - P^* (\lambda_k I + P P^*)^{-1} P c_k \bigr),
              \quad U = T V^\top

    with c and t the columns of :math:`C V` and T. The published method inverts in the Fourier
    domain, which asks for a circular blur. Here :math:`P P^*`, a sparse matrix on the coarse grid,
    is factorised: borders are mirrored and windows overlap as the PSF has them.

    Parameters
    ----------
    p : (low-resolution pixels, pixels) sparse matrix
    g, h : (rank, rank) arrays
        Symmetric and positive definite.

    Returns
    -------
    solve : function
        From C to U, both (pixels, rank).

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> solve = sylvester_solver(csr_matrix([[0.5, 0.5]]), np.eye(1), np.eye(1))
    >>> solve(np.array([[1.0], [3.0]])).ravel().round(3)
    array([0.333, 2.333])
    """
    eigenvalues, v = eigh(h, g)
    gram = (p @ p.T).tocsc()  # P P*
    if gram.nnz == gram.shape[0]:  # windows do not overlap: a diagonal matrix
        pivots = gram.diagonal()[:, None] + eigenvalues  # (low-resolution pixels, rank)

        def invert(low):
            return low / pivots

    else:
        eye = identity(gram.shape[0], format="csc")
        factors = [splu(gram + value * eye) for value in eigenvalues]

        def invert(low):
            columns = zip(factors, low.T, strict=True)
            return np.stack([factor.solve(column) for factor, column in columns], axis=-1)

    def solve(c):
        c = c @ v
        return ((c - p.T @ invert(p @ c)) / eigenvalues) @ v.T

    return solve
