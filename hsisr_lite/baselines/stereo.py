r"""STEREO: the image as a sum of rank-one cubes, fitted to both observations [kanatsoulis2018]_.

A rank-one cube is a pattern of rows times a pattern of columns times a spectrum. Blur and band mix
act on its factors one by one, so that each factor, the other two given, solves a linear equation.
"""

import numpy as np
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.canonical import against, balanced, canonical
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.tensors import (
    conjugate_gradients,
    fit_spectra,
    gram,
    maps,
    marginals,
    sylvester,
)
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.results import FusionResult

MOST = 200  # components by default: time and memory grow faster than they help
MSI_SWEEPS, SWEEPS = 60, 8
FAINTEST = 2e-4  # of the HrMSI's norm: a cube weaker than this is not worth having
UNSURE = 1e-3  # of the HrMSI's root mean square: no image is trusted beyond it


def stereo(pair, run, *, rank=None):
    r"""Fuse by a coupled canonical polyadic model [kanatsoulis2018]_; the appendix derives it.

    .. math:: \min_{A, B, C} w \lVert Y - P X \rVert^2 + \lVert Z - X S^\top \rVert^2
              + \mu \bigl(\lVert A \rVert^2 + \lVert B \rVert^2 + \lVert C \rVert^2\bigr),
              \qquad X_{ijb} = \textstyle\sum_f A_{if} B_{jf} C_{bf}

    The weight w is the ratio of the noise variances, of the HrMSI over the LrHSI, and at most 1:
    only the HrMSI sees the fine grid. PSF, SRF and noise may be known or are estimated.
    ``history["cost"]`` is the objective after each sweep; it never rises. Nothing is random.

    Parameters
    ----------
    pair : ObservedPair
    run : Run
    rank : int, optional
        Number of rank-one cubes F; default the smallest of eight times the LrHSI's longer side, 0.7
        times its pixels, and 200.

    Returns
    -------
    result : FusionResult

    Raises
    ------
    InputError
        A rank that the LrHSI's pixels do not determine, or beyond what the HrMSI offers.
    """
    lr_hsi, hr_msi, operator, srf, notes = prepare(pair)
    rank = _checked(rank, lr_hsi.shape, hr_msi.shape)
    noise = estimate_noise(pair, operator.psf)
    noise_y, noise_z = (np.sqrt(np.mean(sd**2)) for sd in (noise.hsi, noise.msi))
    # A cube of strength y gains from (g - y)^2 + 3 mu g^(2/3) only if y > 2 mu^(3/4): mu is such
    # that noise, whose strength is sigma (sqrt(rows) + sqrt(cols)), does not.
    strength = np.linalg.norm(hr_msi)
    weakest = FAINTEST * strength + noise_z * np.sqrt(hr_msi.shape[:2]).sum()
    weakest = min(weakest, 0.1 * strength)  # noise that is told too large leaves something
    ridge = max((weakest / 2) ** (4 / 3), np.finfo(float).tiny)
    penalty = ridge * np.eye(rank)
    least = np.finfo(float).tiny + (UNSURE**2) * np.mean(hr_msi**2)
    weight = min(1.0, (noise_z**2 + least) / (noise_y**2 + least))
    sweeps = min(max(MSI_SWEEPS, 3000 // rank), 1000)
    factors = canonical(hr_msi, rank, ridge=ridge, sweeps=sweeps, progress=run.progress)
    along_rows, along_cols, separable = marginals(operator, *hr_msi.shape[:2])
    along = along_rows, along_cols
    blurs = [np.linalg.eigh(gram(matrix)) for matrix in along]
    spread = weight * operator.A_adjoint(lr_hsi)  # w P* Y: (rows, cols, bands)

    def sharper(axis):
        """The rows (axis 0) or columns (1) that fit best, the other two factors given."""
        old, other, spectra = factors[axis], factors[1 - axis], factors[2]
        low = weight * gram(along[1 - axis] @ other) * gram(spectra)
        high = gram(other) * gram(srf @ spectra) + penalty
        # L F K + F K' = R with L = P1^T P1
        right = against(spread, axis, other, spectra)
        right += against(hr_msi, axis, other, srf @ spectra)
        if separable:
            return sylvester(blurs[axis], low, high, right)

        def normal(factor):
            pixels = maps(factor, other) if axis == 0 else maps(other, factor)
            back = operator.A_adjoint(operator.A(pixels) @ gram(spectra))  # (rows, cols, rank)
            return weight * np.sum(np.moveaxis(back, axis, 0) * other, axis=1) + factor @ high

        return conjugate_gradients(
            normal, right, lambda rest: sylvester(blurs[axis], low, high, rest), old, steps=3
        )

    costs = []
    for _ in tqdm(range(SWEEPS), desc="stereo", disable=not run.progress, leave=False):
        fine = maps(*factors[:2])  # (rows, cols, rank)
        coarse = operator.A(fine)  # (low rows, low cols, rank)
        weighted = np.sqrt(weight) * lr_hsi, hr_msi, srf, np.sqrt(weight) * coarse, fine
        factors[2] = fit_spectra(*weighted, ridge=ridge)
        misfits = lr_hsi - coarse @ factors[2].T, hr_msi - fine @ (srf @ factors[2]).T
        factors = balanced(factors)
        cost = weight * np.sum(misfits[0] ** 2) + np.sum(misfits[1] ** 2)
        costs.append(cost + ridge * sum(np.sum(factor**2) for factor in factors))
        factors[0] = sharper(0)
        factors[1] = sharper(1)
    image = maps(*factors[:2]) @ factors[2].T
    learned = sum(factor.size for factor in factors)
    notes = [*notes, f"{rank} rank-one cubes, ridge {ridge:.2g}."]
    return FusionResult.of(pair, image, parameters=learned, notes=notes, history={"cost": costs})


def _checked(rank, low, high):
    pixels, offered = low[0] * low[1], min(high[:2]) * high[2]
    if rank is None:
        return max(1, min(8 * max(low[:2]), int(0.7 * pixels), offered, MOST))
    most = max(1, min(pixels - 1, offered))
    if not isinstance(rank, int | np.integer) or not 1 <= rank <= most:
        raise InputError(
            f"rank is {rank!r}: a whole number from 1 to {most} is needed, as the spectra of as "
            f"many cubes as the LrHSI has pixels ({pixels}) are underdetermined and explode, and "
            f"the HrMSI has {offered} singular triples to start from; try {max(1, most * 7 // 10)}."
        )
    return int(rank)
