r"""The PSF of a blind pair, by regularised least squares.

Seen by both sensors, the blurred MSI is a mix of the LrHSI's bands, :math:`P Z = Y S^\top`. The
left side is linear in the kernel of P: with :math:`N_m` the windows of MSI band m, one row of k k
pixels per low-resolution pixel, the kernel h solves :math:`N_m h = Y s_m` [simoes2015]_.
"""

from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.noise import grain_variance
from hsisr_lite.degradation.psf import gaussian_psf, window_start
from hsisr_lite.degradation.psf_fit import compact, free_kernel, nearest_gaussian, without
from hsisr_lite.degradation.windows import windows

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


def estimate_psf(pair, *, assume=True):
    r"""The kernel that makes the two images of a pair agree.

    .. math:: \min_{h \ge 0,\ \sum h = 1}\; \lambda \lVert h - g \rVert^2 + \sum_m \min_{s_m}
              \lVert N_m h - Y s_m \rVert^2 + \varepsilon \lVert s_m \rVert^2

    A known SRF gives the :math:`s_m`; an unknown one is eliminated, for the inner minimum is linear
    in h. The prior g is the Gaussian of any centre, width and direction that fits best.

    Kernels compete, from the simplest: the block-centred Gaussian of FWHM ``ratio``; g on
    ``ratio`` x ``ratio`` pixels and on twice that side; h on both, up to 16 pixels a side, for
    several :math:`\lambda`. Each is judged by the share of the variance of :math:`N_m h` that it
    leaves unexplained on pixels that it was not learned from; the simplest within 10 % of the best
    is taken, and the first unless the best beats it by two standard errors.

    The MSI's noise adds :math:`\sigma_m^2 \lVert h \rVert^2` per pixel, so wide kernels would win
    by averaging it: it is subtracted from both variances. An unknown :math:`\sigma_m^2` is the
    least that the kernels' misfits allow, and at most the variance of the image's finest grain.

    Parameters
    ----------
    pair : ObservedPair
        Its ``psf`` is not looked at; its ``srf`` is used where it is known.
    assume : bool
        Whether the first kernel may win: it stands for what is known of sensors in general, and is
        kept where a pair hardly tells it from its neighbours. False lets the pair alone decide.

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
    plain = gaussian_psf(ratio)
    view = _look(pair)
    if view is None:
        return PSFEstimate(plain, f"{assumed}; too few pixels, or too flat, to estimate it from.")
    block = np.zeros((2 * ratio, 2 * ratio), bool)
    inner = slice(ratio // 2, ratio // 2 + ratio)  # a pixel's own block, in the wide window
    block[inner, inner] = True
    simplest = np.zeros(block.size)
    simplest[block.ravel()] = plain.ravel()

    epsilon = _mix_ridge(view, simplest, block.ravel())
    kernels, scores = _compete(view, epsilon, simplest, block.ravel())
    best = min(score.misfit for score in scores)
    if best > _HOPELESS:
        return PSFEstimate(plain, f"{assumed}; no kernel explains one image by the other.")
    if pair.noise is None and best > _EXACT:
        most = np.min([score.most for score in scores], axis=0)
        view = view._replace(noise=np.minimum(most, grain_variance(pair)))
        kernels, scores = _compete(view, epsilon, simplest, block.ravel())
    # Each as if it passed as much noise as the simplest does, for 10 % of what is visible
    misfits = np.array([score.misfit for score in scores]) + scores[0].noise
    best = np.argmin(misfits)
    good = misfits <= _LEEWAY * misfits[best]
    gain = scores[0].pixels - scores[best].pixels
    good[0] |= misfits[0] - misfits[best] <= 2 * np.sqrt(len(gain)) * gain.std()
    if not assume and len(kernels) > 1:
        good[0] = best == 0
    kernel = kernels[np.argmax(good)]
    if kernel is simplest:
        return PSFEstimate(plain, f"{assumed}, which explains the pair as well as any other.")
    psf = kernel.reshape(block.shape)  # (2 ratio, 2 ratio)
    psf = psf if psf[~block].any() else psf[inner, inner]
    middle = (ratio - 1) / 2 - window_start(ratio, len(psf))
    # Adding 0 turns a rounded -0.00 into +0.00.
    down = round(psf.sum(axis=1) @ np.arange(len(psf)) - middle, 2) + 0
    right = round(psf.sum(axis=0) @ np.arange(len(psf)) - middle, 2) + 0
    note = (
        f"PSF unknown: estimated from the pair by least squares, {len(psf)} x {len(psf)} pixels, "
        f"centred {down:+.2f} rows and {right:+.2f} columns off the middle of its block"
    )
    if max(abs(down), abs(right)) > 0.5:
        note += "; the images may be out of step, and the result lies on the HrMSI's grid"
    return PSFEstimate(psf, f"{note}.")


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
    noise: np.ndarray  # (msi_bands,) variances of the MSI's noise
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
    pixels = np.ravel_multi_index((rows, cols), pair.lr_hsi.shape[:2])
    seen = windows(pair.hr_msi, side, pair.ratio, pixels).astype(np.float64)
    seen = np.ascontiguousarray(np.moveaxis(seen, 1, 0))  # (msi_bands, pixels, 4 ratio ratio)
    centred = seen - seen.mean(axis=1, keepdims=True)
    if np.mean(centred**2) <= _EXACT * np.mean(seen**2):
        return None
    hsi = pair.lr_hsi[rows, cols].astype(np.float64)
    even = np.arange(len(rows)) % 2 == 0
    whole, *halves = [
        _Part(part, *np.linalg.svd(hsi[part], full_matrices=False))
        for part in (np.ones(len(rows), bool), even, ~even)
    ]
    noise = np.full(len(seen), 0.0 if pair.noise is None else pair.noise[1] ** 2)
    mixed = None if pair.srf is None else pair.srf @ hsi.T
    return _View(pair.ratio, seen, compact(centred), noise, hsi, mixed, whole, tuple(halves))


def _unexplained(view, values, epsilon, learn, test):
    """What mixes learned from some pixels leave of values at others, and of unit white noise."""
    # values: (msi_bands, pixels, n); of the noise, the sum of squares
    count = test.pixels.sum()
    if view.mixed is not None:  # N h - Y s = (N - Y s 1^T) h, for kernels that sum to one
        return values[:, test.pixels] - view.mixed[:, test.pixels, None], count
    # Y_test (Y^T Y + epsilon)^-1 Y^T values, by the decomposition of Y
    ridge = max(epsilon * learn.singular[0] ** 2, np.finfo(float).tiny)  # Y may be zero
    shrunk = learn.singular / (learn.singular**2 + ridge)
    mixes = view.hsi[test.pixels] @ (learn.right.T * shrunk)
    own = np.sum(mixes * test.left) if learn is test else 0
    rest = values[:, test.pixels] - mixes @ (learn.left.T @ values[:, learn.pixels])
    return rest, count + np.sum(mixes**2) - 2 * own


class _Score(NamedTuple):
    """How a kernel serves, in shares of the variance of the blurred MSI without its noise."""

    misfit: float  # what it leaves unexplained, less noise
    noise: float  # what it passes of the noise
    pixels: np.ndarray  # (pixels,) what it leaves of each, with noise
    most: np.ndarray  # (msi_bands,) the variance of noise that would leave as much


def _score(view, by_half, epsilon):
    """What each half's kernel leaves of the blurred MSI's variance in the other half."""
    squares, total, passed = [], 0.0, 0.0
    for kernel, learn, test in zip(by_half, view.halves, view.halves[::-1], strict=True):
        blurred = (view.windows @ kernel)[..., None]  # (msi_bands, pixels, 1)
        rest, white = _unexplained(view, blurred, epsilon, learn, test)
        squares.append(rest[..., 0] ** 2)
        total += np.sum((blurred - blurred.mean(axis=1, keepdims=True))[:, test.pixels] ** 2)
        passed += white * np.sum(kernel**2)
    squares = np.hstack(squares)  # (msi_bands, pixels)
    left = squares.sum(axis=1)
    noise = np.minimum(view.noise * passed, left).sum()
    signal = total - noise
    if signal <= 0:
        return _Score(1.0, 0.0, np.zeros(squares.shape[1]), left / passed)
    misfit = max((left.sum() - noise) / signal, _EXACT)
    return _Score(misfit, noise / signal, squares.sum(axis=0) / signal, left / passed)


def _mix_ridge(view, simplest, block):
    """The ridge on the mixes that predicts best: for the simplest kernel, or one it leads to.

    Under a wrong kernel every mix is wrong and a strong ridge wins, so a richer one gets a say.
    """
    if view.mixed is not None:
        return 0.0
    view, best = view._replace(noise=0 * view.noise), []
    for richer in (False, True):
        kernel = simplest
        if richer:
            rest, _ = _unexplained(view, view.windows, best[0][1], view.whole, view.whole)
            anywhere, root = np.ones_like(block), compact(rest)
            if block.size <= _FREE_SIDE**2:
                kernel = free_kernel(view, root, anywhere, simplest, _KERNEL_RIDGES[-1])
            else:
                kernel = nearest_gaussian(view, root, anywhere)
        best.append(min((_score(view, (kernel, kernel), e).misfit, e) for e in _MIX_RIDGES))
    return min(best)[1]


def _compete(view, epsilon, simplest, block):
    """The candidates and their scores, until one explains everything."""
    kernels, scores = [], []
    for kernel, *by_half in _candidates(view, epsilon, simplest, block):
        kernels.append(kernel)
        scores.append(_score(view, by_half, epsilon))
        if scores[-1].misfit <= _EXACT and not view.noise.any():  # nothing can be better
            break
    return kernels, scores


def _candidates(view, epsilon, simplest, block):
    """Kernels from simple to free: each learned from all pixels, and from either half."""
    yield simplest, simplest, simplest
    noise, roots = view.noise.sum(), []
    for part in (view.whole, *view.halves):
        rest, white = _unexplained(view, view.windows, epsilon, part, part)
        roots.append(without(compact(rest), noise * white))
    view = view._replace(spread=without(view.spread, noise * len(view.hsi)))
    windows = [block, np.ones_like(block)]
    gaussians = [nearest_gaussian(view, roots[0], window) for window in windows]
    for gaussian in gaussians:  # five numbers, which either half would give alike
        yield gaussian, gaussian, gaussian
    for window, gaussian in zip(windows, gaussians, strict=True):
        if window.sum() <= _FREE_SIDE**2:
            for strength in _KERNEL_RIDGES:
                yield tuple(free_kernel(view, root, window, gaussian, strength) for root in roots)
