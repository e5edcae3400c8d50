"""Which of the LrHSI's spectral patterns an MSI can tell apart: the spectra of a Tucker model."""

import numpy as np

from hsisr_lite.baselines.tensors import leading

_FEW_BANDS = 3  # with no more MSI bands than this, giving one up loses more than it wins


def visible_spectra(pair, lr_hsi, hr_msi, operator, srf):
    r"""Choose the spectra W among the LrHSI's singular vectors: those that the MSI tells apart.

    .. math:: \lVert Y - (Y S^\top)(W S^\top)^+ W \rVert^2
              + n \textstyle\sum_m \sigma_{Z,m}^2 \lVert ((W S^\top)^+)_m \rVert^2

    is what the LrHSI's own spectra lose when only their MSI values are known, and the noise that
    the MSI brings along. A strong vector that the MSI hardly sees raises it. Vectors join one by
    one, each time the best; the best set on the way is returned, smaller than the number of MSI
    bands unless there are three or fewer: as many leave the core badly conditioned.

    Returns
    -------
    spectra : (R3, bands) array, orthonormal rows.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> operator = hl.SpatialOperator([[1.0]], 1)
    >>> srf = np.eye(2, 3)  # the third band, the brightest one, is not seen
    >>> cube = np.eye(3)[None] * [1, 2, 3]
    >>> pair = hl.ObservedPair(cube, cube @ srf.T, 1, [500, 600, 700], srf=srf)
    >>> visible_spectra(pair, cube, cube @ srf.T, operator, srf)[:2] ** 2
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    low_msi = lr_hsi @ srf.T
    # float32 images agree to 1e-7 of their values: then there is no noise to estimate
    agree = np.abs(operator.A(hr_msi) - low_msi).max() <= 1e-5 * np.abs(low_msi).max()
    noise = 0.0
    if not agree or pair.noise is not None:
        from hsisr_lite.degradation.noise import estimate_noise  # slow to load

        noise = estimate_noise(pair, operator.psf).msi
    pixels = low_msi.shape[0] * low_msi.shape[1]
    candidates = leading(lr_hsi, 2, min(2 * len(srf), pixels)).T  # (candidates, bands)
    energy = np.sum((lr_hsi @ candidates.T) ** 2, axis=(0, 1))
    candidates = candidates[energy >= 1e-12 * energy.max()]  # the others are rounding
    shared = np.tensordot(low_msi, lr_hsi, ((0, 1), (0, 1)))  # S Y^T Y: (msi_bands, bands)

    def loss(chosen):
        spectra = candidates[chosen]  # (R3, bands)
        back = np.linalg.pinv(spectra @ srf.T)  # (msi_bands, R3)
        # |Y - (Y S^T) (W S^T)^+ W|^2 - |Y|^2, the rows of W being orthonormal
        missed = np.sum(back * (shared @ srf.T @ back - 2 * shared @ spectra.T))
        return missed + pixels * np.sum((noise * back.T) ** 2)

    sets, most = [[]], len(srf) - (len(srf) > _FEW_BANDS)
    for _ in range(min(most, len(candidates))):
        others = set(range(len(candidates))) - set(sets[-1])
        sets.append(min(([*sets[-1], one] for one in sorted(others)), key=loss))
    return candidates[min(sets[1:], key=loss)]
