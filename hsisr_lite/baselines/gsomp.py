"""G-SOMP+: a dictionary of spectra, of which every patch of the MSI picks a few [akhtar2014]_."""

import numpy as np
from scipy.optimize import nnls
from tqdm import tqdm

from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.dictionary import learn_dictionary, unit, widen
from hsisr_lite.baselines.inputs import prepare
from hsisr_lite.results import FusionResult
from hsisr_lite.unmixing.subspace import as_count

_ROUNDING = 1e-6  # float32 images carry seven digits: a residual below this share is none
_REACHES = (1.0, 1.5, 2.0, 3.0)  # tried on LrHSI pixels over some _TRIED of the HrMSI
_TRIED = 2500


def gsomp(pair, run, *, atoms=None, picks=5, patch=8, stop=0.99):
    r"""Fuse by simultaneous greedy choice from a learned dictionary of spectra [akhtar2014]_.

    .. math:: \min_{A_p \ge 0} \lVert Z_p - A_p\, \Phi S^\top \rVert^2
              \ \text{with few atoms in use per patch } p, \qquad \hat X_p = A_p\, \Phi

    The atoms, rows of :math:`\Phi`, come from :mod:`hsisr_lite.baselines.dictionary`, the amounts
    from :func:`shared_amounts`; the book's appendix derives each step. The SRF must be known or
    estimated; the PSF decides only how far the atoms are drawn apart.

    Parameters
    ----------
    atoms : int, optional
        Size of the dictionary; default the number of bands, or of LrHSI pixels if that is less.
    picks : int
        Atoms that join in one round.
    patch : int
        Side of the square patches whose pixels share their atoms.
    stop : float
        A patch is done when a round leaves more than this share of its residual.

    Raises
    ------
    InputError
        More atoms than the LrHSI has pixels, or a setting out of its range.
    """
    inputs = prepare(pair)
    inside = pair.learnable(inputs.operator.psf)
    lr_pixels = inputs.lr_hsi[inside]  # (pixels, bands)
    rows, cols, msi_bands = inputs.hr_msi.shape
    atoms = min(lr_pixels.shape) if atoms is None else atoms
    atoms = as_count(atoms, "atoms", len(lr_pixels), "each is learned from a pixel of the LrHSI")
    picks = as_count(picks, "picks", max(atoms, 5), f"the dictionary has {atoms} atoms")
    patch = as_count(patch, "patch", max(rows, cols, 8), "the image is no larger")
    if not (isinstance(stop, int | float | np.number) and 0 < stop <= 1):
        raise InputError(f"stop is {stop!r}: a share above 0 and at most 1 is needed; try 0.99.")
    learned = learn_dictionary(lr_pixels, atoms)
    reach = _fitting_reach(inputs, inside, learned, np.random.default_rng(run.seed))
    dictionary = widen(learned, lr_pixels.mean(axis=0), reach)
    seen = dictionary @ inputs.srf.T  # (atoms, msi_bands)
    image, used = np.empty((rows, cols, dictionary.shape[1])), []
    corners = [(row, col) for row in range(0, rows, patch) for col in range(0, cols, patch)]
    for row, col in tqdm(corners, desc="gsomp", disable=not run.progress, leave=False):
        here = slice(row, row + patch), slice(col, col + patch)
        observed = inputs.hr_msi[here].reshape(-1, msi_bands)  # (pixels, msi_bands)
        amounts, _ = shared_amounts(observed, seen, picks, stop)
        image[here] = (amounts @ dictionary).reshape(image[here].shape)  # (rows, cols, bands)
        used.append(int(amounts.any(axis=0).sum()))
    notes = [*inputs.notes, f"{len(dictionary)} atoms, {reach:g} times as far apart as learned."]
    learned_scalars = dictionary.size + sum(used) * patch**2
    return FusionResult.of(
        pair, image, parameters=learned_scalars, notes=notes, history={"atoms_per_patch": used}
    )


def shared_amounts(pixels, atoms, picks, stop):
    r"""Non-negative amounts of the atoms that the pixels of a patch choose together.

    A round adds those atoms that, each by itself, would lower the residual R the most,

    .. math:: j \mapsto \sum_{p} \Bigl(\tfrac{\langle r_p, \phi_j \rangle}
              {\lVert\phi_j\rVert}\Bigr)_+^2

    and solves for the amounts of all chosen so far. Returns the amounts (pixels, atoms) and the
    norms of the residual, before the first round and after each.
    """
    amounts, residual = np.zeros((len(pixels), len(atoms))), pixels.copy()
    chosen, norms = np.zeros(len(atoms), bool), [np.linalg.norm(pixels)]
    while not chosen.all() and norms[-1] > _ROUNDING * norms[0]:
        helps = np.maximum(residual @ unit(atoms).T, 0)  # (pixels, atoms)
        gains = np.where(chosen, -1, np.sum(helps**2, axis=0))
        new = np.argsort(-gains, kind="stable")[: min(picks, np.sum(~chosen))]
        chosen[new] = True
        # A pixel whose residual points along none of the new atoms is at its optimum already.
        moves = helps[:, new].max(axis=1) > 0.1 * _ROUNDING * np.linalg.norm(pixels, axis=1)
        amounts[np.ix_(moves, chosen)] = _amounts(pixels[moves], atoms[chosen])
        residual[moves] = pixels[moves] - amounts[moves] @ atoms
        norms.append(np.linalg.norm(residual))
        if norms[-1] > stop * norms[-2]:
            break
    return amounts, norms


def _fitting_reach(inputs, inside, learned, rng):
    """The reach whose result, blurred, comes closest to a sample of the LrHSI's pixels."""
    matrix = inputs.operator.matrix(*inputs.hr_msi.shape[:2])
    number = max(8, _TRIED // max(inputs.operator.ratio**2, inputs.operator.psf.size))
    sample = rng.permutation(np.flatnonzero(inside))[:number]
    under = np.unique(matrix[sample].indices)  # the HrMSI's pixels under their PSFs
    blur, msi_bands = matrix[sample][:, under], inputs.hr_msi.shape[2]
    msi = inputs.hr_msi.reshape(-1, msi_bands)[under]  # (pixels, msi_bands)
    hsi = inputs.lr_hsi.reshape(-1, learned.shape[1])[sample]  # (LR pixels, bands)
    misfits = []
    for reach in _REACHES:
        atoms = widen(learned, inputs.lr_hsi[inside].mean(axis=0), reach)
        misfits.append(np.sum((blur @ _amounts(msi, atoms @ inputs.srf.T) @ atoms - hsi) ** 2))
    return _REACHES[int(np.argmin(misfits))]


def _amounts(pixels, atoms):
    """Non-negative least squares; for a few bands, pixel by pixel beats all pixels in step."""
    found = [nnls(atoms.T, pixel, maxiter=30 * len(atoms))[0] for pixel in pixels]
    return np.array(found).reshape(len(pixels), len(atoms))  # also where there are no pixels
