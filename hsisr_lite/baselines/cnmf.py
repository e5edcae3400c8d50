r"""CNMF: both images as non-negative mixtures of the same endmembers [yokoya2012]_.

Published, the images are factorised in turn and hand each other a factor, which may raise the
other's cost. Here one factor at a time is updated for the sum of both, which no update can raise.
"""

import numpy as np
from tqdm import tqdm

from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.results import FusionResult
from hsisr_lite.unmixing import svd_subspace, vca

MOST_MATERIALS = 30  # as published
_ROUNDS, _ABUNDANCE_UPDATES, _ENDMEMBER_UPDATES = 30, 20, 200
_SUM_TO_ONE = 0.01  # weak, where images have a root mean square of 1: shade changes the sum
_FLOOR = 1e-6  # of a variance: no image is trusted beyond a thousandth of its values
_TINY = 1e-12


def cnmf(pair, run, *, materials=None):
    r"""Fuse by coupled non-negative factors, :math:`X = A E` [yokoya2012]_.

    .. math:: \min_{A \ge 0,\, E \ge 0} \lVert Y - P A E \rVert^2
              + w \lVert Z - A E S^\top \rVert^2 + \delta^2 \lVert A \mathbf 1 - 1 \rVert^2

    E starts at the spectra that VCA finds in the LrHSI, A at their enlarged low-resolution
    abundances; then each is multiplied in turn (:func:`multiply`). The weight w is the ratio of
    the noise variances, known or estimated, and at least 1: only the MSI sees the fine grid. PSF
    and SRF are taken from the pair or estimated. It ends after 30 rounds, when a round gains less
    than a thousandth, or when noise explains the misfit: factors that go on would learn it.
    ``history["cost"]`` holds the cost at the start and after each half round; it never rises.

    Parameters
    ----------
    materials : int, optional
        Number of endmembers; default 30, or as many dimensions as the LrHSI's spectra span.

    Raises
    ------
    InputError
        More materials than the LrHSI's spectra span.
    """
    inputs = prepare(pair)
    (rows, cols, msi_bands), bands = inputs.hr_msi.shape, inputs.lr_hsi.shape[2]
    low_rows, low_cols = inputs.lr_hsi.shape[:2]
    notes = list(inputs.notes)
    if inputs.lr_hsi.min() < 0 or inputs.hr_msi.min() < 0:
        notes.append("values below 0 count as 0: factors are non-negative.")
    unit = np.sqrt(np.mean(inputs.lr_hsi**2)) or 1.0
    y = np.maximum(inputs.lr_hsi.reshape(-1, bands) / unit, _TINY)  # (low-resolution pixels, bands)
    z = np.maximum(inputs.hr_msi.reshape(-1, msi_bands) / unit, _TINY)  # (pixels, msi_bands)
    p, s = inputs.operator.matrix(rows, cols), inputs.srf
    noise = estimate_noise(pair, inputs.operator.psf)
    noise_y, noise_z = (np.mean(np.square(sd / unit)) for sd in (noise.hsi, noise.msi))
    weight = max(1.0, (noise_y + _FLOOR) / (noise_z + _FLOOR))
    explained = noise_y * y.size + weight * noise_z * z.size

    if materials is None:
        strengths = svd_subspace(y).singular_values
        materials = int(np.clip(np.sum(strengths > 1e-6 * strengths[0]), 1, MOST_MATERIALS))
    # One run, as published: ten and their comparison would take longer than all that follows.
    corners = vca(y, materials, seed=run.seed, tries=1, projection="affine")
    e = np.maximum(corners.endmembers, 1e-6)
    delta2 = _SUM_TO_ONE**2
    low = np.full((len(y), materials), 1 / materials)
    gram = e @ e.T + delta2
    low = multiply(low, y @ e.T + delta2, lambda low: low @ gram, 5 * _ABUNDANCE_UPDATES)
    low = low.reshape(low_rows, low_cols, materials)  # (low rows, low cols, materials)
    a = upsample(low, pair.ratio, psf_centre(inputs.operator.psf, pair.ratio))
    a = np.maximum(a.reshape(-1, materials), 1e-6)  # (pixels, materials)

    cost = [coupled_cost(y, z, p, s, a, e, weight)]
    for _ in tqdm(range(_ROUNDS), desc="cnmf", disable=not run.progress, leave=False):
        a = update_abundances(y, z, p, s, a, e, weight)
        cost.append(coupled_cost(y, z, p, s, a, e, weight))
        e = update_endmembers(y, z, p, s, a, e, weight)
        cost.append(coupled_cost(y, z, p, s, a, e, weight))
        if cost[-1] <= explained or cost[-1] > 0.999 * cost[-3]:
            break
    notes.append(f"{materials} endmembers, {len(cost) // 2} rounds.")
    return FusionResult.of(
        pair,
        (a @ (unit * e)).reshape(rows, cols, bands),  # (rows, cols, bands)
        endmembers=unit * e,
        abundances=a.reshape(rows, cols, materials),  # (rows, cols, materials)
        history={"cost": cost},
        parameters=a.size + e.size,
        notes=notes,
    )


def multiply(factor, linear, quadratic, updates):
    r"""Lower :math:`\tfrac12 \langle F, Q F \rangle - \langle B, F \rangle` over F >= 0.

    .. math:: F \leftarrow F \circ \frac{B + \epsilon}{Q F + \epsilon}

    It never rises while Q (symmetric), B and F have no negative entry [lee2001]_.

    Parameters
    ----------
    factor, linear : arrays of one shape
        F and B.
    quadratic : function
        F to Q F.
    updates : int

    Examples
    --------
    >>> multiply(np.ones((1, 1)), np.array([[6.0]]), lambda f: 2 * f, 1).round(6)
    array([[3.]])
    """
    factor, linear = factor.copy(), linear + _TINY
    for _ in range(updates):
        slope = quadratic(factor)
        slope += _TINY  # in place, as fresh arrays of this size cost more than the arithmetic
        factor *= np.divide(linear, slope, out=slope)
    return factor


def update_abundances(y, z, p, s, a, e, weight):
    """Multiply A with E fixed: Q A = P* P A E E* + A (w F F* + delta^2), F = E S*."""
    f = e @ s.T
    hsi, msi = e @ e.T, weight * f @ f.T + _SUM_TO_ONE**2
    linear = p.T @ (y @ e.T) + weight * z @ f.T + _SUM_TO_ONE**2
    work = np.empty_like(a)

    def quadratic(a):
        slope = p.T @ ((p @ a) @ hsi)
        slope += np.matmul(a, msi, out=work)
        return slope

    return multiply(a, linear, quadratic, _ABUNDANCE_UPDATES)


def update_endmembers(y, z, p, s, a, e, weight):
    """Multiply E with A fixed: Q E = (P A)* (P A) E + w A* A E S* S."""
    low = p @ a
    hsi, msi, spectral = low.T @ low, weight * a.T @ a, s.T @ s
    linear = low.T @ y + weight * (a.T @ z) @ s
    quadratic = lambda e: hsi @ e + msi @ e @ spectral  # noqa: E731 (the equation, in place)
    return multiply(e, linear, quadratic, _ENDMEMBER_UPDATES)


def coupled_cost(y, z, p, s, a, e, weight):
    """The objective of :func:`cnmf`: what no update raises."""
    hsi, msi = np.sum((y - (p @ a) @ e) ** 2), np.sum((z - a @ (e @ s.T)) ** 2)
    return float(hsi + weight * msi + _SUM_TO_ONE**2 * np.sum((a.sum(axis=1) - 1) ** 2))
