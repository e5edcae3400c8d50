r"""Registration by the degradation model: bend the HrMSI until it explains the LrHSI.

Two cameras that see one scene must agree where both are blurred to the coarse grid and to the few
bands, :math:`P\,(Z \circ (\mathrm{id} + v)) = Y S^\top`. The flow v that makes them agree brings
the HrMSI into the LrHSI's frame. Nothing is enlarged and no patch is searched for: the PSF itself
says what a displacement of a part of a pixel does to a coarse pixel.
"""

from copy import copy

import numpy as np
from scipy import sparse
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from scipy.sparse.linalg import cg

from hsisr_lite.degradation.estimate import psf_of
from hsisr_lite.degradation.flows import warp
from hsisr_lite.degradation.misregistration import seen_through, without_holes
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.degradation.psf import gaussian_psf

_BLURS = (4.0, 2.0, 1.0, 0.0)  # coarse pixels: wide first, so that far displacements are seen
_STIFFNESS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # of the bending energy: from plate to cloth
_KNOT_EVERY = 2  # coarse pixels: what bends faster, the coarse image cannot tell
_STEPS = 25
_COMPONENTS = 6  # of the LrHSI, where the SRF is unknown
_TURNS = 2  # between mixing and bending, where the SRF is unknown
_SETTLED = 1e-4  # relative fall of the misfit that ends the steps
_MISSING = 0.1  # of the PSF's weight may fall on no data: none at all would cost the border
_BETTER = 0.99  # a softer flow must lower the misfit of unseen pixels by so much


def register_by_model(pair):
    r"""The flow that brings the HrMSI into the LrHSI's frame.

    .. math:: \min_v \; \tfrac1n \Bigl\lVert \bigl( P\,(Z \circ (\mathrm{id} + v)) -
              Y S^\top \bigr) D^{-1} \Bigr\rVert^2 + \lambda \, E(v)

    by Gauss-Newton steps with Levenberg's damping [levenberg1944]_: first v affine, on images
    blurred less and less [lucas1981]_, then what is left as cubic B-splines with a knot every
    second coarse pixel [rueckert1999]_. D holds the standard deviation of each band of
    :math:`Y S^\top`, n counts the values, E is the bending energy of the knots, and
    :math:`\lambda` is the weight that explains coarse pixels best that were left out. Coarse
    pixels that fall on no data, or beyond the edge of the bent image, do not count.

    An unknown SRF is not needed: in place of :math:`Y S^\top` stands, at every blur anew, the
    affine mix of the LrHSI's first principal components that is nearest to what the bent HrMSI
    says. An unknown PSF begins as the block-centred Gaussian of FWHM ``ratio``, and is estimated
    from the pair once that is registered.

    Parameters
    ----------
    pair : ObservedPair

    Returns
    -------
    flow : (2, rows, cols) float64
        Down and right, in pixels of the HrMSI: ``warp(pair.hr_msi, flow)`` lines up.

    Raises
    ------
    InputError
        Fewer than two coarse pixels hold data in both images.

    Examples
    --------
    >>> import hsisr_lite as hl
    >>> from hsisr_lite.degradation.misregistration import affine_flow
    >>> pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    >>> moved, _ = hl.misregister(pair, affine_flow(96, 96, translation=(1.5, -2.0)))
    >>> register_by_model(moved)[:, 48, 48].round(1)
    array([-1.5,  2. ])
    """
    if pair.psf is not None:
        return _solve(pair, pair.psf)
    flow = _solve(pair, gaussian_psf(pair.ratio))
    psf, _ = psf_of(seen_through(pair, flow))
    return _solve(pair, psf)


def _solve(pair, psf):
    rows, cols, ratio = *pair.hr_msi.shape[:2], pair.ratio
    msi = without_holes(pair.hr_msi, pair.hr_valid).astype(np.float64)
    hsi = without_holes(pair.lr_hsi, pair.lr_valid).astype(np.float64)
    blur = SpatialOperator(psf, ratio).matrix(rows, cols)
    known = None if pair.srf is None else hsi @ pair.srf.T
    parts = None if pair.srf is not None else _principal(hsi)

    def misfit_at(sigma, flow):
        inside = _inside(pair, psf, flow)
        misfit = _Misfit(_soft(msi, sigma * ratio), blur, inside)
        if parts is None:
            return misfit.against(_soft(known, sigma))
        return misfit.against(_mixed(_soft(parts, sigma), misfit.seen(flow), inside))

    flow, values = np.zeros((2, rows, cols)), np.zeros(6)
    affine = _affine_basis(rows, cols)
    for sigma in _BLURS:
        for _ in range(1 if parts is None else _TURNS):
            if 4 * sigma <= min(hsi.shape[:2]):
                values, _ = misfit_at(sigma, flow).minimise(affine, values)
                flow = _flow_of(affine, values, rows, cols)

    splines, bending = _spline_basis(rows, cols, _KNOT_EVERY * ratio)
    start = flow
    for _ in range(1 if parts is None else _TURNS):
        misfit = misfit_at(0.0, flow)
        stiffness = misfit.best_stiffness(splines, bending, start)
        values = np.zeros(2 * splines.shape[1])
        for weight in _STIFFNESS[: _STIFFNESS.index(stiffness) + 1] if stiffness else ():
            values, _ = misfit.minimise(splines, values, weight * bending, start)
        flow = start + _flow_of(splines, values, rows, cols)
    return flow


def _principal(hsi):
    """(rows, cols, few) the LrHSI in its first principal components."""
    spectra = hsi.reshape(-1, hsi.shape[2])  # (pixels, bands)
    centred = spectra - spectra.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    few = axes[:, ::-1][:, :_COMPONENTS]
    return (centred @ few).reshape(*hsi.shape[:2], -1)  # (rows, cols, few)


def _mixed(parts, seen, inside):
    """The affine mix of the parts that is nearest ``inside`` to what is seen, all (rows, cols)."""
    known = np.dstack([parts, np.ones(inside.shape)])  # (rows, cols, few + 1)
    weights, *_ = np.linalg.lstsq(known[inside], seen[inside], rcond=None)
    return known @ weights


def _inside(pair, psf, flow):
    """(coarse rows, coarse cols) bool: data in both images once the HrMSI is bent.

    Beyond its edge the HrMSI repeats its last pixel, which is no data. Where less than half of the
    pixels are left, the flow is no guide, and those of the unbent image stand in.
    """
    rows, cols = pair.hr_msi.shape[:2]
    down, right = np.mgrid[:rows, :cols] + flow
    missing = (np.abs(down - (rows - 1) / 2) > rows / 2) | (
        np.abs(right - (cols - 1) / 2) > cols / 2
    )
    if pair.hr_valid is not None:
        missing |= warp((~pair.hr_valid).astype(np.float64), flow, order=1) > 1e-6
    unbent = pair.learnable(psf)
    share = SpatialOperator(psf, pair.ratio).A(missing[..., None].astype(np.float64))[..., 0]
    bent = share <= _MISSING
    if pair.lr_valid is not None:
        bent &= pair.lr_valid
    return bent if 2 * bent.sum() >= unbent.sum() else unbent


class _Misfit:
    """P (Z o (id + v)) - Y S^T at the coarse pixels ``inside``, and how it changes with v."""

    def __init__(self, msi, blur, inside):
        self.shape, self.blur, self.inside = msi.shape[:2], blur, inside
        self.at = np.mgrid[: self.shape[0], : self.shape[1]].astype(np.float64)
        bands = np.moveaxis(msi, 2, 0)
        # Coefficients of the cubic splines through each band, and through its slopes
        self.bands = [_coefficients(band) for band in bands]
        self.slopes = [[_coefficients(_slope(band, axis)) for axis in (0, 1)] for band in bands]

    def seen(self, flow):
        """The bent image on the coarse grid, (coarse rows, coarse cols, bands)."""
        bent = np.stack([self._read(band, flow) for band in self.bands], axis=1)
        return (self.blur @ bent).reshape(*self.inside.shape, -1)  # (rows, cols, bands)

    def against(self, target):
        """The same with a target; each band counts by its deviation, a flat one not at all."""
        deviation = target[self.inside].std(axis=0)
        flat = deviation <= 1e-6 * np.abs(target).max()
        scale = np.where(flat, 0, 1 / np.where(flat, 1, deviation))
        return self._with(target=target, scale=scale)

    def rest(self, flow):
        """(coarse pixels, bands): what the bent image leaves, in units of each band's deviation."""
        return ((self.seen(flow) - self.target) * self.scale)[self.inside]

    def normal_equations(self, flow, basis, rest):
        """J^T J and J^T e of all bands, J the change of the rest with each coefficient."""
        square, slope = 0, 0
        blur = self.blur[self.inside.ravel()]
        for slopes, scale, left in zip(self.slopes, self.scale, rest.T, strict=True):
            # d/dv of P (Z o (id + v)) = P diag(dZ) basis
            change = scale * sparse.hstack(
                [blur @ basis.multiply(self._read(part, flow)[:, None]) for part in slopes]
            )
            square, slope = square + change.T @ change, slope + change.T @ left
        return square, slope

    def minimise(self, basis, values, penalty=None, start=0.0):
        """Levenberg's steps from ``values``; they, and the mean square of what is left."""
        if penalty is None:
            penalty = sparse.csr_matrix((len(values),) * 2)

        def cost_at(candidate):
            rest = self.rest(start + _flow_of(basis, candidate, *self.shape))
            return rest, np.mean(rest**2) + candidate @ (penalty @ candidate)

        rest, cost = cost_at(values)
        damping = 1e-3
        for _ in range(_STEPS):
            square, slope = self.normal_equations(
                start + _flow_of(basis, values, *self.shape), basis, rest
            )
            square, slope = square / rest.size + penalty, slope / rest.size + penalty @ values
            before = cost
            while damping < 1e6:
                steeper = square + sparse.diags(damping * square.diagonal() + 1e-12)
                scaled = sparse.diags(1 / steeper.diagonal())
                step, _ = cg(steeper, -slope, rtol=1e-3, maxiter=200, M=scaled)
                candidate = values + step
                trial, new = cost_at(candidate)
                if new < cost:
                    values, rest, cost, damping = candidate, trial, new, max(damping / 10, 1e-7)
                    break
                damping *= 10
            if before - cost <= _SETTLED * before:
                break
        return values, np.mean(rest**2)

    def best_stiffness(self, basis, bending, start):
        """Of ``_STIFFNESS`` the one that best explains coarse pixels not seen, each half in turn.

        None where none of them beats ``start``. All are tried: that the stiffest does not help says
        nothing of the softer ones.
        """
        even = np.indices(self.inside.shape).sum(axis=0) % 2 == 0
        halves = [self._with(inside=self.inside & half) for half in (even, ~even)]
        if not all(half.inside.any() for half in halves):
            return None
        values = [np.zeros(2 * basis.shape[1])] * 2
        best, least = None, sum(np.mean(half.rest(start) ** 2) for half in halves)
        for weight in _STIFFNESS if least > 0 else ():
            values = [
                half.minimise(basis, known, weight * bending, start)[0]
                for half, known in zip(halves, values, strict=True)
            ]
            flows = [start + _flow_of(basis, known, *self.shape) for known in values]
            left = sum(
                np.mean(unseen.rest(flow) ** 2)
                for unseen, flow in zip(halves[::-1], flows, strict=True)
            )
            if left < _BETTER * least:
                best, least = weight, left
        return best

    def _with(self, **changed):
        other = copy(self)
        other.__dict__.update(changed)
        return other

    def _read(self, coefficients, flow):
        return map_coordinates(
            coefficients, self.at + flow, order=3, prefilter=False, mode="nearest"
        ).ravel()


def _slope(band, axis):
    return np.gradient(band, axis=axis) if band.shape[axis] > 1 else np.zeros_like(band)


def _coefficients(band):
    return spline_filter(band, order=3, mode="nearest")


def _flow_of(basis, values, rows, cols):
    return (values.reshape(2, -1) @ basis.T).reshape(2, rows, cols)  # (2, rows, cols)


def _soft(image, sigma):
    return gaussian_filter(image, (sigma, sigma, 0), mode="nearest") if sigma else image


def _affine_basis(rows, cols):
    """(pixels, 3): one, and the place in the image from -1/2 to 1/2 down and right."""
    down, right = np.mgrid[:rows, :cols]
    down, right = (down - (rows - 1) / 2) / rows, (right - (cols - 1) / 2) / cols
    return sparse.csr_matrix(np.stack([np.ones(rows * cols), down.ravel(), right.ravel()], axis=1))


def _spline_basis(rows, cols, every):
    """(pixels, knots) cubic B-splines, and the bending energy of their coefficients, twice."""
    tall, wide = _splines(rows, every), _splines(cols, every)
    basis = sparse.kron(tall, wide).tocsr()

    def energy(size, order):
        difference = np.diff(np.eye(size), order, axis=0)
        return sparse.csr_matrix(difference.T @ difference)

    # |v_yy|^2 + 2 |v_xy|^2 + |v_xx|^2, and a little of |v|^2: the affine part is not drawn twice
    high, across = tall.shape[1], wide.shape[1]
    bending = (
        sparse.kron(energy(high, 2), sparse.eye(across))
        + 2 * sparse.kron(energy(high, 1), energy(across, 1))
        + sparse.kron(sparse.eye(high), energy(across, 2))
        + 1e-3 * sparse.eye(high * across)
    )
    return basis, sparse.block_diag([bending, bending]).tocsr()


def _splines(size, every):
    """(size, knots) matrix of cubic B-splines with a knot every so many pixels."""
    at = np.arange(size) / every
    first, u = np.floor(at).astype(int), at - np.floor(at)
    weights = np.stack(
        [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], axis=1
    )
    columns = first[:, None] + np.arange(4)  # (size, 4)
    return sparse.csr_matrix(
        (weights.ravel() / 6, (np.repeat(np.arange(size), 4), columns.ravel())),
        shape=(size, first[-1] + 4),
    )
