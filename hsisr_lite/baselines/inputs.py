"""What every classical method starts from: both images in float64, and the two degradations."""

from typing import NamedTuple

import numpy as np

from hsisr_lite.degradation.estimate import psf_of, srf_of
from hsisr_lite.degradation.operators import SpatialOperator


class Inputs(NamedTuple):
    """A pair, ready for linear algebra.

    ``lr_hsi`` and ``hr_msi`` are float64 and hold data everywhere; ``operator`` is P with the
    known or estimated PSF; ``srf`` (msi_bands, bands) is known or estimated; ``notes`` says which.
    """

    lr_hsi: np.ndarray
    hr_msi: np.ndarray
    operator: SpatialOperator
    srf: np.ndarray
    notes: list


def prepare(pair):
    """Make the :class:`Inputs` of a pair: estimate what is unknown, fill what holds no data.

    A pixel without data takes the spectrum of its nearest neighbour that has some; the result's
    mask leaves it out again.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> prepare(hl.simulate(hl.load_scene("synthetic"), blind=False)).notes
    []
    """
    psf, notes_psf = psf_of(pair)
    srf, notes_srf = srf_of(pair, psf)
    return Inputs(
        filled(pair.lr_hsi, pair.lr_valid),
        filled(pair.hr_msi, pair.hr_valid),
        SpatialOperator(psf, pair.ratio),
        srf,
        [*notes_psf, *notes_srf],
    )


def filled(image, valid):
    """The image in float64, pixels without data as their nearest neighbour that has some.

    Examples
    --------
    >>> filled(np.array([[[3.0], [0.0]]]), np.array([[True, False]]))[..., 0]
    array([[3., 3.]])
    """
    image = image.astype(np.float64)
    if valid is None or valid.all() or not valid.any():
        return image
    from scipy.ndimage import distance_transform_edt  # slow to import, and rarely needed

    rows, cols = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return image[rows, cols]
