r"""Stage 1 without a network: what DIL-Net descends to is a least-squares problem.

:math:`N_m h = Y s_m` is linear in the kernel h and in every response :math:`s_m` at once, where
:math:`N_m` holds the windows of MSI band m. A solver for non-negative least squares finds in a
moment what Adam is still far from after thousands of steps.
"""

import numpy as np
from scipy.optimize import nnls

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.blind_psf import estimate_psf
from hsisr_lite.degradation.estimate import srf_of
from hsisr_lite.degradation.windows import windows
from hsisr_lite.m2unet.dil import Sensors

_HEAVY = 1e3  # of the equations' size: the sum of one as an equation that holds
_EXACT = 1e-12  # of a mean square: float32 images agree to 1e-7, and ten times that is no noise
_SHOWS = 1e-6  # of the largest change: float32 images round what is ten times smaller
_MOST_PIXELS = 2000  # low-resolution pixels are enough, and fewer where the windows are large
_MOST_UNKNOWNS = 4000  # a solve grows with their cube


def solve_sensors(pair):
    r"""PSF and SRF that make the two images agree, from one joint least-squares problem.

    .. math:: \min_{h,\, s_1, \dots, s_c \ge 0} \sum_m \lVert N_m h - Y s_m \rVert^2
              \quad \text{with} \quad \sum h = 1, \; \sum s_m = 1

    the squares of what DIL-Net [m2unet2024]_ sums the absolute values of, with the constraints that
    it projects to. Kernels of ``ratio`` and of twice that side are tried; one is accepted where
    both images agree to the last digit and determine it. Noise leaves no such kernel. Then a
    simpler one is most robust, as a rule a Gaussian of five numbers
    (:func:`~hsisr_lite.degradation.blind_psf.estimate_psf`), and under it the responses band by
    band (:func:`~hsisr_lite.degradation.estimate.srf_of`).

    Parameters
    ----------
    pair : ObservedPair
        A PSF or an SRF that it knows is kept as it is.

    Returns
    -------
    sensors : Sensors
        ``loss`` holds one number, the sum of absolute disagreements.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> from dataclasses import replace
    >>> known = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    >>> found = solve_sensors(replace(known, psf=None, srf=None))
    >>> bool(np.abs(found.psf - known.psf).max() < 1e-5)
    True
    """
    psf, srf, notes = pair.psf, pair.srf, []
    if psf is None:
        psf, srf = _exact_solution(pair)
        if psf is None:
            psf, note = estimate_psf(pair, assume=False)
            notes.append(note)
        else:
            both = ", together with the SRF," if pair.srf is None else ""
            notes.append(
                f"PSF unknown: {len(psf)} x {len(psf)} pixels solved for{both} by non-negative "
                "least squares."
            )
    if srf is None:
        srf, told = srf_of(pair, psf)
        notes += told
    low = pair.low_msi(psf)
    mixed = (pair.lr_hsi.astype(np.float64) @ srf.T).astype(np.float32)
    left = np.abs(mixed - low)[pair.learnable(psf)].sum(dtype=np.float64)
    learned = (psf.size if pair.psf is None else 0) + (srf.size if pair.srf is None else 0)
    return Sensors(psf, srf, mixed, low, np.array([left]), learned, notes)


def _exact_solution(pair):
    """The kernel and responses under which both images agree exactly, or None and None."""
    for size in (pair.ratio, 2 * pair.ratio):
        psf, srf, exact = joint_solution(pair, size)
        if exact:
            return psf, srf
    return None, pair.srf


def joint_solution(pair, size):
    """The joint problem of :func:`solve_sensors` for a kernel of one size.

    Parameters
    ----------
    pair : ObservedPair
        Its PSF is not looked at; its SRF is used where it is known.
    size : int
        Side of the kernel in high-resolution pixels.

    Returns
    -------
    psf : (size, size) array, or None
        None where too few pixels hold data, or too many unknowns are asked for.
    srf : (msi_bands, bands) array, or None
    exact : bool
        Whether both images agree to float32's last digits, and no other kernel would do. The
        responses may be some of many where the spectra span few dimensions.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, snr_db=30)
    >>> psf, srf, exact = joint_solution(pair, 4)
    >>> round(float(psf.sum()), 6), exact
    (1.0, False)
    """
    bands, msi_bands, taps = pair.lr_hsi.shape[2], pair.hr_msi.shape[2], size * size
    mixes = bands * msi_bands if pair.srf is None else 0
    try:
        pixels = np.flatnonzero(pair.learnable(np.full((size, size), 1 / taps)))
    except InputError:  # holes everywhere
        return None, None, False
    if taps + mixes > _MOST_UNKNOWNS:
        return None, None, False
    pixels = pixels[:: int(np.ceil(len(pixels) / min(_MOST_PIXELS, 600_000 / taps)))]
    seen = windows(pair.hr_msi, size, pair.ratio, pixels).astype(np.float64)
    hsi = pair.lr_hsi.reshape(-1, bands)[pixels].astype(np.float64)  # (pixels, bands)
    if pair.srf is None:
        system = _both_unknown(seen, hsi)
    else:  # N h = Y s 1^T h, for kernels that sum to one
        rows = (seen - (hsi @ pair.srf.T)[:, :, None]).reshape(-1, taps)  # (pixels msi_bands, k k)
        system = np.linalg.qr(rows, mode="r")
    owners = [np.arange(taps)]
    if mixes:
        owners += list(taps + np.arange(mixes).reshape(msi_bands, bands))  # one row per response
    heavy = _HEAVY * (np.linalg.norm(system) / np.sqrt(system.shape[1]) or 1.0)
    sums = np.zeros((len(owners), taps + mixes))
    for row, owner in zip(sums, owners, strict=True):
        row[owner] = heavy
    targets = np.concatenate([np.zeros(len(system)), np.full(len(owners), heavy)])
    try:
        found, _ = nnls(np.vstack([system, sums]), targets)
    except RuntimeError:  # spectra of so few dimensions that the active set goes round in circles
        return None, None, False
    parts = [found[owner] for owner in owners]
    if not all(part.sum() > 0 for part in parts):
        return None, None, False
    psf, *responses = (part / part.sum() for part in parts)
    srf = np.array(responses) if mixes else pair.srf
    blurred = seen @ psf  # (pixels, msi_bands)
    agree = np.mean((blurred - hsi @ srf.T) ** 2) <= _EXACT * np.mean(blurred**2)
    exact = agree and _determines_kernel(system, taps, found, len(pixels) * msi_bands)
    return psf.reshape(size, size), srf, bool(exact)


def _determines_kernel(system, taps, found, equations):
    """Whether agreement is proof of the kernel: some mix of bands may fit any."""
    if taps == 1 or np.count_nonzero(found) >= equations:
        return taps == 1
    positive = system[:, taps:][:, found[taps:] > 0]
    basis = np.linalg.qr(positive)[0]
    alone = system[:, :taps] - basis @ (basis.T @ system[:, :taps])
    # The kernel itself is answered by its responses; every other change must show.
    shows = np.linalg.svd(alone, compute_uv=False)[-2]
    return shows > _SHOWS * np.linalg.norm(system[:, :taps], 2)


def _both_unknown(seen, hsi):
    """Rows [N_m | 0 .. -Y .. 0] of every MSI band, turned until few are left.

    Y is the same for every band, so one orthogonal basis of its columns splits each N_m into what
    a mix of bands can answer and what the kernel alone must cancel.
    """
    msi_bands, taps = seen.shape[1:]
    basis, triangle = np.linalg.qr(hsi)
    rank, bands = triangle.shape
    stack = np.moveaxis(seen, 1, 0)  # (msi_bands, pixels, k k)
    inside = basis.T @ stack  # (msi_bands, rank, k k)
    beyond = (stack - basis @ inside).reshape(-1, taps)  # (msi_bands pixels, k k)
    beyond = np.linalg.qr(beyond, mode="r")
    rows = np.zeros((msi_bands * rank + len(beyond), taps + msi_bands * bands))
    rows[: msi_bands * rank, :taps] = inside.reshape(-1, taps)  # (msi_bands rank, k k)
    rows[: msi_bands * rank, taps:] = np.kron(np.eye(msi_bands), -triangle)
    rows[msi_bands * rank :, :taps] = beyond
    return rows
