r"""Spectral regression: the baseline that nobody reports and everything must beat.

At low resolution each pixel is seen by both sensors: the LrHSI directly, the MSI after the PSF.
An affine map learned there is applied to every high-resolution MSI pixel; adding the enlarged
residual, as pansharpening does [aiazzi2007]_, puts back what the map cannot see.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.estimate import psf_of
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.results import FusionResult


def regression(pair, run):
    r"""Affine map :math:`W, b` from MSI to HSI values, learned at low resolution.

    .. math:: \min_{W, b} \lVert P Z\,W + b - Y \rVert^2
              + n \bigl(1 - \textstyle\sum h^2\bigr) \sum_m \sigma_{Z,m}^2 \lVert W_m \rVert^2,
              \qquad \hat X = Z W + b

    The penalty is the price of noise: the PSF averages most of the MSI's noise away while the map
    is learned, and all of it is there when the map is applied. Without noise it vanishes.
    """
    learned = _learn(pair, quadratic=False)
    return FusionResult.of(pair, learned.image, parameters=learned.parameters, notes=learned.notes)


def regression_residual(pair, run):
    r"""The affine map plus its enlarged residual, :math:`\hat X + {\uparrow}(Y - P \hat X)`.

    Under noise the residual is mostly noise, and with a PSF that does not fit it is mostly error.
    Each band's is shrunk to the share of its variance that neither explains; where both images are
    clean and agree, nothing is shrunk.
    """
    return _with_residual(pair, _learn(pair, quadratic=False))


def regression_quadratic(pair, run):
    r"""As :func:`regression_residual`, on features F: MSI bands, their squares and products.

    There are often as many unknowns as pixels, so the weights of squares and products pay a ridge:

    .. math:: \min_{W, b} \lVert F(P Z)\, W + b - Y \rVert^2
              + n \bigl(1 - \textstyle\sum h^2\bigr) \sum_f \sigma_f^2 \lVert W_f \rVert^2
              + n \lambda \lVert W_{\text{products}} \rVert^2

    with :math:`\sigma_f` the noise of a feature. :math:`\lambda` is the largest that is nearly best
    one level down: the pair is averaged over 2 x 2 low-resolution pixels, the map learned there,
    and its prediction compared with the LrHSI. Large ones return the affine map.
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
    inside = pair.learnable(psf)
    noise = estimate_noise(pair, psf)
    hr_msi, lr_hsi = pair.hr_msi.astype(np.float64), pair.lr_hsi.astype(np.float64)
    low_msi = operator.A(hr_msi)
    features = _products if quadratic else np.asarray
    x, y = features(low_msi)[inside], lr_hsi[inside]  # (pixels, features), (pixels, bands)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    # n (1 - sum h^2) sigma_f^2: what is hidden while learning and there when applying
    penalty = (
        len(x) * (1 - np.sum(psf**2)) * _feature_variance(low_msi[inside], noise.msi, quadratic)
    )
    if quadratic:
        penalty = penalty + _ridge_one_level_down(low_msi, lr_hsi, inside, penalty)
    weights = ridge(x - mean_x, y - mean_y, penalty)
    # X = F(Z) W + b
    image = (features(hr_msi) - mean_x) @ weights + mean_y
    # Y - P X, shrunk per band by 1 - (its variance from noise and misfit) / (its variance)
    residual = lr_hsi - operator.A(image)
    doubt = noise.hsi**2 + _feature_variance(low_msi[inside], noise.misfit, quadratic) @ weights**2
    variance = np.maximum(residual[inside].var(axis=0), np.finfo(float).tiny)
    residual = residual * np.maximum(1 - doubt / variance, 0)
    if not inside.all():  # beside a hole the residual goes on as it was at the edge
        edge = distance_transform_edt(~inside, return_distances=False, return_indices=True)
        residual = residual[tuple(edge)]
    if pair.noise is None and noise.misfit.any():
        notes = notes + _notes_on(noise, psf)
    return _Learned(image, residual, psf, weights.size + mean_y.size, notes)


def _notes_on(noise, psf):
    hsi, msi, misfit = (np.median(sd) for sd in noise)
    notes = [
        f"noise estimated from the pair: sd {hsi:.2g} in the LrHSI, {msi:.2g} in the HrMSI "
        "(medians over bands)."
    ]
    if misfit > 3 * np.sqrt(np.sum(psf**2)) * msi:
        notes.append(
            f"the blurred HrMSI misses the LrHSI by {misfit:.2g}, more than noise explains: the "
            "PSF or the alignment may be wrong."
        )
    return notes


def _with_residual(pair, learned):
    added = upsample(learned.residual, pair.ratio, psf_centre(learned.psf, pair.ratio))
    return FusionResult.of(
        pair, learned.image + added, parameters=learned.parameters, notes=learned.notes
    )


def _products(image):
    """The bands, then all their squares and products: m + m (m + 1) / 2 features."""
    i, j = np.triu_indices(image.shape[-1])
    return np.concatenate([image, image[..., i] * image[..., j]], axis=-1)


def _feature_variance(pixels, sd, quadratic):
    """Noise variance of every feature, to first order, from that of the bands (msi_bands,).

    A product z_i z_j gains z_j e_i + z_i e_j from errors e: mean(z_j^2) s_i^2 + mean(z_i^2) s_j^2,
    and a square gains 2 z_i e_i: 4 mean(z_i^2) s_i^2.
    """
    variance = sd**2
    if not quadratic:
        return variance
    i, j = np.triu_indices(len(sd))
    power = np.mean(pixels**2, axis=0)
    mixed = power[j] * variance[i] + power[i] * variance[j]
    return np.concatenate([variance, np.where(i == j, 2 * mixed, mixed)])


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


def _ridge_one_level_down(low_msi, lr_hsi, inside, penalty):
    """The extra ridge whose map, learned on 2 x 2 means, predicts the LrHSI nearly best."""
    curved = inside.sum() * (np.arange(len(penalty)) >= low_msi.shape[-1])
    half_valid = _halve(inside[..., None].astype(float))[..., 0] == 1
    if half_valid.sum() < 2:
        return _RIDGES[-1] * curved
    x = _products(_halve(low_msi))[half_valid]  # (pixels, features)
    y = _halve(lr_hsi)[half_valid]  # (pixels, bands)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    target_x, target_y = _compact(_products(low_msi)[inside] - mean_x, lr_hsi[inside] - mean_y)
    fewer = len(x) / inside.sum()
    x, y = _compact(x - mean_x, y - mean_y)
    misfits = np.array(
        [
            np.sum((target_x @ ridge(x, y, fewer * (penalty + s * curved)) - target_y) ** 2)
            for s in _RIDGES
        ]
    )
    # The largest within 5 % of the best: the small ones win by chance more often than they lose.
    return _RIDGES[np.flatnonzero(misfits <= 1.05 * misfits.min())[-1]] * curved


def _halve(image):
    rows, cols, bands = image.shape[0] // 2, image.shape[1] // 2, image.shape[2]
    blocks = image[: 2 * rows, : 2 * cols].reshape(rows, 2, cols, 2, bands)  # 2 x 2 blocks
    return blocks.mean(axis=(1, 3))
