"""What a fusion gives back, and how it is written to a file."""

from dataclasses import dataclass, field

import numpy as np

from hsisr_lite.arrays import InputError


@dataclass
class FusionResult:
    """A fused image with everything that the method learned on the way.

    Attributes
    ----------
    hr_hsi : (rows, cols, bands) float32
        On the HrMSI's grid, in the units of the pair.
    psf, srf : arrays, optional
        Known or estimated degradations, in the conventions of :class:`ObservedPair`.
    abundances, endmembers : arrays, optional
        (rows, cols, materials) and (materials, bands), for methods that unmix.
    history : dict
        Curves recorded while training.
    seconds : float
        Time that the method took.
    parameters : int
        Number of learned scalars.
    notes : list of str
        What was assumed or estimated, in sentences.
    wavelengths : (bands,) float64, optional
        Nanometres.
    meta : dict
        Scale, stored type, no-data value and georeference for :func:`save`.
    valid : (rows, cols) bool, optional
        False where the inputs held no data.
    """

    hr_hsi: np.ndarray
    psf: np.ndarray | None = None
    srf: np.ndarray | None = None
    abundances: np.ndarray | None = None
    endmembers: np.ndarray | None = None
    history: dict = field(default_factory=dict)
    seconds: float = 0.0
    parameters: int = 0
    notes: list[str] = field(default_factory=list)
    wavelengths: np.ndarray | None = None
    meta: dict = field(default_factory=dict)
    valid: np.ndarray | None = None

    @classmethod
    def of(cls, pair, hr_hsi, **learned):
        """Wrap a fused image with what its pair knows about units, place and no-data."""
        valid = pair.hr_valid
        if pair.lr_valid is not None:
            wide = np.ones((pair.ratio, pair.ratio), bool)
            covered = np.kron(pair.lr_valid, wide)  # (rows, cols)
            valid = covered if valid is None else valid & covered
        return cls(
            np.asarray(hr_hsi, dtype=np.float32),
            wavelengths=pair.wavelengths,
            meta=dict(pair.meta),
            valid=valid,
            **learned,
        )


def save(result, path, *, progress=True):
    """Write a result as ENVI, MAT, NPZ or GeoTIFF, chosen by the suffix of ``path``.

    Values go back to the LrHSI's units and type, invalid pixels to its no-data value; wavelengths
    and georeference are kept. The file appears under its name only once it is complete.

    Parameters
    ----------
    result : FusionResult
    path : str or Path
        Ends in ``.hdr``, ``.mat``, ``.npz``, ``.tif`` or ``.tiff``.
    progress : bool
        Show a clock when writing takes more than a moment.

    Raises
    ------
    InputError
        An unknown suffix, or a result without wavelengths.
    OSError
        A folder that does not exist or cannot be written.

    Examples
    --------
    >>> import hsisr_lite as hl, tempfile, pathlib
    >>> result = hl.fuse(hl.simulate(hl.load_scene("synthetic")))
    >>> folder = tempfile.mkdtemp()
    >>> hl.save(result, pathlib.Path(folder) / "fused.npz").name
    'fused.npz'
    """
    from hsisr_lite.scenes.writers import write_image  # the formats' libraries load only here

    if not isinstance(result, FusionResult):
        raise InputError(
            f"what is to be saved is of type {type(result).__name__}: a FusionResult is needed; "
            "save what fuse returns, or FusionResult(image, wavelengths=[...])."
        )
    if result.wavelengths is None:
        raise InputError(
            "the result has no wavelengths: band centres in nanometres are needed in the file; "
            "set result.wavelengths."
        )
    return write_image(
        path,
        result.hr_hsi,
        wavelengths=result.wavelengths,
        meta=result.meta,
        valid=result.valid,
        progress=progress,
    )
