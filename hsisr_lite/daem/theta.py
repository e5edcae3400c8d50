r"""Theta first: PSF and SRF of a blind pair from its cross-consistency, without a network."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from hsisr_lite.arrays import InputError
from hsisr_lite.daem.degradations import (
    GAUSSIANS,
    KnownPSF,
    KnownSRF,
    LearnedPSF,
    LearnedSRF,
    as_arrays,
)
from hsisr_lite.daem.losses import cross_loss
from hsisr_lite.degradation.estimate import srf_of
from hsisr_lite.degradation.psf import gaussian_psf, window_start
from hsisr_lite.degradation.windows import windows
from hsisr_lite.fitting import fit, torch_device

STEPS = 1000
_ROOT = 2.8  # over the ratio: a start of 0.36 ratio in standard deviation
_PSF_RATE, _CENTRE_RATE, _SRF_RATE = 0.08, 0.08, 0.3  # over the ratio; pixels; bands
_MOST = 2048  # low-resolution pixels: plenty for some seventy numbers
_FEWEST = 0.1  # of the ratio's windows, which a wider kernel must have to compete
_LEEWAY = 1.1  # a kernel of the ratio's size stays when the wide one misses 10 % less at most
_NOTHING = 1e-3  # of the blurred MSI's mean deviation: what 1000 steps may leave of an exact fit


class Theta(NamedTuple):
    """Both degradations as arrays, and how they came about.

    ``psf`` (k, k) and ``srf`` (msi_bands, bands) float64; ``learned`` counts the scalars that were
    learned; ``loss`` is the cross-consistency left, ``history`` its course; ``notes`` says what
    was known.
    """

    psf: np.ndarray
    srf: np.ndarray
    learned: int
    loss: float
    history: np.ndarray
    notes: list


def learn_theta(pair, run, *, size=None, centre="learned", steps=STEPS):
    r"""Learn what a pair does not know of its PSF and SRF.

    .. math:: \min_{T, c, \mu, \sigma} \lVert Y S^\top - P Z \rVert_1

    by Adam with a cosine schedule [daem2023]_. The kernel starts round, as wide as a pixel of the
    LrHSI, in the middle of its block. The SRF starts from the sensor's band centres, or, where
    these are unknown, from a non-negative least-squares estimate under that kernel
    (:func:`nnls_start`); then a second fit starts from such an estimate under the kernel that the
    first one found, and the one that leaves less is kept. Kernels of ``ratio`` and of twice that
    side compete on the same pixels: the smaller is taken where it leaves no more than the wider,
    give or take 10 % and what an exact fit has left after so many steps. Where no data leave
    hardly a window for the wider one, it does not compete.

    Parameters
    ----------
    pair : ObservedPair
        A PSF or an SRF that it knows is kept as it is.
    run : Run
    size : int, optional
        Side of the kernel, at least ``ratio``; default the choice above.
    centre : {"learned", "fixed"}
        ``fixed`` leaves it at pixel ``k // 2``, as published.
    steps : int
        Of each fit.

    Returns
    -------
    theta : Theta

    Raises
    ------
    InputError
        An unknown ``centre``, a ``size`` below the ratio.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> from hsisr_lite.budget import Run
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    >>> learn_theta(pair, Run()).learned
    0
    """
    if not (isinstance(centre, str) and centre in ("learned", "fixed")):
        raise InputError(
            f"centre is {centre!r}: 'learned' or 'fixed' is needed; leave it out to learn it."
        )
    if size is not None and not (isinstance(size, int | np.integer) and size >= pair.ratio):
        raise InputError(
            f"size is {size!r}: a whole number of at least the ratio, {pair.ratio}, is needed as "
            "the side of the PSF; leave it out to let the pair decide."
        )
    if pair.psf is not None and pair.srf is not None:
        return Theta(pair.psf, pair.srf, 0, 0.0, np.zeros(0), [])
    if pair.psf is not None:
        sizes = [len(pair.psf)]
    else:
        sizes = [pair.ratio, 2 * pair.ratio] if size is None else [int(size)]
    sizes, pixels = _usable(pair, sizes, run.seed)
    found = [_learn_at(pair, run, pixels, side, centre, steps) for side in sizes]
    chosen = found[0]
    if len(found) == 2:
        level = pair.low_msi(gaussian_psf(pair.ratio)).reshape(-1, pair.hr_msi.shape[2])[pixels]
        nothing = _NOTHING * np.abs(level - level.mean(axis=0)).mean()
        if found[0].loss > _LEEWAY * found[1].loss + nothing:
            chosen = found[1]
    return chosen


def nominal_start(wavelengths, msi_wavelengths):
    """Gaussians around the sensor's band centres, halfway to the next band on either side.

    Returns
    -------
    start : (msi_bands, 4, 2) float64 array
        Centres and widths in bands of the LrHSI.

    Examples
    --------
    >>> nominal_start([400, 500, 600, 700, 800], [500, 700])[:, :, 0].mean(axis=1)
    array([1., 3.])
    """
    at = np.interp(msi_wavelengths, wavelengths, np.arange(len(wavelengths)))
    apart = np.diff(np.sort(at)) if len(at) > 1 else np.array([len(wavelengths) / 2])
    return _around(at, np.full(len(at), max(np.median(apart) / 2, 1.0)))


def nnls_start(pair, psf):
    """Gaussians where a non-negative least-squares estimate of the SRF has its weight.

    Such an estimate is a few spikes, and other spikes fit nearly as well; so only its median and
    the span of its middle two thirds are kept.

    Returns
    -------
    start : (msi_bands, 4, 2) float64 array
        Centres and widths in bands.
    """
    rows, _ = srf_of(replace(pair, srf=None), psf)
    edges = np.arange(rows.shape[1] + 1) - 0.5
    share = np.hstack([np.zeros((len(rows), 1)), rows.cumsum(axis=1)])
    low, middle, high = np.array([np.interp([0.16, 0.5, 0.84], s / s[-1], edges) for s in share]).T
    return _around(middle, np.maximum((high - low) / 2, 1.5))


def _around(middle, width):
    """Four Gaussians from one width below the middle to one above, overlapping."""
    centres = middle[:, None] + width[:, None] * np.linspace(-1, 1, GAUSSIANS)
    return np.stack([centres, np.repeat(0.6 * width[:, None], GAUSSIANS, axis=1)], axis=-1)


def _usable(pair, sizes, seed):
    """The sizes that can be judged, and the low-resolution pixels, flat, to judge them all on."""
    pixels = np.flatnonzero(pair.learnable(np.full((sizes[0],) * 2, sizes[0] ** -2.0)))
    if len(sizes) == 2:
        try:
            wide = np.flatnonzero(pair.learnable(np.full((sizes[1],) * 2, sizes[1] ** -2.0)))
        except InputError:  # holes everywhere
            wide = pixels[:0]
        if len(wide) < _FEWEST * len(pixels):
            sizes = sizes[:1]
        else:
            pixels = wide
    if len(pixels) > _MOST:
        pixels = np.sort(np.random.default_rng(seed).choice(pixels, _MOST, replace=False))
    return sizes, pixels


def _learn_at(pair, run, pixels, size, centre, steps):
    """The better of the fits from each start of the SRF, with a kernel of one size."""
    images = _Images.of(pair, pixels, size, torch_device(run))
    assumed = gaussian_psf(pair.ratio) if pair.psf is None else pair.psf
    if pair.srf is not None:
        return images.learn(pair, run, size, centre, steps, None)
    nominal = pair.msi_wavelengths is not None and np.isfinite(pair.msi_wavelengths).all()
    if nominal:
        start = nominal_start(pair.wavelengths, pair.msi_wavelengths)
    else:
        start = nnls_start(pair, assumed)
    first = images.learn(pair, run, size, centre, steps, start)
    if pair.psf is not None and not nominal:
        return first  # the second start would be the first
    again = images.learn(pair, run, size, centre, steps, nnls_start(pair, first.psf))
    return min(first, again, key=lambda theta: theta.loss)


class _Images(NamedTuple):
    """What the cross-consistency sees of a pair: spectra, and the windows under the kernel."""

    lr_hsi: torch.Tensor  # (pixels, bands)
    hr_msi: torch.Tensor  # (pixels, msi_bands, k k)

    @classmethod
    def of(cls, pair, pixels, size, device):
        hsi = pair.lr_hsi.reshape(-1, pair.lr_hsi.shape[2])[pixels]  # (pixels, bands)
        seen = windows(pair.hr_msi, size, pair.ratio, pixels)
        return cls(torch.from_numpy(hsi).to(device), torch.from_numpy(seen).to(device))

    def learn(self, pair, run, size, centre, steps, start):
        """One fit; ``start`` of the SRF is None where the SRF is known."""
        groups, learn_centre = [], centre == "learned"
        if pair.psf is None:
            middle = (pair.ratio - 1) / 2 - window_start(pair.ratio, size)
            at = middle if learn_centre else size // 2
            psf = LearnedPSF(size, root=_ROOT / pair.ratio, centre=at, learn_centre=learn_centre)
            groups.append({"params": [psf.root], "lr": _PSF_RATE / pair.ratio})
            if learn_centre:
                groups.append({"params": [psf.centre], "lr": _CENTRE_RATE})
        else:
            psf = KnownPSF(pair.psf)
        if pair.srf is None:
            srf = LearnedSRF(torch.as_tensor(start, dtype=torch.float32), self.lr_hsi.shape[1])
            groups.append({"params": [srf.gaussians], "lr": _SRF_RATE})
        else:
            srf = KnownSRF(pair.srf)
        psf, srf = psf.to(self.lr_hsi.device), srf.to(self.lr_hsi.device)
        unit = max(self.hr_msi.abs().mean().item(), 1e-30)  # Adam's epsilon must stay out of it

        def loss():
            lr_msi = self.hr_msi @ psf.kernel().reshape(-1)  # (pixels, msi_bands)
            return cross_loss(self.lr_hsi, lr_msi, srf.matrix()) / unit

        text = f"learning PSF and SRF ({size} x {size})"
        history = unit * fit(loss, groups, steps, run=run, text=text)
        with torch.no_grad():
            left = unit * loss().item()
        learned = sum(p.numel() for group in groups for p in group["params"])
        return Theta(*as_arrays(pair, psf, srf), learned, left, history, _sentences(pair, size))


def _sentences(pair, size):
    notes = []
    if pair.psf is None:
        notes.append(f"PSF unknown: a Gaussian of {size} x {size} pixels was learned.")
    if pair.srf is None:
        notes.append(f"SRF unknown: {GAUSSIANS} Gaussians per band were learned.")
    return notes
