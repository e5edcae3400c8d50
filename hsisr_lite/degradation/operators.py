r"""The two degradation operators, each with its adjoint.

The observed pair is :math:`Y = P X` and :math:`Z = X S^\top` [wald1997]_: the spatial operator
P blurs and decimates every band alike, the spectral operator S mixes the bands of every pixel
alike. They act on different axes, so they commute: ``S(P(X)) = P(S(X))``, which is the only
thing that a blind method has to hold on to.
"""

import numpy as np
from scipy import sparse

from hsisr_lite.arrays import InputError, as_psf, as_ratio, as_srf, check_divisible
from hsisr_lite.degradation.psf import window_start


class SpatialOperator:
    r"""P: blur with a PSF and keep one pixel per block.

    .. math:: (P X)_{ij} = \sum_{a,b} h_{ab}\, X_{ri + s + a,\; rj + s + b},
              \qquad s = -\lfloor (k - r) / 2 \rfloor

    with borders mirrored symmetrically (the edge pixel is repeated).

    Parameters
    ----------
    psf : (k, k) array
        Non-negative, sum 1.
    ratio : int
        High-resolution pixels per low-resolution pixel, along one side.

    Examples
    --------
    >>> operator = SpatialOperator(np.full((2, 2), 0.25), ratio=2)
    >>> operator.A(np.arange(16.0).reshape(4, 4, 1))[..., 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def __init__(self, psf, ratio):
        self.psf = as_psf(psf)
        self.ratio = as_ratio(ratio)
        self._made_for = self._matrix = None

    def A(self, image):
        """Blur and decimate: (rows, cols, bands) to (rows / ratio, cols / ratio, bands).

        Raises
        ------
        InputError
            When the ratio does not divide both sides of the image.
        """
        image = _as_float(image)
        rows, cols, bands = image.shape
        matrix = self.matrix(rows, cols, image.dtype)
        low = matrix @ image.reshape(rows * cols, bands)  # (low-resolution pixels, bands)
        return low.reshape(rows // self.ratio, cols // self.ratio, bands)  # (rows, cols, bands)

    def A_adjoint(self, image):
        """Spread every low-resolution pixel back through its PSF: the transpose of :meth:`A`."""
        image = _as_float(image)
        low_rows, low_cols, bands = image.shape
        rows, cols = low_rows * self.ratio, low_cols * self.ratio
        matrix = self.matrix(rows, cols, image.dtype)
        high = matrix.T @ image.reshape(low_rows * low_cols, bands)  # (pixels, bands)
        return high.reshape(rows, cols, bands)  # (rows, cols, bands)

    def matrix(self, rows, cols, dtype=np.float64):
        """The operator for one size of image, as a sparse matrix.

        Returns
        -------
        matrix : (low-resolution pixels, high-resolution pixels) scipy CSR matrix
            Pixels are counted row by row.

        Examples
        --------
        >>> SpatialOperator(np.full((2, 2), 0.25), ratio=2).matrix(4, 4).shape
        (4, 16)
        """
        check_divisible(rows, cols, self.ratio)
        if self._made_for != (rows, cols, dtype):
            row_of = self._taps(rows)  # (low rows, k): the image row under each kernel row
            col_of = self._taps(cols)  # (low cols, k)
            touched = row_of[:, None, :, None] * cols + col_of[None, :, None, :]
            low, weights = touched.shape[0] * touched.shape[1], self.psf.size
            entries = np.tile(self.psf.ravel(), low)
            owner = np.repeat(np.arange(low), weights)
            # A mirrored border names a pixel twice; the conversion to CSR adds the two weights.
            self._matrix = (
                sparse.coo_matrix((entries, (owner, touched.ravel())), shape=(low, rows * cols))
                .tocsr()
                .astype(dtype)
            )
            self._made_for = (rows, cols, dtype)
        return self._matrix

    def _taps(self, size):
        first = self.ratio * np.arange(size // self.ratio) + window_start(self.ratio, len(self.psf))
        index = (first[:, None] + np.arange(len(self.psf))) % (2 * size)
        return np.where(index < size, index, 2 * size - 1 - index)  # symmetric: ..1 0 0 1 2..


class SpectralOperator:
    r"""S: mix the bands of every pixel with a sensor's responses.

    .. math:: (X S^\top)_{ijm} = \sum_b S_{mb}\, X_{ijb}

    Parameters
    ----------
    srf : (msi_bands, hsi_bands) array
        Non-negative, rows sum to 1.

    Examples
    --------
    >>> SpectralOperator([[0.5, 0.5]]).A(np.array([[[2.0, 4.0]]]))
    array([[[3.]]])
    """

    def __init__(self, srf):
        self.srf = as_srf(srf)

    def A(self, image):
        """Integrate the bands: (rows, cols, hsi_bands) to (rows, cols, msi_bands).

        Raises
        ------
        InputError
            When the image does not have one band per column of the SRF.
        """
        return self._mix(image, self.srf)

    def A_adjoint(self, image):
        """Spread every MSI band back over its HSI bands: the transpose of :meth:`A`."""
        return self._mix(image, self.srf.T)

    @staticmethod
    def _mix(image, weights):
        if image.shape[-1] != weights.shape[1]:
            raise InputError(
                f"the image has {image.shape[-1]} bands: {weights.shape[1]} are needed to fit "
                "the SRF; choose the sensor for these wavelengths."
            )
        image = _as_float(image)
        return image @ weights.T.astype(image.dtype)


def _as_float(image):
    """The image itself in float32 or float64; integers would round every weight to zero."""
    image = np.asarray(image)
    return image.astype(np.result_type(image, np.float32), copy=False)
