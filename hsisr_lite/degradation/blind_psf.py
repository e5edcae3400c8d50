r"""The PSF of a blind pair, by regularised least squares.

Seen by both sensors, the blurred MSI is a mix of the LrHSI's bands, :math:`P Z = Y S^\top`. The
left side is linear in the kernel of P: with :math:`N_m` the windows of MSI band m, one row of k k
pixels per low-resolution pixel, the kernel h solves :math:`N_m h = Y s_m` [simoes2015]_.
"""

from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.psf import FWHM_TO_SIGMA, gaussian_psf, window_start

_FEWEST = 16  # low-resolution pixels: below, there is nothing to learn from and to check on
_MOST = 2000  # low-resolution pixels are enough, and fewer where the windows are large
_EXACT = 1e-12  # of a variance: float32 images agree to 1e-7, and up to ten times that is none
_HOPELESS = 0.5  # of a variance: images that miss each other by more tell nothing of a PSF
_LEEWAY = 1.1  # a simpler kernel stays when it misses at most 10 % more than the best
_MIX_RIDGES = (1e-13, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)  # of Y's largest squared singular value
_KERNEL_RIDGES = (1.0, 0.1, 0.01, 1e-12)  # of the mean variance of a column of N
_FREE_SIDE = 16  # pixels: a larger kernel has more values than a pair can tell


class PSFEstimate(NamedTuple):
    """A kernel ``psf`` (k, k), and the sentence ``note`` that says what it is."""

    psf: np.ndarray
    note: str


def estimate_psf(pair):
    r"""The kernel that makes the two images of a pair agree.

    .. math:: \min_{h \ge 0,\ \sum h = 1}\; \lambda \lVert h - g \rVert^2 + \sum_m \min_{s_m}
              \lVert N_m h - Y s_m \rVert^2 + \varepsilon \lVert s_m \rVert^2

    A known SRF gives the :math:`s_m`; an unknown one is eliminated, for the inner minimum is linear
    in h. The prior g is the Gaussian of any centre, width and direction that fits best.

    Kernels compete, from the simplest: the block-centred Gaussian of FWHM ``ratio``; g on
    ``ratio`` x ``ratio`` pixels and on twice that side; h on both, up to 16 pixels a side, for
    several :math:`\lambda`. Each is judged by the share of the variance of :math:`N_m h` that it
    leaves unexplained on pixels that it was not learned from, and the simplest within 10 % of the
    best is taken. Where the images are out of step, by up to half a low-resolution pixel, the
    kernel's centre tells by how much.

    Parameters
    ----------
    pair : ObservedPair
        Its ``psf`` is not looked at; its ``srf`` is used where it is known.

    Returns
    -------
    estimate : PSFEstimate

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), 2, psf=[[0.5, 0.5], [0, 0]])
    >>> estimate_psf(pair).psf.round(3)
    array([[0.5, 0.5],
           [0. , 0. ]])
    """
    ratio = pair.ratio
    assumed = f"PSF unknown: assumed the block-centred Gaussian of FWHM {ratio} pixels"
    view = _look(pair)
    if view is None:
        return PSFEstimate(
            gaussian_psf(ratio), f"{assumed}; too few pixels, or too flat, to estimate it from."
        )
    block = np.zeros((2 * ratio, 2 * ratio), bool)
    inner = slice(ratio // 2, ratio // 2 + ratio)  # a pixel's own block, in the wide window
    block[inner, inner] = True
    simplest = np.zeros(block.size)
    simplest[block.ravel()] = gaussian_psf(ratio).ravel()

    epsilon = _mix_ridge(view, simplest, block.ravel())
    scored = []
    for kernel, *by_half in _candidates(view, epsilon, simplest, block.ravel()):
        scored.append((kernel, _misfit(view, by_half, epsilon)))
        if scored[-1][1] <= _EXACT:  # nothing can be better
            break
    best = min(misfit for _, misfit in scored)
    if best > _HOPELESS:
        return PSFEstimate(
            gaussian_psf(ratio), f"{assumed}; no kernel explains one image by the other."
        )
    kernel = next(kernel for kernel, misfit in scored if misfit <= _LEEWAY * best)
    if kernel is simplest:
        return PSFEstimate(
            gaussian_psf(ratio), f"{assumed}, which explains the pair as well as any other."
        )
    psf = kernel.reshape(block.shape)  # (2 ratio, 2 ratio)
    psf = psf if psf[~block].any() else psf[inner, inner]
    middle = (ratio - 1) / 2 - window_start(ratio, len(psf))
    # Adding 0 turns a rounded -0.00 into +0.00.
    down = round(psf.sum(axis=1) @ np.arange(len(psf)) - middle, 2) + 0
    right = round(psf.sum(axis=0) @ np.arange(len(psf)) - middle, 2) + 0
    return PSFEstimate(
        psf,
        f"PSF unknown: estimated from the pair by least squares, {len(psf)} x {len(psf)} pixels, "
        f"centred {down:+.2f} rows and {right:+.2f} columns off the middle of its block.",
    )


class _Part(NamedTuple):
    """Pixels to learn mixes from, and the singular value decomposition of their spectra."""

    pixels: np.ndarray  # (pixels,) bool
    left: np.ndarray
    singular: np.ndarray
    right: np.ndarray


class _View(NamedTuple):
    """Low-resolution pixels, as both sensors see them."""

    ratio: int
    windows: np.ndarray  # N: (msi_bands, pixels, 4 ratio ratio)
    spread: np.ndarray  # R with |R h|^2 = the variance of N h, over bands
    hsi: np.ndarray  # Y: (pixels, bands)
    mixed: np.ndarray | None  # Y S^T as (msi_bands, pixels), where the SRF is known
    whole: _Part
    halves: tuple[_Part, _Part]


def _look(pair):
    """The view of a pair, on evenly spread pixels with data; None when they cannot tell."""
    side = 2 * pair.ratio
    try:
        rows, cols = np.nonzero(pair.learnable(np.full((side, side), 1 / side**2)))
    except InputError:
        return None
    step = int(np.ceil(len(rows) / min(_MOST, 600_000 / side**2)))
    rows, cols = rows[::step], cols[::step]
    if len(rows) < _FEWEST:
        return None
    before = -window_start(pair.ratio, side)
    border = (before, side - pair.ratio - before)
    padded = np.pad(pair.hr_msi.astype(np.float64), (border, border, (0, 0)), mode="symmetric")
    every = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))
    windows = every[pair.ratio * rows, pair.ratio * cols]  # (pixels, msi_bands, side, side)
    windows = np.moveaxis(windows, 1, 0).reshape(len(every[0, 0]), len(rows), side * side)
    centred = windows - windows.mean(axis=1, keepdims=True)
    if np.mean(centred**2) <= _EXACT * np.mean(windows**2):
        return None
    hsi = pair.lr_hsi[rows, cols].astype(np.float64)
    even = np.arange(len(rows)) % 2 == 0
    whole, *halves = [
        _Part(part, *np.linalg.svd(hsi[part], full_matrices=False))
        for part in (np.ones(len(rows), bool), even, ~even)
    ]
    return _View(
        ratio=pair.ratio,
        windows=windows,
        spread=_compact(centred),
        hsi=hsi,
        mixed=None if pair.srf is None else pair.srf @ hsi.T,
        whole=whole,
        halves=tuple(halves),
    )


def _unexplained(view, values, epsilon, learn, test):
    """What mixes learned from some pixels leave of (msi_bands, pixels, n) values at others."""
    if view.mixed is not None:  # N h - Y s = (N - Y s 1^T) h, for kernels that sum to one
        return values[:, test.pixels] - view.mixed[:, test.pixels, None]
    # Y_test (Y^T Y + epsilon)^-1 Y^T values, by the decomposition of Y
    ridge = max(epsilon * learn.singular[0] ** 2, np.finfo(float).tiny)  # Y may be zero
    shrunk = learn.singular / (learn.singular**2 + ridge)
    mixes = shrunk[:, None] * (learn.left.T @ values[:, learn.pixels])
    return values[:, test.pixels] - view.hsi[test.pixels] @ learn.right.T @ mixes


def _misfit(view, by_half, epsilon):
    """Share of the blurred MSI's variance that each half's kernel leaves in the other half."""
    left = total = 0.0
    for kernel, learn, test in zip(by_half, view.halves, view.halves[::-1], strict=True):
        blurred = (view.windows @ kernel)[..., None]  # (msi_bands, pixels, 1)
        left += np.sum(_unexplained(view, blurred, epsilon, learn, test) ** 2)
        total += np.sum((blurred - blurred.mean(axis=1, keepdims=True))[:, test.pixels] ** 2)
    return max(left / total, _EXACT) if total > 0 else 1.0


def _mix_ridge(view, simplest, block):
    """The ridge on the mixes that predicts best: for the simplest kernel, or one it leads to.

    Under a wrong kernel every mix is wrong and a strong ridge wins, so a richer one gets a say.
    """
    if view.mixed is not None:
        return 0.0
    best = []
    for kernel in (simplest, None):
        if kernel is None:
            rest = _unexplained(view, view.windows, best[0][1], view.whole, view.whole)
            anywhere, root = np.ones_like(block), _compact(rest)
            if block.size <= _FREE_SIDE**2:
                kernel = _free_kernel(view, root, anywhere, simplest, _KERNEL_RIDGES[-1])
            else:
                kernel = _nearest_gaussian(view, root, anywhere)
        misfits = [_misfit(view, (kernel, kernel), epsilon) for epsilon in _MIX_RIDGES]
        best.append((min(misfits), _MIX_RIDGES[int(np.argmin(misfits))]))
    return min(best)[1]


def _candidates(view, epsilon, simplest, block):
    """Kernels from simple to free: each learned from all pixels, and from either half."""
    yield simplest, simplest, simplest
    roots = [
        _compact(_unexplained(view, view.windows, epsilon, part, part))
        for part in (view.whole, *view.halves)
    ]
    windows = [block, np.ones_like(block)]
    gaussians = [_nearest_gaussian(view, roots[0], window) for window in windows]
    for gaussian in gaussians:  # five numbers, which either half would give alike
        yield gaussian, gaussian, gaussian
    for window, gaussian in zip(windows, gaussians, strict=True):
        if window.sum() <= _FREE_SIDE**2:
            for strength in _KERNEL_RIDGES:
                yield tuple(_free_kernel(view, root, window, gaussian, strength) for root in roots)


def _nearest_gaussian(view, root, window):
    """The Gaussian that leaves the least share of the variance unexplained, by simplex search."""
    from scipy.optimize import minimize  # slow to import; a pair that tells nothing needs it not

    side = int(np.sqrt(window.sum()))
    middle = (view.ratio - 1) / 2 - window_start(view.ratio, side)
    row, col = (np.mgrid[:side, :side] - middle) / view.ratio
    root, spread = root[:, window], view.spread[:, window]

    def gaussian(numbers):
        down, right, narrow_down, lean, narrow_right = numbers
        # exp(-1/2 |L (d - c)|^2) with a triangular L, its diagonal exp(.) to be positive
        along = np.exp(narrow_down) * (row - down) + lean * (col - right)
        exponent = -0.5 * (along**2 + (np.exp(narrow_right) * (col - right)) ** 2)
        kernel = np.exp(exponent - exponent.max()).ravel()
        return kernel / kernel.sum()

    def share(numbers):
        kernel = gaussian(numbers)
        left, total = np.sum((root @ kernel) ** 2), np.sum((spread @ kernel) ** 2)
        return np.log(max(left, _EXACT**2) / max(total, _EXACT**2))

    start = np.array([0, 0, np.log(FWHM_TO_SIGMA), 0, np.log(FWHM_TO_SIGMA)])
    corners = start + np.vstack([np.zeros(5), np.diag([0.1, 0.1, 0.3, 0.3, 0.3])])
    found = minimize(
        share,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": corners, "maxfev": 400, "xatol": 1e-3, "fatol": 1e-4},
    )
    kernel = np.zeros(len(window))
    kernel[window] = gaussian(found.x)
    return kernel


def _free_kernel(view, root, window, prior, strength):
    """min |root h|^2 + lambda |h - prior|^2 over h >= 0, sum h = 1, on the window's pixels."""
    scale = strength * np.mean(view.spread**2) * len(view.spread)
    kernel, used = prior, window
    for _ in range(5):  # pixels that come out negative are left out of the next solve
        squares = root[:, used].T @ root[:, used] + scale * np.eye(used.sum())
        # The sum of one by its multiplier: h = free + multiplier * answer
        free, answer = np.linalg.solve(
            squares, np.column_stack([scale * prior[used], np.ones(used.sum())])
        ).T
        kernel = np.zeros(len(window))
        kernel[used] = free + (1 - free.sum()) / answer.sum() * answer
        if kernel.min() >= 0:
            break
        kernel = np.maximum(kernel, 0)
        used = kernel > 0
    return kernel / kernel.sum()


def _compact(values):
    """(msi_bands, pixels, n) values as at most n rows R with the same |R h| for every h."""
    rows = values.reshape(-1, values.shape[-1])  # (msi_bands * pixels, n)
    return np.linalg.qr(rows, mode="r") if len(rows) > rows.shape[1] else rows
