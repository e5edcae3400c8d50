"""A scene: one hyperspectral cube, its wavelengths, and what is known about it."""

from dataclasses import dataclass, field

import numpy as np

from hsisr_lite.arrays import InputError, as_image, as_wavelengths, warn_if_negative


@dataclass(frozen=True)
class Scene:
    """A hyperspectral cube with its wavelengths and, where known, its materials.

    Attributes
    ----------
    name : str
        What figures and tables call it.
    cube : (rows, cols, bands) float32
        Reflectance near [0, 1]; values outside are legal (noise, glints) and never clipped.
    wavelengths : (bands,) float64
        Band centres in nanometres, ascending.
    endmembers : (materials, bands) float32, optional
        One spectrum per material, in the units of ``cube``.
    abundances : (rows, cols, materials) float32, optional
        Share of each material in each pixel.
    meta : dict
        ``scale`` (what stored values were divided by), ``materials``, ``fwhm``, ``georeference``,
        ``units``, ``licence``, ``citation``, ``notes`` and the like.
    valid : (rows, cols) bool, optional
        False where the source declared no data; ``None`` when every pixel is valid.

    Raises
    ------
    InputError
        A cube that is not (rows, cols, bands) or holds NaN; wavelengths that are missing,
        repeated, not ascending or not in nanometres; parts whose shapes do not fit together.

    Examples
    --------
    >>> scene = Scene("grey", np.full((4, 4, 2), 0.5), [500, 600])
    >>> scene.cube.dtype, scene.bands
    (dtype('float32'), 2)
    """

    name: str
    cube: np.ndarray
    wavelengths: np.ndarray
    endmembers: np.ndarray | None = None
    abundances: np.ndarray | None = None
    meta: dict = field(default_factory=dict)
    valid: np.ndarray | None = None

    def __post_init__(self):
        put = lambda key, value: object.__setattr__(self, key, value)  # noqa: E731 (frozen)
        put("cube", as_image(self.cube, f"scene '{self.name}'").astype(np.float32, copy=False))
        put("wavelengths", as_wavelengths(self.wavelengths, self.bands, f"scene '{self.name}'"))
        put("meta", {"scale": 1.0, **self.meta})
        for key, shape in self._optional_shapes().items():
            value = getattr(self, key)
            if value is None:
                continue
            value = np.asarray(value, dtype=bool if key == "valid" else np.float32)
            if value.shape != shape:
                raise InputError(
                    f"the {key} of scene '{self.name}' have shape {value.shape}: {shape} is "
                    "needed to fit its cube; correct or leave them out."
                )
            put(key, value)
        warn_if_negative(self.cube, f"scene '{self.name}'")

    def _optional_shapes(self):
        rows, cols, bands = self.cube.shape
        known = self.endmembers if self.endmembers is not None else self.abundances
        materials = 0
        if known is not None:
            materials = np.shape(known)[0 if self.endmembers is not None else -1]
        return {
            "endmembers": (materials, bands),
            "abundances": (rows, cols, materials),
            "valid": (rows, cols),
        }

    @property
    def rows(self):
        """Rows of the cube."""
        return self.cube.shape[0]

    @property
    def cols(self):
        """Columns of the cube."""
        return self.cube.shape[1]

    @property
    def bands(self):
        """Bands of the cube."""
        return self.cube.shape[2]
