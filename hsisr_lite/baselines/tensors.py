"""What the tensor methods share: P along one axis, products of factors, and two linear solvers."""

import numpy as np

from hsisr_lite.degradation.operators import SpatialOperator


def marginals(operator, rows, cols):
    """P along the rows and along the columns, as if its PSF were a column times a row.

    Each is what P does to images that are constant along the other axis.

    Returns
    -------
    along_rows : (low rows, rows) array
    along_cols : (low cols, cols) array
    exact : bool
        Whether the PSF is such a product, so that P is their Kronecker product.

    Examples
    --------
    >>> marginals(SpatialOperator(np.full((2, 2), 0.25), 2), 4, 2)
    (array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]]), array([[0.5, 0.5]]), True)
    """
    psf, ratio = operator.psf, operator.ratio
    stripes = np.broadcast_to(np.eye(rows)[:, None], (rows, ratio, rows))
    along_rows = SpatialOperator(psf, ratio).A(stripes)[:, 0]
    stripes = np.broadcast_to(np.eye(cols), (ratio, cols, cols))
    along_cols = SpatialOperator(psf, ratio).A(stripes)[0]
    product = np.outer(psf.sum(axis=1), psf.sum(axis=0))
    return along_rows, along_cols, bool(np.abs(psf - product).max() <= 1e-9 * psf.max())


def leading(image, axis, rank=None):
    """Left singular vectors of an unfolding of the image, the strongest first, one per column.

    Examples
    --------
    >>> (leading(np.ones((1, 4, 1)), 1, 1) ** 2).T
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    unfolded = np.moveaxis(image, axis, 0).reshape(image.shape[axis], -1)  # (size, others)
    return np.linalg.eigh(unfolded @ unfolded.T)[1][:, ::-1][:, :rank]


def expand(core, rows, cols):
    """Mode products along rows and columns: (R1, R2, k) to (rows, cols, k).

    Examples
    --------
    >>> expand(np.ones((1, 1, 5)), np.ones((2, 1)), np.ones((3, 1))).shape
    (2, 3, 5)
    """
    return np.matmul(cols, np.tensordot(rows, core, 1))


def maps(rows, cols):
    """Every pair of columns as an image: (rows, rank) and (cols, rank) to (rows, cols, rank).

    Examples
    --------
    >>> maps(np.array([[1], [2]]), np.array([[3], [4]]))[..., 0]
    array([[3, 4],
           [6, 8]])
    """
    return rows[:, None] * cols


def gram(factor):
    """Inner products of the columns of a factor: (rank, rank).

    Examples
    --------
    >>> gram(np.array([[1, 0], [2, 1]]))
    array([[5, 2],
           [2, 1]])
    """
    return factor.T @ factor


def sylvester(left, inner, outer, right):
    r"""Solve a Sylvester equation with symmetric matrices, the last one positive definite.

    .. math:: L F K + F K' = R

    The eigenvectors Q of L and the M with :math:`M^\top K M = \Theta`, :math:`M^\top K' M = I` turn
    it into one division: :math:`F = Q\,[(Q^\top R M)_{if} / (l_i \theta_f + 1)]\,M^\top`.

    Parameters
    ----------
    left : (values (rows,), vectors (rows, rows))
        Eigenvalues and eigenvectors of L, which stays the same from one sweep to the next.
    inner, outer : (rank, rank) arrays
        K and K'.
    right : (rows, rank) array

    Returns
    -------
    solution : (rows, rank) array

    Examples
    --------
    >>> sylvester((np.array([2.0]), np.eye(1)), np.eye(1), 3 * np.eye(1), np.array([[10.0]]))
    array([[2.]])
    """
    values, vectors = left
    half = np.linalg.inv(np.linalg.cholesky(outer))
    theta, turn = np.linalg.eigh(half @ inner @ half.T)
    both = half.T @ turn  # M: M^T K M = diag(theta), M^T K' M = I
    turned = vectors.T @ right @ both  # (rows, rank)
    return vectors @ (turned / (values[:, None] * theta + 1)) @ both.T


def conjugate_gradients(normal, right, ready, start, *, steps, tolerance=1e-12):
    """Reduce the quadratic whose gradient is ``normal(x) - right``; no step ever raises it.

    Parameters
    ----------
    normal : callable
        A symmetric positive semi-definite map.
    right, start : arrays
    ready : callable
        Approximate inverse of ``normal``; with the exact inverse one step suffices.
    steps : int
    tolerance : float
        Stop when the residual is this small beside ``right``.

    Examples
    --------
    >>> conjugate_gradients(lambda x: 2 * x, np.ones(2), lambda r: r, np.zeros(2), steps=1)
    array([0.5, 0.5])
    """
    solution, left = start, right - normal(start)
    step, fit = 0, np.inf
    for _ in range(steps):
        if np.linalg.norm(left) <= tolerance * np.linalg.norm(right):
            break
        prepared = ready(left)
        fit, last = np.sum(left * prepared), fit
        step = prepared + fit / last * step
        moved = normal(step)
        curvature = np.sum(step * moved)
        if not curvature > 0:  # rounding: along this step nothing is left to win
            break
        length = fit / curvature
        solution, left = solution + length * step, left - length * moved
    return solution


def fit_spectra(lr_hsi, hr_msi, srf, coarse, fine, *, ridge, towards=0.0):
    r"""Spectra C, (bands, rank), that explain both images best, given the maps of every component.

    .. math:: \min_C \lVert Y - M_Y C^\top \rVert^2 + \lVert Z - M_Z C^\top S^\top \rVert^2
              + \mu \lVert C - C_0 \rVert^2

    Its normal equations are the Sylvester equation
    :math:`S^\top S\, C\, M_Z^\top M_Z + C\,(M_Y^\top M_Y + \mu I)
    = Y^\top M_Y + S^\top Z^\top M_Z + \mu C_0`.

    Parameters
    ----------
    coarse, fine : (low rows, low cols, rank) and (rows, cols, rank) arrays
        The maps M at the resolution of either image.
    ridge : float
        :math:`\mu`, above 0.
    towards : float or (bands, rank) array
        :math:`C_0`.

    Examples
    --------
    >>> y, z, one = np.full((1, 1, 2), 6.0), np.full((1, 1, 1), 6.0), np.ones((1, 1, 1))
    >>> fit_spectra(y, z, np.array([[0.5, 0.5]]), one, one, ridge=1e-9).round(6)
    array([[6.],
           [6.]])
    """
    rank = fine.shape[2]
    coarse, fine = coarse.reshape(-1, rank), fine.reshape(-1, rank)  # (pixels, rank)
    y, z = lr_hsi.reshape(len(coarse), -1), hr_msi.reshape(len(fine), -1)  # (pixels, bands)
    # S^T S C (M_Z^T M_Z) + C (M_Y^T M_Y + mu I) = Y^T M_Y + S^T Z^T M_Z + mu C_0
    right = y.T @ coarse + srf.T @ (z.T @ fine) + ridge * towards
    mixing = np.linalg.eigh(gram(srf))
    return sylvester(mixing, gram(fine), gram(coarse) + ridge * np.eye(rank), right)
