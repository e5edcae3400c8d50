"""Synthetic crops that look like the observed pair, and whose truth is known."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.flows import warp
from hsisr_lite.degradation.misregistration import random_flow
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.uafl.leaves import dead_leaves

_BANDS = 48  # of each crop's truth: another few every time, as quick to make as they are to compare
_MARGIN = 8  # pixels around a crop, from which the flow and the PSF may draw


class Crop(NamedTuple):
    """A synthetic pair; arrays are (rows, cols, ...) float32.

    ``abundances`` (..., K) of the first image; ``reference`` (..., msi_bands), misregistered;
    ``missing`` (..., some bands) is what the first image lacks of the truth, and ``endmembers``
    (K, some bands) are the same bands of the endmembers; ``flow`` (2, rows, cols), down and right,
    is what the reference was seen through.
    """

    abundances: np.ndarray
    reference: np.ndarray
    missing: np.ndarray
    endmembers: np.ndarray
    flow: np.ndarray


class Crops:
    r"""Dead leaves seen by the pair's two sensors, one of them out of step.

    .. math:: (X, F) \mapsto \bigl( x(Y, Z) E_K^\top,\; Z,\; X - x(Y, Z) \bigr), \qquad
              Y = P X + \text{noise}, \quad Z = (X S^\top) \circ (\mathrm{id} + F) + \text{noise}

    with x the first image (:class:`~hsisr_lite.uafl.start.Start`). Everything but the leaves is
    linear along the spectrum, so only the K mixtures and a few bands are ever made.

    Parameters
    ----------
    spectra : (pixels, bands) array
        Of the observed LrHSI.
    srf : (msi_bands, bands) array
    endmembers : (K, bands) array
        Orthonormal.
    start : Start
    misregistration : str or Misregistration
    noise : (arrays of (bands,) and (msi_bands,))
        Standard deviations, of the LrHSI and of the HrMSI.
    size : int
        Pixels along one side, made a multiple of the ratio.
    scene : (rows, cols, msi_bands) array
        The observed HrMSI, for :meth:`draw_scene`.
    """

    def __init__(self, spectra, srf, endmembers, start, misregistration, noise, size, scene):
        self.spectra, self.srf, self.endmembers = spectra, srf, endmembers
        self.start, self.misregistration, self.noise = start, misregistration, noise
        ratio = start.ratio
        self.margin = -(-_MARGIN // ratio) * ratio
        self.size = -(-size // ratio) * ratio
        side = self.size + 2 * self.margin
        low = side // ratio
        self.inner = np.zeros((side, side), bool)
        self.inner[self.margin : -self.margin, self.margin : -self.margin] = True
        blur = SpatialOperator(start.psf, ratio).matrix(side, side)
        # Rows and columns are enlarged one after the other: the product of both, pixel by pixel
        units, centre = np.eye(low), psf_centre(start.psf, ratio)
        tall = upsample(units[:, None, :], ratio, centre)[:, 0]
        wide = upsample(units[None, :, :], ratio, centre)[0]
        enlarge = sparse.kron(tall, wide).tocsr()[self.inner.ravel()]
        self.blur, self.enlarge = blur.astype(np.float32), enlarge.astype(np.float32)
        self.msi = spectra @ srf.T
        # What the enlarged part of the first image adds to the abundances
        self.trusted = spectra @ (start.trust[:, None] * endmembers.T)
        self.mapped = start.weights @ endmembers.T, start.mean @ endmembers.T
        self.mapped_low = self._trusted(start.weights), self._trusted(start.mean)
        missing = [(0, max(0, side - length)) for length in scene.shape[:2]]
        self.scene = np.pad(scene, [*missing, (0, 0)], mode="symmetric")
        # The affine map of srf_regression, which no misregistration touches
        colours = np.hstack([self.msi, np.ones((len(spectra), 1))])
        self.to_spectra = np.linalg.lstsq(colours, spectra, rcond=None)[0]

    def _trusted(self, spectra):
        return (spectra * self.start.trust) @ self.endmembers.T

    def draw(self, rng):
        """Make one crop.

        Parameters
        ----------
        rng : numpy Generator

        Returns
        -------
        crop : Crop
        """
        few = self._few(rng)
        columns = np.hstack([self.msi, self.spectra[:, few], self.trusted])
        return self._seen(dead_leaves(len(self.inner), columns, rng), few, rng)

    def draw_scene(self, rng):
        """Make one crop from the HrMSI itself, turned, with the spectra that its values suggest.

        Its edges and textures are the scene's own, so what looks for displacements may learn from
        it. What is between the bands is only the affine map of
        :func:`~hsisr_lite.baselines.srf_regression.srf_regression`, too plain to learn spectra
        from.

        Parameters
        ----------
        rng : numpy Generator

        Returns
        -------
        crop : Crop
        """
        side, few = len(self.inner), self._few(rng)
        down, right = (int(rng.integers(length - side + 1)) for length in self.scene.shape[:2])
        part = self.scene[down : down + side, right : right + side]
        part = np.rot90(part[:: rng.choice([-1, 1])], rng.integers(4))
        spectra = np.dstack([part, np.ones((side, side))]) @ self.to_spectra
        columns = [spectra @ self.srf.T, spectra[..., few], self._trusted(spectra)]
        return self._seen(np.dstack(columns).astype(np.float32), few, rng)

    def _few(self, rng):
        return np.sort(rng.permutation(self.srf.shape[1])[:_BANDS])

    def _seen(self, image, few, rng):
        """The crop of an image (side, side, MSI bands and few bands and K mixtures)."""
        side, (msi_bands, bands) = len(self.inner), self.srf.shape
        pixels = image.reshape(side**2, -1)  # (pixels, columns)
        sharp, truth, trusted = np.split(pixels, [msi_bands, msi_bands + len(few)], axis=1)

        flow = random_flow(side, side, self.misregistration, int(rng.integers(2**31)))
        reference = warp(sharp.reshape(side, side, msi_bands), flow)  # (rows, cols, msi_bands)
        reference = reference.reshape(side**2, msi_bands)  # (pixels, msi_bands)
        reference = reference + self.noise[1] * rng.standard_normal(reference.shape)
        seen = (self.noise[0] * rng.standard_normal((self.blur.shape[0], bands))).astype("f4")

        # x = Z W + b + enlarged (Y - P (Z W + b)) q, its K mixtures and its few bands
        blurred = self.blur @ reference.astype(np.float32)
        weights, mean, trust = self.start.weights, self.start.mean, self.start.trust
        left = (
            self.blur @ trusted
            + self._trusted(seen)
            - (blurred @ self.mapped_low[0] + self.mapped_low[1])
        )
        inner = reference[self.inner.ravel()]
        abundances = inner @ self.mapped[0] + self.mapped[1] + self.enlarge @ left
        left = self.blur @ truth + seen[:, few] - (blurred @ weights[:, few] + mean[few])
        first = inner @ weights[:, few] + mean[few] + self.enlarge @ (left * trust[few])

        def square(pixels):
            return pixels.reshape(self.size, self.size, -1).astype(np.float32)  # (rows, cols, ...)

        return Crop(
            square(abundances),
            square(inner),
            square(truth[self.inner.ravel()] - first),
            self.endmembers[:, few].astype(np.float32),
            flow[:, self.inner].reshape(2, self.size, self.size),  # (2, rows, cols)
        )
