"""The image that UAFL improves: the LrHSI enlarged, or an affine map of the reference."""

from dataclasses import dataclass

import numpy as np

from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.baselines.regression import ridge
from hsisr_lite.degradation.misregistration import without_holes
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.degradation.operators import SpatialOperator


@dataclass(frozen=True)
class Start:
    r"""A first image, made in one way from the pair and from whatever is to look like it.

    .. math:: x = Z W + b + {\uparrow} \bigl( (Y - P (Z W + b)) \operatorname{diag}(q) \bigr)

    With W = 0, b = 0 and q = 1 it is the enlarged LrHSI.

    Attributes
    ----------
    weights : (msi_bands, bands) array
        W.
    mean : (bands,) array
        b.
    trust : (bands,) array
        q: the share of what the map leaves that is no noise.
    psf : (k, k) array
        Of P; the arrow enlarges with its phase.
    ratio : int
    """

    weights: np.ndarray
    mean: np.ndarray
    trust: np.ndarray
    psf: np.ndarray
    ratio: int

    def image(self, reference, lr_hsi):
        """The first image.

        Parameters
        ----------
        reference : (rows, cols, msi_bands) array
        lr_hsi : (rows / ratio, cols / ratio, bands) array

        Returns
        -------
        image : (rows, cols, bands) float64 array
        """
        mapped = reference.astype(np.float64) @ self.weights + self.mean
        left = (lr_hsi - SpatialOperator(self.psf, self.ratio).A(mapped)) * self.trust
        return mapped + upsample(left, self.ratio, psf_centre(self.psf, self.ratio))


def bicubic_start(pair, psf):
    """The enlarged LrHSI.

    Parameters
    ----------
    pair : ObservedPair
    psf : (k, k) array

    Returns
    -------
    start : Start

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    >>> image = bicubic_start(pair, pair.psf).image(pair.hr_msi, pair.lr_hsi)
    >>> bool(np.abs(image - hl.fuse(pair, "bicubic").hr_hsi).max() < 1e-5)
    True
    """
    msi_bands, bands = pair.hr_msi.shape[2], pair.lr_hsi.shape[2]
    return Start(np.zeros((msi_bands, bands)), np.zeros(bands), np.ones(bands), psf, pair.ratio)


def affine_start(pair, psf):
    r"""The regression of :func:`~hsisr_lite.baselines.regression.regression_residual`.

    Parameters
    ----------
    pair : ObservedPair
        Registered.
    psf : (k, k) array

    Returns
    -------
    start : Start

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    >>> image = affine_start(pair, pair.psf).image(pair.hr_msi, pair.lr_hsi)
    >>> bool(np.abs(image - hl.fuse(pair, "regression_residual").hr_hsi).max() < 1e-5)
    True
    """
    inside, noise = pair.learnable(psf), estimate_noise(pair, psf)
    hr_msi = without_holes(pair.hr_msi, pair.hr_valid).astype(np.float64)
    low_msi = SpatialOperator(psf, pair.ratio).A(hr_msi)
    x, y = low_msi[inside], pair.lr_hsi[inside].astype(np.float64)
    # The price of noise: averaged away while learning, all there when applied
    penalty = len(x) * (1 - np.sum(psf**2)) * noise.msi**2
    weights = ridge(x - x.mean(axis=0), y - y.mean(axis=0), penalty)
    mean = y.mean(axis=0) - x.mean(axis=0) @ weights
    # q = 1 - (variance that noise explains) / (variance of what is left)
    left = y - (x @ weights + mean)
    doubt = noise.hsi**2 + noise.misfit**2 @ weights**2
    trust = np.maximum(1 - doubt / np.maximum(left.var(axis=0), np.finfo(float).tiny), 0)
    return Start(weights, mean, trust, psf, pair.ratio)
