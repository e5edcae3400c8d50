r"""Spectral regression: the baseline that nobody reports and everything must beat.

At low resolution each pixel is seen by both sensors: the LrHSI directly, the MSI after the PSF.
An affine map learned there is applied to every high-resolution MSI pixel; adding the enlarged
residual, as pansharpening does [aiazzi2007]_, puts back what the map cannot see.
"""

from typing import NamedTuple

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.estimate import psf_of
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.results import FusionResult


def regression(pair, run):
    r"""Affine map :math:`W, b` from MSI to HSI values, learned at low resolution.

    .. math:: \min_{W, b} \lVert P Z\,W + b - Y \rVert^2
              + n\,\sigma_Z^2 \bigl(1 - \textstyle\sum h^2\bigr) \lVert W \rVert^2,
              \qquad \hat X = Z W + b

    The penalty is the price of noise: the PSF averages most of the MSI's noise away while the map
    is learned, and all of it is there when the map is applied. Without noise it vanishes.
    """
    learned = _learn(pair, quadratic=False)
    return FusionResult.of(pair, learned.image, parameters=learned.parameters, notes=learned.notes)


def regression_residual(pair, run):
    r"""The affine map plus its enlarged residual, :math:`\hat X + {\uparrow}(Y - P \hat X)`.

    Under noise the residual is mostly noise, so each band's is shrunk to the share of its variance
    that noise does not explain; without noise nothing is shrunk.
    """
    return _with_residual(pair, _learn(pair, quadratic=False))


def regression_quadratic(pair, run):
    r"""As :func:`regression_residual`, on the MSI bands and all their squares and products.

    There are often as many unknowns as pixels, so the weights of squares and products pay a ridge:

    .. math:: \min_{W, b} \tfrac1n \lVert F(P Z)\, W + b - Y \rVert^2 + \lambda \lVert W_2 \rVert^2

    Its strength is what works best one level down: the pair is averaged over 2 x 2 low-resolution
    pixels, the map learned there, and its prediction compared with the LrHSI. At worst, a large
    ridge returns the affine map.
    """
    return _with_residual(pair, _learn(pair, quadratic=True))


_RIDGES = 10.0 ** np.arange(-10, 1.1, 0.5)  # in squared reflectance; the last leaves no curvature


class _Learned(NamedTuple):
    image: np.ndarray  # (rows, cols, bands)
    residual: np.ndarray  # (low rows, low cols, bands): what the map leaves unexplained
    psf: np.ndarray
    parameters: int
    notes: list


def _learn(pair, quadratic):
    """Learn the map at low resolution and apply it at high resolution, in float64."""
    psf, notes = psf_of(pair)
    operator = SpatialOperator(psf, pair.ratio)
    sd_hsi, sd_msi = estimate_noise(pair, psf)
    hr_msi, lr_hsi = pair.hr_msi.astype(np.float64), pair.lr_hsi.astype(np.float64)
    low_msi = operator.A(hr_msi)
    inside = np.ones(low_msi.shape[:2], bool) if pair.lr_valid is None else pair.lr_valid
    if inside.sum() < 2:
        raise InputError(
            f"{inside.sum()} low-resolution pixels hold data: at least 2 are needed to learn a "
            "map; choose a smaller ratio or a larger scene."
        )
    features = _products if quadratic else np.asarray
    x, y = features(low_msi)[inside], lr_hsi[inside]  # (pixels, features), (pixels, bands)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    # n sigma^2 (1 - sum h^2), times the mean squared slope of each feature
    slope = _mean_squared_slope(hr_msi) if quadratic else np.ones(x.shape[1])
    penalty = len(x) * sd_msi**2 * (1 - np.sum(psf**2)) * slope
    if quadratic:
        curved = np.arange(x.shape[1]) >= hr_msi.shape[-1]
        penalty = penalty + len(x) * curved * _ridge_one_level_down(low_msi, lr_hsi, inside)
    weights = ridge(x - mean_x, y - mean_y, penalty)
    # X = Z W + b
    image = (features(hr_msi) - mean_x) @ weights + mean_y
    # Y - P X, shrunk per band by 1 - (its noise variance) / (its variance)
    residual = lr_hsi - operator.A(image)
    noise = sd_hsi**2 + sd_msi**2 * np.sum(psf**2) * (slope @ weights**2)
    variance = np.maximum(residual[inside].var(axis=0), np.finfo(float).tiny)
    residual = residual * np.maximum(1 - noise / variance, 0)
    if max(sd_hsi, sd_msi) > 0 and pair.noise is None:
        notes = [*notes, f"noise estimated from the pair: sd {sd_hsi:.2g} in the LrHSI, "
                 f"{sd_msi:.2g} in the HrMSI."]  # fmt: skip
    return _Learned(image, residual, psf, weights.size + mean_y.size, notes)


def _with_residual(pair, learned):
    added = upsample(learned.residual, pair.ratio, psf_centre(learned.psf, pair.ratio))
    return FusionResult.of(
        pair, learned.image + added, parameters=learned.parameters, notes=learned.notes
    )


def _products(image):
    """The bands, then all their squares and products: m + m (m + 1) / 2 features."""
    i, j = np.triu_indices(image.shape[-1])
    return np.concatenate([image, image[..., i] * image[..., j]], axis=-1)


def _mean_squared_slope(image):
    """Mean over pixels of the squared gradient of every feature of :func:`_products`."""
    i, j = np.triu_indices(image.shape[-1])
    power = np.mean(image**2, axis=(0, 1))
    return np.concatenate([np.ones(image.shape[-1]), np.where(i == j, 4, 1) * power[i]
                           + np.where(i == j, 0, 1) * power[j]])  # fmt: skip


def ridge(x, y, penalty):
    """Minimise |x w - y|^2 + sum_f penalty_f |w_f|^2 over w (features, bands)."""
    x, y = _compact(x, y)
    rows = np.vstack([x, np.diag(np.sqrt(penalty))])  # (rows + features, features)
    targets = np.vstack([y, np.zeros((x.shape[1], y.shape[1]))])  # (rows + features, bands)
    return np.linalg.lstsq(rows, targets, rcond=1e-12)[0]


def _compact(x, y):
    """At most features + bands rows with the same |x w - y| for every w, by QR."""
    if len(x) <= x.shape[1] + y.shape[1]:
        return x, y
    factor = np.linalg.qr(np.hstack([x, y]), mode="r")
    return factor[:, : x.shape[1]], factor[:, x.shape[1] :]


def _ridge_one_level_down(low_msi, lr_hsi, inside):
    """The ridge whose map, learned on 2 x 2 means, predicts the LrHSI best."""
    half_valid = _halve(inside[..., None].astype(float))[..., 0] == 1
    if half_valid.sum() < 2:
        return _RIDGES[-1]
    x = _products(_halve(low_msi))[half_valid]  # (pixels, features)
    y = _halve(lr_hsi)[half_valid]  # (pixels, bands)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    target_x, target_y = _compact(_products(low_msi)[inside] - mean_x, lr_hsi[inside] - mean_y)
    penalty = len(x) * (np.arange(x.shape[1]) >= low_msi.shape[-1])
    x, y = _compact(x - mean_x, y - mean_y)

    def misfit(strength):
        return np.sum((target_x @ ridge(x, y, strength * penalty) - target_y) ** 2)

    return min(_RIDGES, key=misfit)


def _halve(image):
    rows, cols, bands = image.shape[0] // 2, image.shape[1] // 2, image.shape[2]
    blocks = image[: 2 * rows, : 2 * cols].reshape(rows, 2, cols, 2, bands)  # 2 x 2 blocks
    return blocks.mean(axis=(1, 3))
