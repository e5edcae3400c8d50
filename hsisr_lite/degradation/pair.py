"""What a fusion method is given: the two observed images, and nothing of the truth."""

from dataclasses import dataclass, field

import numpy as np

from hsisr_lite.arrays import (
    InputError,
    as_image,
    as_psf,
    as_ratio,
    as_srf,
    as_wavelengths,
    warn_if_negative,
)
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.degradation.psf import gaussian_psf


@dataclass(frozen=True)
class ObservedPair:
    """A low-resolution hyperspectral and a high-resolution multispectral image of one place.

    Attributes
    ----------
    lr_hsi : (rows / ratio, cols / ratio, bands) float32
    hr_msi : (rows, cols, msi_bands) float32
        Both divided by the same number, ``meta["scale"]``.
    ratio : int
        High-resolution pixels per low-resolution pixel, along one side.
    wavelengths : (bands,) float64
        Band centres of ``lr_hsi`` in nanometres, ascending.
    psf : (k, k) float64, optional
        Non-negative, sum 1; ``None`` means unknown.
    srf : (msi_bands, bands) float64, optional
        Non-negative, rows sum to 1; ``None`` means unknown.
    msi_wavelengths : (msi_bands,) float64, optional
        Band centres of ``hr_msi`` in nanometres.
    noise : (float, float), optional
        Standard deviations of the noise on ``lr_hsi`` and ``hr_msi``; ``None`` means unknown.
    meta : dict
        What is needed to write a result back: ``scale``, ``dtype``, ``georeference``, ``notes``.
    lr_valid, hr_valid : bool arrays of the images' first two axes, optional
        False where no data were declared; ``None`` when every pixel is valid.

    Raises
    ------
    InputError
        When a part is malformed or two parts do not fit together.

    Examples
    --------
    >>> pair = ObservedPair(np.ones((2, 3, 5)), np.ones((8, 12, 2)), 4, [450, 500, 550, 600, 650])
    >>> pair.psf is None
    True
    """

    lr_hsi: np.ndarray
    hr_msi: np.ndarray
    ratio: int
    wavelengths: np.ndarray
    psf: np.ndarray | None = None
    srf: np.ndarray | None = None
    msi_wavelengths: np.ndarray | None = None
    noise: tuple[float, float] | None = None
    meta: dict = field(default_factory=dict)
    lr_valid: np.ndarray | None = None
    hr_valid: np.ndarray | None = None

    def __post_init__(self):
        put = lambda key, value: object.__setattr__(self, key, value)  # noqa: E731 (frozen)
        for key, name in (("lr_hsi", "the LrHSI"), ("hr_msi", "the HrMSI")):
            put(key, as_image(getattr(self, key), name).astype(np.float32, copy=False))
            warn_if_negative(getattr(self, key), name)
        put("ratio", as_ratio(self.ratio))
        bands, msi_bands = self.lr_hsi.shape[2], self.hr_msi.shape[2]
        put("wavelengths", as_wavelengths(self.wavelengths, bands, "the LrHSI"))
        wanted = tuple(self.ratio * size for size in self.lr_hsi.shape[:2])
        if self.hr_msi.shape[:2] != wanted:
            raise InputError(
                f"the HrMSI has {self.hr_msi.shape[0]} x {self.hr_msi.shape[1]} pixels: "
                f"{wanted[0]} x {wanted[1]} are needed, {self.ratio} times the LrHSI's "
                f"{self.lr_hsi.shape[0]} x {self.lr_hsi.shape[1]}; crop one of them or correct "
                "the ratio."
            )
        if self.psf is not None:
            put("psf", as_psf(self.psf))
        if self.srf is not None:
            put("srf", as_srf(self.srf, bands))
            if self.srf.shape[0] != msi_bands:
                raise InputError(
                    f"the SRF has {self.srf.shape[0]} rows but the HrMSI {msi_bands} bands: one "
                    "row per MSI band is needed; correct the SRF or choose the MSI's bands."
                )
        if self.msi_wavelengths is not None:
            centres = np.asarray(self.msi_wavelengths, dtype=np.float64).ravel()
            if centres.size != msi_bands:
                raise InputError(
                    f"the HrMSI has {msi_bands} bands but {centres.size} wavelengths: one band "
                    "centre per band is needed; correct the list."
                )
            put("msi_wavelengths", centres)
        if self.noise is not None and not (
            np.shape(self.noise) == (2,)
            and np.min(self.noise) >= 0
            and np.isfinite(self.noise).all()
        ):
            raise InputError(
                f"noise is {self.noise!r}: two standard deviations of at least 0 are needed, of "
                "the LrHSI and of the HrMSI; use None where they are unknown."
            )
        for key, image in (("lr_valid", self.lr_hsi), ("hr_valid", self.hr_msi)):
            valid = getattr(self, key)
            if valid is not None:
                valid = np.asarray(valid, dtype=bool)
                if valid.shape != image.shape[:2]:
                    raise InputError(
                        f"{key} has shape {valid.shape}: {image.shape[:2]} is needed to fit its "
                        "image; correct or leave it out."
                    )
                put(key, valid)
        put("meta", {"scale": 1.0, **self.meta})

    def low_msi(self, psf=None):
        """The HrMSI on the LrHSI's grid: what the coarse camera would make of it.

        Parameters
        ----------
        psf : (k, k) array, optional
            Default the pair's own; where that is unknown, the block-centred Gaussian of FWHM
            ``ratio``.

        Returns
        -------
        low_msi : (rows / ratio, cols / ratio, msi_bands) float32
            Means of the valid pixels, weighted by the PSF; 0 where it touches none.

        Examples
        --------
        >>> pair = ObservedPair(np.ones((2, 3, 1)), np.full((4, 6, 2), 0.5), 2, [500])
        >>> pair.low_msi().shape, float(pair.low_msi().max())
        ((2, 3, 2), 0.5)
        """
        if psf is None:
            psf = gaussian_psf(self.ratio) if self.psf is None else self.psf
        operator = SpatialOperator(psf, self.ratio)
        if self.hr_valid is None:
            return operator.A(self.hr_msi)
        valid = self.hr_valid[..., None].astype(np.float32)
        weight = operator.A(valid)
        return operator.A(self.hr_msi * valid) / np.where(weight > 0, weight, 1)

    def learnable(self, psf):
        """Low-resolution pixels to learn from: both images hold data under the whole PSF.

        Parameters
        ----------
        psf : (k, k) array
            The known PSF or the one assumed.

        Returns
        -------
        inside : (rows / ratio, cols / ratio) bool

        Raises
        ------
        InputError
            Fewer than two such pixels.

        Examples
        --------
        >>> pair = ObservedPair(np.ones((2, 2, 1)), np.ones((4, 4, 1)), 2, [500])
        >>> int(pair.learnable(np.full((2, 2), 0.25)).sum())
        4
        """
        inside = np.ones(self.lr_hsi.shape[:2], bool)
        if self.lr_valid is not None:
            inside &= self.lr_valid
        if self.hr_valid is not None:
            missing = (~self.hr_valid)[..., None].astype(np.float64)
            inside &= SpatialOperator(psf, self.ratio).A(missing)[..., 0] == 0
        if inside.sum() < 2:
            raise InputError(
                f"{inside.sum()} low-resolution pixels hold data in both images: at least 2 are "
                "needed to learn from; choose a smaller ratio or a larger scene."
            )
        return inside
