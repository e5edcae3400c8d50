"""CSU: endmembers and abundances of both images, abundances on the simplex [lanaras2015]_."""

import numpy as np
from tqdm import tqdm

from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.projected import SETTLED, descend, into_unit, onto_simplex
from hsisr_lite.results import FusionResult
from hsisr_lite.unmixing import svd_subspace, vca
from hsisr_lite.unmixing.subspace import as_count

_FIRST, _STEPS = 60, 15  # projected-gradient steps on the abundances: first round, later ones
_STEPS_SPECTRA = 300  # on the endmembers, which are few and cheap
_REACHES = (1.0, 2.0)  # starts tried: the HrMSI's pixels may be purer than the LrHSI's corners


def csu(pair, run, *, materials=None, rounds=15):
    r"""Fuse by coupled spectral unmixing [lanaras2015]_.

    .. math:: \min_{E, A}\ \tfrac12 \lVert Y - (P A) E \rVert^2
              + \tfrac12 \lVert Z - A E S^\top \rVert^2, \qquad
              0 \le E \le 1, \; A \ge 0, \; A \mathbf 1 = \mathbf 1, \qquad \hat X = A E

    in rounds: the endmembers are fitted to the LrHSI, then the abundances to the HrMSI, each by
    :func:`~hsisr_lite.baselines.projected.descend`. It needs PSF and SRF; the book's appendix
    derives the steps. It starts from corners of the LrHSI, as they are or drawn apart, whichever
    costs less after a round, and one dark endmember: shares that sum to one could not explain
    shade otherwise. Both images are divided by their largest value inside.

    Parameters
    ----------
    materials : int, optional
        Endmembers, the dark one among them; default 30, or as many as the LrHSI's spectra allow.
    rounds : int
        At most; it stops before when one changes the cost by less than a thousandth.

    Returns
    -------
    result : FusionResult
        The round of the lowest cost: ``endmembers`` (materials, bands), ``abundances`` (rows, cols,
        materials); ``history["cost"]`` holds the cost after each. Neither half of a round raises
        its own term, but either may raise the other's.

    Raises
    ------
    InputError
        More materials than the spectra of the LrHSI can tell apart, or a setting below 1.
    """
    inputs = prepare(pair)
    rows, cols, _ = inputs.hr_msi.shape
    blur = inputs.operator.matrix(rows, cols)
    scale = max(inputs.lr_hsi.max(), inputs.hr_msi.max())
    scale = scale if scale > 0 else 1.0
    hsi = inputs.lr_hsi.reshape(-1, inputs.lr_hsi.shape[2]) / scale  # (LR pixels, bands)
    msi = inputs.hr_msi.reshape(rows * cols, -1).T / scale  # (msi_bands, pixels)
    corners, notes = _corners(hsi, materials, run.seed)
    rounds = as_count(rounds, "rounds", 10**6, "each takes a while")

    def start(reach):
        """Corners drawn apart; abundances of the LrHSI, enlarged."""
        mean = hsi.mean(axis=0)
        spectra = np.where(corners.any(axis=1, keepdims=True), mean + reach * (corners - mean), 0)
        spectra = into_unit(spectra)
        low = np.full((len(spectra), len(hsi)), 1 / len(spectra))
        low = descend(low, spectra @ spectra.T, spectra @ hsi.T, onto_simplex, 200)[0]
        low_image = low.T.reshape(*inputs.lr_hsi.shape[:2], -1)  # (low rows, low cols, materials)
        enlarged = upsample(low_image, pair.ratio, psf_centre(inputs.operator.psf, pair.ratio))
        shares = enlarged.reshape(rows * cols, -1).T.copy()  # (materials, pixels)
        return improve(spectra, onto_simplex(shares), _FIRST)

    def improve(spectra, shares, steps):
        """One round; the cost comes first."""
        # E <- clip(E - ((P A)^T (P A) E - (P A)^T Y) / L, 0, 1)
        low = blur @ shares.T
        spectra, _ = descend(spectra, low.T @ low, low.T @ hsi, into_unit, _STEPS_SPECTRA)
        # A <- simplex(A - (A E S^T - Z) S E^T / L), here with the shares of a pixel in a column
        seen = spectra @ inputs.srf.T  # (materials, msi_bands)
        shares, _ = descend(shares, seen @ seen.T, seen @ msi, onto_simplex, steps)
        misfits = blur @ shares.T @ spectra - hsi, seen.T @ shares - msi
        return 0.5 * sum(float(np.sum(misfit**2)) for misfit in misfits), spectra, shares

    cost, endmembers, shares = min((start(reach) for reach in _REACHES), key=lambda found: found[0])
    costs, now = [cost], (endmembers, shares)
    for _ in tqdm(range(rounds - 1), desc="csu", disable=not run.progress, leave=False):
        cost, *now = improve(*now, _STEPS)
        costs.append(cost)
        if cost == min(costs):
            endmembers, shares = now
        if abs(costs[-2] - cost) <= SETTLED * cost:
            break
    endmembers, abundances = endmembers * scale, shares.T
    return FusionResult.of(
        pair,
        (abundances @ endmembers).reshape(rows, cols, -1),  # (rows, cols, bands)
        parameters=endmembers.size + abundances.size,
        notes=[*inputs.notes, *notes],
        history={"cost": costs},
        endmembers=endmembers,
        abundances=abundances.reshape(rows, cols, -1),  # (rows, cols, materials)
    )


def _corners(hsi, materials, seed):
    """Corners of the LrHSI and a dark endmember, and what to note about their number."""
    spread = svd_subspace(hsi - hsi.mean(axis=0)).singular_values
    # A direction counts where it rises above the rounding of float32 images.
    most = min(len(hsi), 1 + int(np.sum(spread > 1e-5 * np.linalg.norm(hsi))))
    why = f"the LrHSI's spectra have {most} corners and one endmember is dark"
    wanted = min(30, most + 1) if materials is None else materials
    wanted = as_count(wanted, "materials", most + 1, why)
    notes = [f"{wanted} materials: {why}."] if materials is None and wanted < 30 else []
    corners = vca(hsi, max(wanted - 1, 1), seed=seed, tries=1, projection="affine").endmembers
    dark = np.zeros((wanted - len(corners), hsi.shape[1]))
    return np.vstack([corners, dark]), notes
