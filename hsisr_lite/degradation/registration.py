r"""Registration: bring the HrMSI back into the LrHSI's frame.

Both images can be made to look alike, :math:`P Z \approx Y S^\top`, so a flow between them can be
found. It says where in the HrMSI to look for each pixel, and undoes what
:func:`hsisr_lite.misregister` did.
"""

import numpy as np
from scipy.ndimage import correlate, map_coordinates

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.estimate import psf_of, srf_of
from hsisr_lite.degradation.flows import affine_flow, warp
from hsisr_lite.degradation.misregistration import check_pair, seen_through, without_holes
from hsisr_lite.degradation.psf import window_start

_ATTACHMENT = 10.0  # skimage's weight of the image against the flow's smoothness; its default is 15
_ROUNDS = 2  # of the affine part: the second begins within a pixel, where the flow is reliable


def register(pair, by="model"):
    r"""Warp the HrMSI of a pair so that it lines up with the LrHSI.

    Parameters
    ----------
    pair : ObservedPair
        One whose sensors are known registers better.
    by : {"model", "optical_flow"}
        ``model`` minimises :math:`\lVert P \tilde Z - Y S^\top \rVert^2` over smooth flows; an
        unknown SRF it does without, and an unknown PSF it estimates once the pair is registered.
        ``optical_flow`` runs an affine fit and TV-L1 on two images made to look alike; what is
        unknown it estimates from the pair as it stands, misaligned.

    Returns
    -------
    pair : ObservedPair
        With a warped ``hr_msi``, and ``hr_valid`` where the pair has it.
    flow : (2, rows, cols) float64 array
        The flow that it was warped by: (down, right) in high-resolution pixels.

    Raises
    ------
    InputError
        No pair, another word for ``by``, or fewer than two coarse pixels with data in both images.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), blind=False)
    >>> seen, flow = hl.misregister(pair, "realistic")
    >>> registered, found = hl.register(seen, by="optical_flow")
    >>> error = np.abs(registered.hr_msi - pair.hr_msi).mean()
    >>> bool(error < 0.5 * np.abs(seen.hr_msi - pair.hr_msi).mean())
    True
    """
    check_pair(pair, "register")
    if not isinstance(by, str) or by not in ("model", "optical_flow"):
        raise InputError(
            f"by is {by!r}: 'model' or 'optical_flow' is needed; 'model' is the more exact one."
        )
    if by == "model":
        from hsisr_lite.degradation.model_registration import register_by_model as find
    else:
        find = register_by_optical_flow
    flow = find(pair)
    return seen_through(pair, flow), flow


def register_by_optical_flow(pair):
    r"""The flow that undoes a misregistration, by an affine fit and TV-L1 [zach2007]_.

    The LrHSI as the MSI's bands see it, :math:`Y S^\top`, is enlarged; the HrMSI is blurred by the
    PSF on its own grid. Each becomes one standardised image, the mean of its bands, and TV-L1 finds

    .. math:: \min_f \int \lambda \, \lvert z(p + f(p)) - y(p) \rvert + \lvert \nabla f(p) \rvert
              \, dp

    An affine map is fitted to the flow by least squares, twice, as the first comes from images too
    far apart; a last TV-L1 finds what is not affine. An unknown PSF or SRF is estimated from the
    pair as it stands, misaligned: the flow is then the worse for it.

    Parameters
    ----------
    pair : ObservedPair

    Returns
    -------
    flow : (2, rows, cols) float64 array
        ``warp(pair.hr_msi, flow)`` is in the LrHSI's frame.

    Raises
    ------
    InputError
        An HrMSI of a single row or column, or fewer than two coarse pixels with data in both
        images.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> pair = hl.simulate(hl.load_scene("synthetic"), blind=False)
    >>> seen, flow = hl.misregister(pair, affine_flow(96, 96, translation=(2, -1)))
    >>> np.median(register_by_optical_flow(seen), axis=(1, 2)).round()
    array([-2.,  1.])
    """
    if min(pair.hr_msi.shape[:2]) < 2:
        raise InputError(
            f"the HrMSI has {pair.hr_msi.shape[0]} x {pair.hr_msi.shape[1]} pixels: at least 2 x 2 "
            "are needed for optical flow; register by='model' or take a larger scene."
        )
    psf, _ = psf_of(pair)
    pair.learnable(psf)  # raises where there is nothing to go by
    srf, _ = srf_of(pair, psf)
    low = without_holes(pair.lr_hsi, pair.lr_valid).astype(np.float64) @ srf.mean(axis=0)
    high = without_holes(pair.hr_msi, pair.hr_valid).astype(np.float64).mean(axis=-1)
    goal = _standardised(_enlarged(low, psf, pair.ratio))
    flow = np.zeros((2, *high.shape))
    for _ in range(_ROUNDS):
        flow = _affine_part(_refined(flow, goal, high, psf))
    return _refined(flow, goal, high, psf)


def _refined(flow, goal, high, psf):
    """``flow``, followed by the TV-L1 flow of what it leaves."""
    from skimage.registration import optical_flow_tvl1  # half a second to import

    moving = _standardised(_blurred(warp(high, flow), psf))
    rest = optical_flow_tvl1(goal, moving, attachment=_ATTACHMENT).astype(np.float64)
    # Z(q + f(q)) seen at q = p + g(p) is Z(p + g(p) + f(p + g(p))).
    return rest + np.stack([warp(part, rest) for part in flow])


def _affine_part(flow):
    """The affine flow nearest to a flow, by least squares."""
    rows, cols = flow.shape[1:]
    places = np.mgrid[:rows, :cols].reshape(2, -1)  # (2, pixels)
    terms = np.vstack([np.ones(rows * cols), places]).T  # (pixels, 3)
    weights = np.linalg.lstsq(terms, flow.reshape(2, -1).T, rcond=None)[0]  # (pixels, 2) to fit
    return (terms @ weights).T.reshape(flow.shape)  # (2, rows, cols)


def _enlarged(low, psf, ratio):
    """A coarse image on the fine grid, each pixel where the PSF measured it."""
    centre = window_start(ratio, len(psf)) + _middle(psf)[:, None, None]
    fine = np.mgrid[: ratio * low.shape[0], : ratio * low.shape[1]]
    return map_coordinates(low, (fine - centre) / ratio, order=3, mode="nearest")


def _blurred(high, psf):
    """A fine image under the PSF at every pixel, measured at the kernel's centre of mass."""
    off = len(psf) // 2 - _middle(psf)  # where scipy puts the kernel's origin
    blurred = correlate(high, psf, mode="reflect")
    return warp(blurred, affine_flow(*high.shape, translation=off))


def _middle(psf):
    """The kernel's centre of mass, from its first row and column."""
    index = np.arange(len(psf))
    return np.array([psf.sum(axis=1) @ index, psf.sum(axis=0) @ index])


def _standardised(image):
    return (image - image.mean()) / max(image.std(), np.finfo(float).tiny)
