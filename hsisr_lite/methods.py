"""The registry of fusion methods, and :func:`fuse`, which runs one of them on a pair."""

import inspect
import time
from contextlib import nullcontext
from importlib import import_module

from hsisr_lite.arrays import InputError

_LARGE = 10_000_000  # values of the fused image from which threads pay
# name: (room, function in it, what it does in one line)
_METHODS = {
    "bicubic": (
        "baselines.bicubic",
        "bicubic",
        "The LrHSI alone, enlarged by cubic interpolation: the floor.",
    ),
    "regression": (
        "baselines.regression",
        "regression",
        "One affine map from MSI to HSI values, learned at low resolution.",
    ),
    "regression_residual": (
        "baselines.regression",
        "regression_residual",
        "The affine map, plus the enlarged residual that it leaves at low resolution.",
    ),
    "regression_quadratic": (
        "baselines.regression",
        "regression_quadratic",
        "The same with squares and products of the MSI bands, plus the residual.",
    ),
    "srf_regression": (
        "baselines.srf_regression",
        "srf_regression",
        "An affine map learned from the LrHSI and the SRF alone: no alignment needed.",
    ),
    "cnmf": (
        "baselines.cnmf",
        "cnmf",
        "Non-negative endmembers and abundances, fitted to both images at once.",
    ),
    "fuse": (
        "baselines.sylvester",
        "fuse",
        "The most probable image under a Gaussian prior, in closed form (a Sylvester equation).",
    ),
    "hysure": (
        "baselines.hysure",
        "hysure",
        "A few subspace images that explain both observations and vary little from pixel to pixel.",
    ),
    "csu": (
        "baselines.csu",
        "csu",
        "Endmembers and abundances that sum to one, fitted to both images by projected gradients.",
    ),
    "scott": (
        "baselines.scott",
        "scott",
        "A Tucker model: row and column patterns of the MSI, spectra of the LrHSI, one core.",
    ),
    "stereo": (
        "baselines.stereo",
        "stereo",
        "A sum of rank-one cubes fitted to both images by alternating least squares.",
    ),
    "gsomp": (
        "baselines.gsomp",
        "gsomp",
        "A dictionary of spectra learned from the LrHSI; each MSI patch picks a few of them.",
    ),
    "cstf": (
        "baselines.cstf",
        "cstf",
        "A Tucker model whose core is sparse and whose three dictionaries fit both images.",
    ),
    "daem": (
        "daem.method",
        "daem",
        "DAEM's autoencoder: learn PSF and SRF from the pair, then abundances and their spectra.",
    ),
    "daem_published": (
        "daem.method",
        "daem_published",
        "The same as published: autoencoder, PSF and SRF learned together, step by step.",
    ),
    "m2unet": (
        "m2unet.pipeline",
        "m2unet",
        "M2U-Net's stages: solve for the sensors, an affine start, an untrained U-Net from there.",
    ),
    "m2unet_published": (
        "m2unet.pipeline",
        "m2unet_published",
        "The same as published: DIL-Net, SML-Net and the Dual U-Net, from random weights.",
    ),
    "uafl": (
        "uafl.method",
        "uafl",
        "Register the HrMSI, map it, and let UAFL's attention correct the abundances.",
    ),
    "uafl_published": (
        "uafl.method",
        "uafl_published",
        "UAFL's published modules for images that do not line up, trained on the pair alone.",
    ),
}


def methods():
    """Return the names of the fusion methods, each with one sentence.

    Examples
    --------
    >>> methods()["bicubic"]
    'The LrHSI alone, enlarged by cubic interpolation: the floor.'
    """
    return {name: sentence for name, (_, _, sentence) in _METHODS.items()}


def fuse(
    pair,
    method="regression_residual",
    *,
    budget=None,
    seed=0,
    device="auto",
    progress=True,
    **settings,
):
    """Fuse an observed pair into one image, fine in space and in spectrum.

    Parameters
    ----------
    pair : ObservedPair
        What was observed; it holds no ground truth, so no method can look at it.
    method : str
        One of :func:`methods`.
    budget : {"lite", "paper"}, optional
        Settings of the trained methods; default ``HSISR_BUDGET``, else ``lite``.
    seed : int
        Seed of everything random.
    device : {"auto", "cpu", "cuda"}
        Where networks run; ``auto`` follows ``HSISR_DEVICE``.
    progress : bool
        Show a progress bar where a method takes more than a moment.
    **settings
        The method's own, such as ``ranks`` of ``scott``; its docstring names them. The defaults
        follow from the pair.

    Returns
    -------
    result : FusionResult
        ``result.hr_hsi`` is (rows, cols, bands) float32 on the HrMSI's grid.

    Raises
    ------
    InputError
        No pair, or one that the method cannot use; an unknown method, setting, budget or device, a
        GPU that is not there, a seed that is no whole number.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> result = hl.fuse(hl.simulate(hl.load_scene("synthetic")), method="regression")
    >>> result.hr_hsi.shape[:2]
    (96, 96)
    """
    from hsisr_lite.budget import Run  # here: the registry itself stays light to import
    from hsisr_lite.degradation.pair import ObservedPair
    from hsisr_lite.waiting import waiting

    if not isinstance(pair, ObservedPair):
        raise InputError(
            f"fuse was given a {type(pair).__name__}: an ObservedPair is needed; make one with "
            "hl.simulate(scene) or hl.load_pair(lr, hr)."
        )
    if not isinstance(method, str) or method not in _METHODS:
        raise InputError(
            f"method '{method}' is not known: one of {', '.join(_METHODS)} is needed; "
            "hl.methods() describes them."
        )
    room, name, _ = _METHODS[method]
    function = getattr(import_module(f"hsisr_lite.{room}"), name)
    allowed = [key for key in inspect.signature(function).parameters if key not in ("pair", "run")]
    for key in settings:
        if key not in allowed:
            has = f"its settings are {', '.join(allowed)}" if allowed else "it has no settings"
            raise InputError(f"{method} has no setting '{key}': {has}; leave it out or correct it.")
    run = Run.resolve(budget=budget, seed=seed, device=device, progress=progress)
    start = time.perf_counter()
    clock = run.progress and room.startswith("baselines.")  # trained methods show their own bars
    with waiting(f"fusing by {method}", progress=clock), _threads(room, pair):
        result = function(pair, run, **settings)
    result.seconds = time.perf_counter() - start
    return result


def _threads(room, pair):
    """One BLAS thread for a classical method on a small image: several would mostly wait.

    Its matrices are so small that threads cost more than they bring, and results would depend on
    how many there are.
    """
    values = pair.hr_msi[..., 0].size * pair.lr_hsi.shape[2]
    if not room.startswith("baselines.") or values > _LARGE:
        return nullcontext()
    from threadpoolctl import threadpool_limits  # here: the registry itself stays light to import

    return threadpool_limits(1, user_api="blas")
