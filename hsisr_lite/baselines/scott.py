r"""SCOTT: a Tucker model of the image, found by singular vectors and one linear solve.

The factors of :math:`X = G \times_1 U \times_2 V \times_3 W` come one image each: rows and columns
from the HrMSI, which sees them sharply, spectra from the LrHSI [prevost2020]_. What is left, the
core, is a least-squares problem that three small eigen-decompositions turn into a division.
"""

import numpy as np

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.baselines.tensors import conjugate_gradients, expand, leading, marginals
from hsisr_lite.baselines.visible_spectra import visible_spectra
from hsisr_lite.results import FusionResult


def scott(pair, run, *, ranks=None):
    r"""Fuse by a coupled Tucker model [prevost2020]_; the appendix derives it.

    .. math:: \min_G \lVert Y - P (G \times_1 U \times_2 V \times_3 W) \rVert^2
              + \lVert Z - G \times_1 U \times_2 V \times_3 S W \rVert^2

    with orthonormal factors of ranks :math:`(R_1, R_2, R_3)`. PSF and SRF may be known or are
    estimated; noise plays a part in the default choice of spectra only. Nothing is random.

    Parameters
    ----------
    pair : ObservedPair
    run : Run
    ranks : (int, int, int), optional
        Number of row patterns, of column patterns and of spectra, the strongest of each, as
        published. Default: all rows, all columns, and instead of the strongest spectra those of
        :func:`visible_spectra`. Every one of these is seen by the MSI, so that there may be as many
        as MSI bands.

    Returns
    -------
    result : FusionResult

    Raises
    ------
    InputError
        Ranks that exceed the images, or that leave the core undetermined or badly conditioned.
    """
    lr_hsi, hr_msi, operator, srf, notes = prepare(pair)
    if ranks is None:
        spectra = visible_spectra(pair, lr_hsi, operator, srf)
        ranks = (*hr_msi.shape[:2], len(spectra))
        notes = [*notes, f"ranks {ranks}: all rows and columns, and what the MSI reveals."]
    else:
        ranks = _checked(ranks, lr_hsi.shape, hr_msi.shape)
        spectra = leading(lr_hsi, 2, ranks[2]).T  # (R3, bands)
    rows, cols = leading(hr_msi, 0, ranks[0]), leading(hr_msi, 1, ranks[1])
    core, rows, cols, spectra = solve_core(lr_hsi, hr_msi, operator, srf, rows, cols, spectra)
    image = expand(core, rows, cols) @ spectra.T
    learned = rows.size + cols.size + spectra.size + core.size
    return FusionResult.of(pair, image, parameters=learned, notes=notes)


def solve_core(lr_hsi, hr_msi, operator, srf, rows, cols, spectra):
    r"""Least-squares core of orthonormal factors, and the factors, turned.

    Turned by the eigenvectors of what the sensors see of them, the factors make the normal
    equations of a separable PSF diagonal:

    .. math:: (\alpha_i \beta_j + \gamma_l)\, G_{ijl}
              = (P^* Y \times U^\top V^\top W^\top + Z \times U^\top V^\top (S W)^\top)_{ijl}

    with :math:`\alpha, \beta, \gamma` the eigenvalues of :math:`U^\top P_1^\top P_1 U`,
    :math:`V^\top P_2^\top P_2 V` and :math:`W^\top S^\top S W`. For a PSF that is not a column
    times a row, the division only prepares conjugate gradients on the exact equations, 300 steps
    at most.
    """
    along_rows, along_cols, _ = marginals(operator, len(rows), len(cols))
    rows, alpha = _turned(rows, along_rows @ rows)
    cols, beta = _turned(cols, along_cols @ cols)
    spectra, gamma = _turned(spectra.T, srf @ spectra.T)  # (bands, R3)
    scale = alpha[:, None, None] * beta[:, None] + gamma  # (R1, R2, R3)
    scale = np.maximum(scale, 1e-12 * scale.max())  # what neither image sees stays at nothing

    def normal(core):
        back = operator.A_adjoint(operator.A(expand(core, rows, cols)))
        return expand(back, rows.T, cols.T) + gamma * core

    seen = operator.A_adjoint(lr_hsi @ spectra) + hr_msi @ (srf @ spectra)
    right = expand(seen, rows.T, cols.T)
    core = conjugate_gradients(normal, right, lambda rest: rest / scale, right / scale, steps=300)
    return core, rows, cols, spectra


def _turned(factor, seen):
    """A factor turned so that what is seen of it has orthogonal columns, and their squares."""
    values, turn = np.linalg.eigh(seen.T @ seen)
    return factor @ turn, np.maximum(values, 0)


def _checked(ranks, low, high):
    """The ranks, if they fit images of shapes ``low`` and ``high``."""
    if np.shape(ranks) != (3,) or not all(isinstance(r, int | np.integer) and r > 0 for r in ranks):
        raise InputError(
            f"ranks is {ranks!r}: three whole numbers of at least 1 are needed, of rows, columns "
            "and spectra; leave it out to have them chosen."
        )
    ranks, most = tuple(map(int, ranks)), (*high[:2], min(low[2], low[0] * low[1]))
    if (np.array(ranks) > most).any():
        raise InputError(
            f"ranks {ranks} exceed the images: at most {most} is possible (rows and columns of "
            "the HrMSI; bands or pixels of the LrHSI); choose smaller ones."
        )
    # Few patterns are seen by the LrHSI, few spectra by the MSI: one of the two has to be strict.
    if (ranks[0] >= low[0] or ranks[1] >= low[1]) and ranks[2] >= high[2]:
        one_less = (*ranks[:2], high[2] - 1)
        remedy = f"try {one_less}" if high[2] > 1 else "leave ranks out"
        raise InputError(
            f"ranks {ranks} leave the core undetermined or badly conditioned: fewer spectra than "
            f"the {high[2]} MSI bands are needed, or fewer row and column patterns than the "
            f"{low[0]} x {low[1]} pixels of the LrHSI; {remedy}."
        )
    return ranks
