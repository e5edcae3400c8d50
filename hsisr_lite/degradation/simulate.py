"""Wald's protocol: make an observed pair from a scene whose truth is known [wald1997]_."""

import numpy as np

from hsisr_lite.arrays import InputError, as_psf, as_ratio, check_divisible
from hsisr_lite.degradation.noise import add_noise, noise_sd
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.degradation.srf import sensor_srf
from hsisr_lite.scenes.scene import Scene


def simulate(
    scene,
    ratio=4,
    sensor="worldview2",
    *,
    psf=None,
    snr_db=None,
    blind=True,
    seed=0,
    crop=True,
    strict=False,
):
    r"""Degrade a scene into the pair that two sensors would have seen.

    .. math:: Y = P X + n_Y, \qquad Z = X S^\top + n_Z

    Parameters
    ----------
    scene : Scene
        The truth; the pair keeps none of it.
    ratio : int
        High-resolution pixels per low-resolution pixel, along one side.
    sensor : str or ResponseTable
        Of the multispectral image; see :func:`hsisr_lite.sensors`.
    psf : (k, k) array, optional
        Default the block-centred Gaussian of FWHM ``ratio``.
    snr_db : float, optional
        Signal-to-noise ratio of both images in decibels; ``None`` adds no noise.
    blind : bool
        Withhold PSF, SRF and noise level from the pair (``None`` means unknown).
    seed : int
        Seed of the noise.
    crop : bool
        Crop rows at the bottom and columns at the right to a multiple of ``ratio`` (said in
        ``pair.meta["notes"]``); ``False`` raises instead.
    strict : bool
        Raise when the scene covers less than half of an MSI band, instead of dropping it.

    Returns
    -------
    pair : ObservedPair

    Raises
    ------
    InputError
        A ratio that does not fit, an unknown sensor, no MSI band inside the scene's range.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=8)
    >>> pair.lr_hsi.shape[:2], pair.hr_msi.shape
    ((12, 12), (96, 96, 8))
    """
    ratio = as_ratio(ratio)
    if not isinstance(scene, Scene):
        raise InputError(
            f"the scene is of type {type(scene).__name__}: a Scene is needed; make one with "
            "load_scene(name_or_path), or with Scene(name, cube, wavelengths)."
        )
    if min(scene.rows, scene.cols) < ratio:
        raise InputError(
            f"ratio {ratio} is larger than scene '{scene.name}' ({scene.rows} x {scene.cols}): "
            f"at most {min(scene.rows, scene.cols)} is possible; choose a smaller ratio."
        )
    psf = gaussian_psf(ratio) if psf is None else as_psf(psf)
    notes = list(scene.meta.get("notes", []))
    if not crop:
        check_divisible(scene.rows, scene.cols, ratio)
    rows, cols = scene.rows - scene.rows % ratio, scene.cols - scene.cols % ratio
    if (rows, cols) != (scene.rows, scene.cols):
        notes.append(
            f"cropped from {scene.rows} x {scene.cols} to {rows} x {cols} pixels, a multiple of "
            f"ratio {ratio}"
        )
    cube = scene.cube[:rows, :cols]
    response = sensor_srf(sensor, scene.wavelengths, fwhm=scene.meta.get("fwhm"), strict=strict)
    spatial = SpatialOperator(psf, ratio)
    lr_hsi = spatial.A(cube)
    hr_msi = SpectralOperator(response.srf).A(cube)
    noise = (0.0, 0.0)
    if snr_db is not None:
        rng = np.random.default_rng(seed)
        noise = (noise_sd(lr_hsi, snr_db), noise_sd(hr_msi, snr_db))
        lr_hsi, hr_msi = add_noise(lr_hsi, noise[0], rng), add_noise(hr_msi, noise[1], rng)
    lr_valid = hr_valid = None
    if scene.valid is not None:
        hr_valid = scene.valid[:rows, :cols]
        # A low-resolution pixel is valid when no invalid pixel lies under its PSF.
        lr_valid = spatial.A((~hr_valid)[..., None].astype(np.float64))[..., 0] == 0
    kept = ("scale", "dtype", "units", "nodata", "fwhm", "georeference", "pixel_size_m")
    meta = {key: scene.meta[key] for key in kept if key in scene.meta}
    return ObservedPair(
        lr_hsi,
        hr_msi,
        ratio,
        scene.wavelengths,
        psf=None if blind else psf,
        srf=None if blind else response.srf,
        msi_wavelengths=response.centres,
        noise=None if blind else noise,
        meta={**meta, "name": scene.name, "msi_bands": response.names, "notes": notes},
        lr_valid=lr_valid,
        hr_valid=hr_valid,
    )
