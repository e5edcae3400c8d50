"""Which spectra an MSI reveals: the third factor of a Tucker model, unless ranks are given."""

import numpy as np

from hsisr_lite.degradation.noise import estimate_noise


def visible_spectra(pair, lr_hsi, operator, srf):
    r"""Spectra W that lose least when only the MSI tells how much of each a pixel holds.

    .. math:: \min_W \lVert Y - (Y S^\top)(W S^\top)^+ W \rVert^2
              + n \textstyle\sum_m \sigma_{Z,m}^2 \lVert ((W S^\top)^+)_m \rVert^2

    is what the LrHSI's own spectra lose on their way through the MSI, and the noise that the MSI
    brings along. With as many spectra as MSI bands the minimum is known: W spans the rows of
    :math:`S\, Y^\top Y`, what varies together with the MSI's bands. These are ordered by how much
    they carry, and as many are kept as lose least. The strongest singular vectors of Y, the
    published choice, may hold some that the MSI hardly sees.

    Returns
    -------
    spectra : (R3, bands) array, orthonormal rows; at most as many as there are MSI bands.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> operator = hl.SpatialOperator([[1.0]], 1)
    >>> srf = np.eye(2, 3)  # the third band, the brightest one, is not seen
    >>> cube = np.eye(3)[None] * [1, 2, 3]
    >>> pair = hl.ObservedPair(cube, cube @ srf.T, 1, [500, 600, 700], srf=srf)
    >>> visible_spectra(pair, cube, operator, srf) ** 2
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    y = lr_hsi.reshape(-1, lr_hsi.shape[2])  # (pixels, bands)
    noise = np.diag(len(y) * estimate_noise(pair, operator.psf).msi ** 2)  # n sigma^2
    shared = srf @ y.T @ y  # S Y^T Y: (msi_bands, bands)
    values, turn = np.linalg.eigh(shared @ srf.T + noise)
    kept = values > 1e-12 * values[-1]  # the others are rounding, or bands that repeat each other
    # (S Y^T Y S^T + n sigma^2)^(-1/2) S Y^T Y: its rows carry what a regression on the MSI predicts
    carried = (turn[:, kept] / np.sqrt(values[kept])).T @ shared
    spectra = np.linalg.svd(carried, full_matrices=False)[2]

    def loss(chosen):
        back = np.linalg.pinv(chosen @ srf.T)  # (msi_bands, R3)
        # |Y - (Y S^T) (W S^T)^+ W|^2 - |Y|^2, the rows of W being orthonormal
        missed = np.sum(back * (shared @ srf.T @ back - 2 * shared @ chosen.T))
        return missed + np.trace(back.T @ noise @ back)

    return min((spectra[:count] for count in range(1, 1 + len(spectra))), key=loss)
