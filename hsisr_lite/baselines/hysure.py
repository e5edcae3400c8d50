r"""HySure: a subspace image that explains both observations and has a small total variation.

The objective is that of [simoes2015]_. The iteration has one split fewer: both data terms are
served together, exactly, by the Sylvester solver of FUSE, so the blur need not be circular.
"""

import numpy as np
from scipy.fft import dctn, idctn
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.subspace_model import subspace_model
from hsisr_lite.baselines.sylvester import sylvester_solver
from hsisr_lite.results import FusionResult

_ITERATIONS, _TOLERANCE = 200, 1e-3


def hysure(pair, run, *, rank=None, smoothness=None):
    r"""Fuse by vector total variation in a spectral subspace, :math:`X = U E` [simoes2015]_.

    .. math:: \min_U \tfrac12 \lVert Y - P U E \rVert^2
              + \tfrac{\lambda_m}{2} \lVert Z - U E S^\top \rVert^2
              + \lambda_\varphi \sum_{ij} \lVert (\nabla U)_{ij} \rVert

    The norm takes both differences of all components of a pixel at once, so that their edges
    coincide. A row of E is a singular vector of the LrHSI, as long as its coefficient typically
    differs between neighbours: all components then have the same say. :math:`\lambda_m` is the
    ratio of the noise variances. PSF, SRF and noise are taken from the pair or estimated.
    ``history`` holds ``objective``, ``primal_residual`` and ``dual_residual`` per iteration; the
    residuals are relative, and it ends when both are below a thousandth, or after 200 iterations.

    Parameters
    ----------
    rank : int, optional
        Rows of E; default at most 15, fewer where the LrHSI shows only noise beyond.
    smoothness : float, optional
        :math:`\lambda_\varphi`, positive; default :math:`\sigma_Y^2 \sqrt{2 K} / g` for rank K and
        mean length g of the differences, carried from the LrHSI to the fine grid by the MSI.

    Raises
    ------
    InputError
        A rank that the LrHSI does not have, or a smoothness that is not positive.
    """
    positive = isinstance(smoothness, int | float | np.number) and 0 < smoothness < np.inf
    if smoothness is not None and not positive:
        raise InputError(
            f"smoothness is {smoothness!r}: a positive number is needed; leave it out to have it "
            "follow the noise."
        )
    inputs = prepare(pair)
    operator = inputs.operator
    model = subspace_model(pair, inputs, rank)
    scale = np.sqrt(np.mean(differences(model.low) ** 2, axis=(0, 1, 2)))  # (rank,)
    scale = np.maximum(scale, 1e-6 * np.sqrt(np.mean(model.low**2)) or 1.0)  # a flat one is 0
    basis = model.basis * scale[:, None]
    centre = psf_centre(operator.psf, pair.ratio)
    start = upsample(model.low / scale, pair.ratio, centre)
    variance = np.mean(model.hsi_variance)
    variance += np.mean((inputs.lr_hsi - model.low @ model.basis) ** 2)
    msi_weight = variance / np.mean(model.msi_variance)
    blurred = mean_length(upsample(operator.A(inputs.hr_msi), pair.ratio, centre))
    sharper = mean_length(inputs.hr_msi) / blurred if blurred > 0 else 1
    edge = max(mean_length(start) * sharper, 1e-3)  # g, in the units of the scale
    if smoothness is None:
        smoothness = variance * np.sqrt(2 * len(basis)) / edge
    penalty = 2 * smoothness / edge
    v, history = minimise(inputs, basis, msi_weight, smoothness, penalty, start, run)
    ended = f"smoothness {smoothness:.2g}, {len(history['objective'])} iterations."
    notes = [*inputs.notes, *model.notes, ended]
    count = v.size + basis.size
    return FusionResult.of(pair, v @ basis, parameters=count, history=history, notes=notes)


def minimise(inputs, basis, msi_weight, smoothness, penalty, start, run):
    """Minimise the objective of :func:`hysure` by ADMM: U (rows, cols, rank), and the history.

    ``penalty`` decides how fast it converges, not where to.
    """
    (rows, cols, msi_bands), (rank, bands) = inputs.hr_msi.shape, basis.shape
    p, seen = inputs.operator.matrix(rows, cols), basis @ inputs.srf.T
    y, z = inputs.lr_hsi.reshape(-1, bands), inputs.hr_msi.reshape(-1, msi_bands)
    gram = msi_weight * seen @ seen.T
    solve = sylvester_solver(p, basis @ basis.T, gram + penalty * np.eye(rank))
    data = p.T @ (y @ basis.T) + msi_weight * z @ seen.T
    # I + D* D is diagonal in the cosine basis: the Laplacian of a mirrored image
    waves = [2 - 2 * np.cos(np.pi * np.arange(size) / size) for size in (rows, cols)]
    pivots = (1 + np.add.outer(*waves))[..., None]
    # min f(V) + smoothness |W|  subject to  V = U, W = D U;  a, b: scaled multipliers
    v, w = start, differences(start)
    a, b = np.zeros_like(v), np.zeros_like(w)
    history = {"objective": [], "primal_residual": [], "dual_residual": []}
    for _ in tqdm(range(_ITERATIONS), desc="hysure", disable=not run.progress, leave=False):
        # (I + D* D) U = V + A + D* (W + B)
        u = dctn(v + a + differences_adjoint(w + b), axes=(0, 1), norm="ortho")
        u = idctn(u / pivots, axes=(0, 1), norm="ortho")
        du, v_before, w_before = differences(u), v, w
        # P* P V E E* + V (lambda_m F F* + mu I) = P* Y E* + lambda_m Z F* + mu (U - A), F = E S*
        v = solve(data + penalty * (u - a).reshape(-1, rank)).reshape(u.shape)  # (rows, cols, rank)
        w = shrink(du - b, smoothness / penalty)
        a, b = a + v - u, b + w - du
        size = max(np.hypot(np.linalg.norm(v), np.linalg.norm(w)), np.finfo(float).tiny)
        primal = np.hypot(np.linalg.norm(v - u), np.linalg.norm(w - du)) / size
        dual = np.linalg.norm(v - v_before + differences_adjoint(w - w_before)) / size
        flat = v.reshape(-1, rank)  # (pixels, rank)
        hsi, msi = np.sum((y - p @ flat @ basis) ** 2), np.sum((z - flat @ seen) ** 2)
        objective = (hsi + msi_weight * msi) / 2 + smoothness * len(flat) * mean_length(v)
        for curve, value in zip(history.values(), (objective, primal, dual), strict=True):
            curve.append(float(value))
        if max(primal, dual) < _TOLERANCE:
            break
    return v, history


def differences(image):
    """D: the lower and the right neighbour less the pixel; 0 at the border.

    Examples
    --------
    >>> differences(np.array([[[1.0], [4.0]]]))[1, 0, :, 0]
    array([3., 0.])
    """
    steps = np.zeros((2, *image.shape))
    np.subtract(image[1:], image[:-1], out=steps[0, :-1])
    np.subtract(image[:, 1:], image[:, :-1], out=steps[1, :, :-1])
    return steps


def differences_adjoint(steps):
    """D*: the transpose of :func:`differences`; what it has at the last border counts for 0."""
    (down, right), image = (steps[0, :-1], steps[1, :, :-1]), np.zeros(steps.shape[1:])
    image[1:] += down
    image[:-1] -= down
    image[:, 1:] += right
    image[:, :-1] -= right
    return image


def shrink(steps, threshold):
    """Shorten every pixel's differences, seen as one vector, by the threshold: to 0 at least."""
    length = np.sqrt(np.sum(steps**2, axis=(0, -1)))
    return steps * (1 - threshold / np.maximum(length, threshold))[..., None]


def mean_length(image):
    """Mean over pixels of the length of the differences: the total variation of a pixel."""
    return np.mean(np.sqrt(np.sum(differences(image) ** 2, axis=(0, -1))))
