"""A trial one scale down: how much of what a network adds to a first image is borne out."""

from dataclasses import replace

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.misregistration import without_holes
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.uafl.start import affine_start, bicubic_start

_FEWEST = 16  # coarse pixels of the reduced pair: fewer say nothing


def borne_out(pair, psf, change_of, basis, start):
    r"""The share of a network's change that the pair itself confirms, seen one scale coarser.

    As in Wald's protocol [wald1997]_ both images are degraded once more, by the same PSF: the
    LrHSI is then the truth, x' the first image of the reduced pair, and A' what the network adds to
    it. The share is the one that fits best,

    .. math:: \beta = \min\Bigl(1, \max\Bigl(0,
              \frac{\langle A', (Y - x') E_K^\top \rangle}{\lVert A' \rVert^2} \Bigr)\Bigr)

    Textures of the coarser scale differ, so :math:`\beta` is an estimate; but a network that spoils
    the reduced image is not believed on the whole one.

    Parameters
    ----------
    pair : ObservedPair
        Registered, with a known ``srf`` or without.
    psf : (k, k) array
    change_of : function
        Of a first image and a reference, both (rows, cols, ...) float64; returns
        (rows, cols, bands), what the network adds.
    basis : (K, bands) array
        Orthonormal endmembers.
    start : {"affine", "bicubic"}
        How the first image is made.

    Returns
    -------
    share : float or None
        From 0 to 1. None where the pair is too small to be reduced, or has too little data.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    >>> noise = np.random.default_rng(0).standard_normal
    >>> basis = np.eye(3, pair.lr_hsi.shape[2])
    >>> borne_out(pair, pair.psf, lambda x, z: noise(x.shape), basis, "bicubic") < 0.05
    True
    """
    try:
        small = _reduced(pair, psf)
        if small is None:
            return None
        make = affine_start if start == "affine" else bicubic_start
        first = make(small, psf).image(small.hr_msi, small.lr_hsi)
    except InputError:  # too few pixels with data are left
        return None
    rows, cols = first.shape[:2]
    inside = small.hr_valid
    truth = pair.lr_hsi[:rows, :cols].astype(np.float64)
    change = change_of(first, small.hr_msi.astype(np.float64))[inside] @ basis.T
    missing = (truth - first)[inside] @ basis.T
    # beta = <A', (Y - x') E> / |A'|^2
    energy = np.sum(change**2)
    return float(np.clip(np.sum(change * missing) / energy, 0, 1)) if energy > 0 else 1.0


def _reduced(pair, psf):
    """The pair one scale down, cut to whole pixels; None where hardly any are left."""
    ratio = pair.ratio
    rows, cols = (length // ratio for length in pair.lr_hsi.shape[:2])
    if rows * cols < _FEWEST:
        return None
    blur = SpatialOperator(psf, ratio)
    inside = pair.learnable(psf)[: rows * ratio, : cols * ratio]
    hr_msi = without_holes(pair.hr_msi, pair.hr_valid).astype(np.float64)
    lr_hsi = without_holes(pair.lr_hsi, pair.lr_valid).astype(np.float64)
    hr_msi = blur.A(hr_msi)[: rows * ratio, : cols * ratio]
    lr_hsi = blur.A(lr_hsi[: rows * ratio, : cols * ratio])
    # White noise has so much less of its deviation under the PSF
    noise = pair.noise and tuple(float(np.linalg.norm(psf)) * sd for sd in pair.noise)
    held = blur.A((~inside)[..., None].astype(np.float64))[..., 0] == 0
    return replace(
        pair,
        lr_hsi=lr_hsi.astype(np.float32),
        hr_msi=hr_msi.astype(np.float32),
        lr_valid=held,
        hr_valid=inside,
        psf=psf,
        noise=noise,
    )
