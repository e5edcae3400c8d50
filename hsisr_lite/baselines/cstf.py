r"""CSTF: a Tucker model with a sparse core and three dictionaries that fit both images [li2018]_.

It starts from the factors of SCOTT. Then core and dictionaries improve in turn: the core by
accelerated shrinkage, each dictionary by the Sylvester equation that its best choice solves.
"""

import numpy as np
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.scott import solve_core
from hsisr_lite.baselines.tensors import (
    conjugate_gradients,
    expand,
    fit_spectra,
    gram,
    leading,
    marginals,
    sylvester,
)
from hsisr_lite.baselines.visible_spectra import visible_spectra
from hsisr_lite.degradation.noise import estimate_noise
from hsisr_lite.results import FusionResult

SWEEPS, CORE_STEPS = 6, 12
FAINTEST = 1e-4  # of the HrMSI's root mean square: entries of the core below it are noise anyway
NEAR = 1e-3  # weight of staying near the last dictionary, in squared norms of the images


def cstf(pair, run, *, sparsity=None):
    r"""Fuse by a coupled sparse Tucker model [li2018]_; the appendix derives it.

    .. math:: \min_{C, D_1, D_2, D_3} \lVert Y - P X \rVert^2 + \lVert Z - X S^\top \rVert^2
              + \lambda \lVert C \rVert_1, \qquad X = C \times_1 D_1 \times_2 D_2 \times_3 D_3

    PSF, SRF and noise may be known or are estimated. ``history["cost"]`` is the objective at the
    start and after each sweep; it never rises. Larger dictionaries with a smaller core cost less,
    without end; few sweeps, each near the last, keep that in bounds. Nothing is random.

    Parameters
    ----------
    pair : ObservedPair
    run : Run
    sparsity : float, optional
        :math:`\lambda`, at least 0, in units of the pair; default the standard deviation of the
        HrMSI's noise and 1e-4 of its root mean square.

    Returns
    -------
    result : FusionResult

    Raises
    ------
    InputError
        A sparsity that is negative or not finite.
    """
    lr_hsi, hr_msi, operator, srf, notes = prepare(pair)
    if sparsity is None:
        noise = np.mean(estimate_noise(pair, operator.psf).msi ** 2)
        sparsity = np.sqrt(noise) + FAINTEST * np.sqrt(np.mean(hr_msi**2))
    if not isinstance(sparsity, int | float | np.number) or not 0 <= sparsity < np.inf:
        raise InputError(
            f"sparsity is {sparsity!r}: a number of at least 0 is needed; try the noise level."
        )
    spectra = visible_spectra(pair, lr_hsi, operator, srf)
    rows, cols = leading(hr_msi, 0), leading(hr_msi, 1)
    start, *turned = solve_core(lr_hsi, hr_msi, operator, srf, rows, cols, spectra)
    maps = expand(start, *turned[:2]) @ (turned[2].T @ spectra.T)  # (rows, cols, R3)
    core, words = expand(maps, rows.T, cols.T), [rows, cols, spectra.T]  # the dictionaries
    along_rows, along_cols, separable = marginals(operator, *hr_msi.shape[:2])
    along = along_rows, along_cols
    blurs = [np.linalg.eigh(gram(matrix)) for matrix in along]
    spread = operator.A_adjoint(lr_hsi)  # P* Y: (rows, cols, bands)
    near = max(NEAR * np.sum(hr_msi**2), np.finfo(float).tiny)
    weights = operator.matrix(*hr_msi.shape[:2])
    blur_norm = weights.sum(axis=0).max() * weights.sum(axis=1).max()  # |P|_2^2 <= |P|_1 |P|_inf

    def objective(core, maps):
        misfits = lr_hsi - operator.A(maps) @ words[2].T, hr_msi - maps @ (srf @ words[2]).T
        return sum(np.sum(misfit**2) for misfit in misfits) + sparsity * np.abs(core).sum()

    def sparser(core):
        """Accelerated shrinkage; a step that would raise the objective restarts it."""
        rows, cols, spectra = words
        low, high = gram(spectra), gram(srf @ spectra)
        seen = spread @ spectra + hr_msi @ (srf @ spectra)
        spatial = np.linalg.norm(rows, 2) ** 2 * np.linalg.norm(cols, 2) ** 2
        curvature = spatial * (blur_norm * np.linalg.norm(low, 2) + np.linalg.norm(high, 2))
        maps = expand(core, rows, cols)
        least, momentum, ahead, maps_ahead = objective(core, maps), 1.0, core, maps
        for _ in range(CORE_STEPS):
            slope = operator.A_adjoint(operator.A(maps_ahead)) @ low + maps_ahead @ high - seen
            moved = ahead - expand(slope, rows.T, cols.T) / curvature
            # soft threshold at lambda / 2 over the curvature
            new = np.sign(moved) * np.maximum(np.abs(moved) - sparsity / 2 / curvature, 0)
            maps_new = expand(new, rows, cols)
            cost = objective(new, maps_new)
            if cost > least:
                momentum, ahead, maps_ahead = 1.0, core, maps
                continue
            later = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            push = (momentum - 1) / later
            ahead, maps_ahead = new + push * (new - core), maps_new + push * (maps_new - maps)
            core, maps, least, momentum = new, maps_new, cost, later
        return core

    def sharper(axis):
        """The row (axis 0) or column (1) dictionary that fits best, near the last one."""
        old, other, spectra = words[axis], words[1 - axis], words[2]
        slices = np.moveaxis(core, axis, 0)  # (own rank, other rank, R3)
        fine, coarse = other @ slices, (along[1 - axis] @ other) @ slices
        weight = near / old.shape[1]
        low = _inner(coarse @ gram(spectra), coarse)
        high = _inner(fine @ gram(srf @ spectra), fine) + weight * np.eye(old.shape[1])
        seen = np.moveaxis(spread @ spectra + hr_msi @ (srf @ spectra), axis, 0)
        # L D K + D K' = R with L = P1^T P1
        right = _inner(seen, fine) + weight * old
        if separable:
            return sylvester(blurs[axis], low, high, right)

        def normal(dictionary):
            maps = np.moveaxis(np.tensordot(dictionary, fine, 1), 0, axis)  # (rows, cols, R3)
            back = operator.A_adjoint(operator.A(maps) @ gram(spectra))
            return _inner(np.moveaxis(back, axis, 0), fine) + dictionary @ high

        def ready(rest):
            return sylvester(blurs[axis], low, high, rest)

        return conjugate_gradients(normal, right, ready, old, steps=3)

    costs = [objective(core, maps)]
    for _ in tqdm(range(SWEEPS), desc="cstf", disable=not run.progress, leave=False):
        core = sparser(core)
        words[0] = sharper(0)
        words[1] = sharper(1)
        maps = expand(core, *words[:2])
        stay = {"ridge": near / core.shape[2], "towards": words[2]}
        words[2] = fit_spectra(lr_hsi, hr_msi, srf, operator.A(maps), maps, **stay)
        costs.append(objective(core, maps))
    scalars = np.count_nonzero(core) + sum(dictionary.size for dictionary in words)
    share = f"{np.mean(core == 0):.1%} of the core of shape {core.shape} is zero"
    notes = [*notes, f"{share}, at sparsity {sparsity:.2g}."]
    learned = {"parameters": int(scalars), "notes": notes, "history": {"cost": costs}}
    return FusionResult.of(pair, maps @ words[2].T, **learned)


def _inner(first, second):
    """Inner products of the slices of two stacks: (n, a, b) and (m, a, b) to (n, m)."""
    return np.tensordot(first, second, ((1, 2), (1, 2)))
