"""What a blind method works out from the pair before it starts."""

import numpy as np

from hsisr_lite.degradation.operators import SpatialOperator


def psf_of(pair):
    """The pair's PSF, or its estimate (:func:`estimate_psf`), and the sentences to note about it.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> psf_of(hl.simulate(hl.load_scene("synthetic"), ratio=4))[1][0][:66]
    'PSF unknown: assumed the block-centred Gaussian of FWHM 4 pixels, '
    """
    if pair.psf is not None:
        return pair.psf, []
    from hsisr_lite.degradation.blind_psf import estimate_psf  # a known PSF need not wait for it

    psf, note = estimate_psf(pair)
    return psf, [note]


def srf_of(pair, psf):
    r"""The pair's SRF, or its non-negative least-squares estimate, and what to note about it.

    .. math:: s_m = \arg\min_{s \ge 0,\; \sum s = 1} \lVert Y s - (P Z)_m \rVert^2

    Both images are in the same units, so the sum is part of the problem: many mixes of similar
    bands fit alike, and dividing one of them by its sum afterwards would spoil the fit.

    Parameters
    ----------
    pair : ObservedPair
    psf : (k, k) array
        The kernel of P, known or from :func:`psf_of`.

    Returns
    -------
    srf : (msi_bands, bands) array
    notes : list of str
    """
    if pair.srf is not None:
        return pair.srf, []
    from scipy.optimize import nnls  # a known SRF need not wait for it

    low_msi = SpatialOperator(psf, pair.ratio).A(pair.hr_msi.astype(np.float64))
    inside = pair.learnable(psf)
    hsi = pair.lr_hsi.astype(np.float64)[inside]  # (pixels, bands)
    # |Y s - z| = |R_Y s - R_z| for the triangular factor of [Y, z]: as exact, and small.
    factor = np.linalg.qr(np.hstack([hsi, low_msi[inside]]), mode="r")
    bands = hsi.shape[1]
    # One more equation, so heavy that it holds: the sum is 1.
    weight = 1e3 * (np.linalg.norm(factor) / np.sqrt(bands) or 1.0)
    factor = np.vstack([factor, np.full(factor.shape[1], weight)])
    try:
        srf = np.array([nnls(factor[:, :bands], band)[0] for band in factor[:, bands:].T])
    except RuntimeError:  # spectra of so few dimensions that the active set goes round in circles
        factor = np.vstack([factor, 1e-6 * weight * np.eye(bands, factor.shape[1])])
        srf = np.array([nnls(factor[:, :bands], band)[0] for band in factor[:, bands:].T])
    return srf / srf.sum(axis=1, keepdims=True), [
        "SRF unknown: estimated from the pair by non-negative least squares."
    ]
