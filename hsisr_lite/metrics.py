"""How good is a fused image? Every metric of the package, and :func:`score`.

Each is written from its formula, in float64: those of single pixels and bands in ``pixel_metrics``,
of small windows in ``window_metrics``, of blocks, without a truth, in ``block_metrics``. Where the
field uses several definitions under one name, the choice is an argument, never a silent default.

One rule for what has no value, the same in every metric. A band or pixel whose *reference* admits
none (a constant band has no correlation, a zero spectrum no angle) is left out. What the *estimate*
lacks counts as no agreement. When nothing is left, an :class:`InputError` says why; no metric
returns NaN.
"""

import warnings

import numpy as np

from hsisr_lite.arrays import InputError, as_image, as_image_pair, as_ratio
from hsisr_lite.block_metrics import d_lambda, d_s, qnr
from hsisr_lite.pixel_metrics import cc, ergas, mrae, mrae_map, psnr, rmse, sam, sam_map, snr
from hsisr_lite.waiting import waiting
from hsisr_lite.window_metrics import ssim, uiqi

__all__ = [
    "cc", "d_lambda", "d_s", "ergas", "mrae", "mrae_map", "psnr", "qnr", "rmse", "sam", "sam_map",
    "score", "snr", "ssim", "uiqi",
]  # fmt: skip


def score(reference, estimate, ratio, *, valid=None, pair=None):
    """Score an estimate against the truth: a separate step that no method can reach.

    Parameters
    ----------
    reference : (rows, cols, bands) array, or None
        The truth. One up to ``ratio - 1`` rows and columns larger is cropped at the bottom and
        right, as :func:`hsisr_lite.simulate` crops. None where nobody has it; then ``pair`` is
        needed.
    estimate : (rows, cols, bands) array
    ratio : int
        High-resolution pixels per low-resolution pixel; ERGAS needs it.
    valid : (rows, cols) bool, optional
        Pixels to count; what stands in the others, NaN too, has no influence. UIQI and SSIM count
        the windows, QNR the low-resolution pixels, that hold no others.
    pair : ObservedPair, optional
        What the estimate was made from; adds the scores that need no truth.

    Returns
    -------
    scores : dict
        ``psnr`` (peak="band", dB), ``sam`` (degrees), ``ergas``, ``cc``, ``rmse``, ``uiqi`` and
        ``ssim`` (range 1) with a reference; ``d_lambda``, ``d_s`` and ``qnr`` with a pair. A score
        that does not exist for these images, such as ``cc`` where every band is constant, is left
        out, and a warning says why.

    Raises
    ------
    InputError
        Shapes that differ, NaN, neither reference nor pair, a pair of another ratio, or images
        that admit no score at all.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((12, 12, 2))
    >>> score(x, x, ratio=4)["rmse"]
    0.0
    """
    ratio, estimate = as_ratio(ratio), np.asarray(estimate)
    if reference is None and pair is None:
        raise InputError(
            "there is neither a reference nor a pair: one of them is needed to score against; pass "
            "the truth, or pair=... for the scores without truth."
        )
    if pair is not None:
        _check_pair(pair, ratio, estimate.shape)
    if reference is not None:
        reference, valid = _cropped(np.asarray(reference), estimate, valid, ratio)
    if valid is not None and estimate.ndim == 3:
        valid = _as_mask(valid, estimate)
        estimate = np.where(valid[..., None], estimate, 0)
    scores = {}
    with waiting("scoring"):
        if reference is not None:
            scores |= _with_truth(reference, estimate, ratio, valid)
        if pair is not None:
            scores |= _without_truth(estimate, pair, valid)
    if not scores:
        raise InputError(
            "no score exists for these images, as the warnings say: bands that vary are needed; "
            "choose a larger or another area."
        )
    return scores


def _check_pair(pair, ratio, shape):
    if not hasattr(pair, "low_msi"):
        raise InputError(
            f"pair is of type {type(pair).__name__}: an ObservedPair is needed; hl.simulate and "
            "hl.load_pair make one."
        )
    if pair.ratio != ratio:
        raise InputError(
            f"ratio is {ratio} but that of the pair is {pair.ratio}: one and the same is needed; "
            "pass pair.ratio."
        )
    wanted = (*pair.hr_msi.shape[:2], pair.lr_hsi.shape[2])
    if shape != wanted:
        raise InputError(
            f"the estimate has shape {shape}: {wanted} is needed, rows and columns of the pair's "
            "HrMSI and bands of its LrHSI; pass the pair that the estimate was made from."
        )


def _cropped(reference, estimate, valid, ratio):
    """The reference, and its mask, as :func:`hsisr_lite.simulate` crops them."""
    if reference.ndim == estimate.ndim == 3:
        rows, cols = estimate.shape[:2]
        spare = (reference.shape[0] - rows, reference.shape[1] - cols)
        if 0 <= min(spare) and max(spare) < ratio:
            if np.shape(valid)[:2] == reference.shape[:2]:
                valid = np.asarray(valid)[:rows, :cols]
            reference = reference[:rows, :cols]
    return reference, valid


def _as_mask(valid, estimate):
    valid = np.asarray(valid, dtype=bool)
    if valid.shape != estimate.shape[:2] or not valid.any():
        raise InputError(
            f"valid has shape {valid.shape} and {valid.sum()} true pixels: {estimate.shape[:2]} "
            "with at least one is needed; pass the mask of the scene."
        )
    return valid


def _with_truth(reference, estimate, ratio, valid):
    if valid is not None and reference.shape == estimate.shape:
        reference = np.where(valid[..., None], reference, 0)
    x, p = as_image_pair(reference, estimate)
    counted, guess = (x, p) if valid is None else (x[valid][:, None], p[valid][:, None])
    return _those_that_exist(
        psnr=lambda: psnr(counted, guess),  # (pixels, 1, bands) with a mask
        sam=lambda: sam(counted, guess),
        ergas=lambda: ergas(counted, guess, ratio),
        cc=lambda: cc(counted, guess),
        rmse=lambda: rmse(counted, guess),
        uiqi=lambda: uiqi(x, p, valid=valid),
        ssim=lambda: ssim(x, p, valid=valid),
    )


def _without_truth(estimate, pair, valid):
    estimate = as_image(estimate, "the estimate")
    for part, zoom in ((pair.hr_valid, 1), (pair.lr_valid, pair.ratio)):
        if part is not None:
            part = np.kron(part, np.ones((zoom, zoom), bool))  # (rows, cols)
            valid = part if valid is None else valid & part
    images = pair.lr_hsi, pair.hr_msi, pair.low_msi()
    return _those_that_exist(
        d_lambda=lambda: d_lambda(estimate, pair.lr_hsi, valid=valid),
        d_s=lambda: d_s(estimate, *images, valid=valid),
        qnr=lambda: qnr(estimate, *images, valid=valid),
    )


def _those_that_exist(**metrics):
    scores = {}
    for name, metric in metrics.items():
        try:
            scores[name] = metric()
        except InputError as reason:
            warnings.warn(f"{name} is left out: {reason}", stacklevel=4)
    return scores
