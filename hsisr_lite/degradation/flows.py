r"""Flows: where in an image to look for each pixel, and what is seen through them.

A flow holds two numbers per pixel, (down, right) in pixels of the high-resolution grid, and says
where to look, not where to go:

.. math:: \tilde Z(p) = Z(p + f(p))

Flows of this kind are called backward. An affine one is undone in closed form, any other that does
not fold by a fixed point.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from hsisr_lite.arrays import InputError, as_image, as_numbers, as_seed
from hsisr_lite.degradation.flow_checks import ANGLES, FAR, LENGTHS, SCALES, as_size, as_within

_FINEST = 64.0  # a longer correlation is drawn on a coarser grid: as smooth, at a bounded cost


def warp(image, flow, order=3):
    r"""See an image through a flow: :math:`\tilde Z(p) = Z(p + f(p))`.

    Parameters
    ----------
    image : (rows, cols) or (rows, cols, bands) array
    flow : (2, rows, cols) array
        (down, right) in pixels.
    order : int
        Of the interpolating spline: 0 takes the nearest pixel, 1 is bilinear, 3 cubic, at most 5.

    Returns
    -------
    warped : array of the image's shape, float32, or float64 where the image is.
        Beyond the border the edge pixel repeats.

    Raises
    ------
    InputError
        A flow that does not fit the image, an image that holds NaN or something else than real
        numbers, or an order that no spline has.

    Examples
    --------
    >>> warp(np.array([[1.0, 2.0, 3.0]]), affine_flow(1, 3, translation=(0, 1)), order=1)
    array([[2., 3., 3.]])
    """
    try:
        image = np.asarray(image)
    except ValueError:  # numpy's word for rows of unequal length
        image = as_numbers(image, "the image")
    if image.ndim not in (2, 3):
        raise InputError(
            f"the image has {image.ndim} axes: (rows, cols) or (rows, cols, bands) are needed; "
            "add or drop one."
        )
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or not 0 <= order < 6:
        raise InputError(f"order is {order!r}: a whole number from 0 to 5 is needed; 3 is cubic.")
    if image.dtype == bool:  # a mask
        image = image.astype(np.float32)
    bands = image[..., None] if image.ndim == 2 else image
    as_image(bands, "the image")  # for its checks only: it would round large whole numbers
    flow = as_flow(flow, *image.shape[:2])
    seen_at = flow + np.mgrid[: image.shape[0], : image.shape[1]]  # p + f(p)
    warped = [
        map_coordinates(band.astype(np.float64), seen_at, order=order, mode="nearest")
        for band in np.moveaxis(bands, -1, 0)
    ]
    warped = np.stack(warped, axis=-1).astype(np.result_type(image, np.float32))
    return warped[..., 0] if image.ndim == 2 else warped


def affine_flow(rows, cols, *, translation=(0.0, 0.0), rotation=0.0, scale=1.0):
    r"""The flow of a camera that is shifted, turned and farther away.

    .. math:: p + f(p) = c + s\, R\, (p - c) + t

    Parameters
    ----------
    rows, cols : int
        Size of the image; c is its centre.
    translation : (float, float)
        t, (down, right) in pixels: what is seen moves up and left.
    rotation : float
        Degrees by which the image seen is turned counter-clockwise.
    scale : float
        s, from 0.001 to 1000; larger than 1 makes what is seen smaller.

    Returns
    -------
    flow : (2, rows, cols) float64 array

    Raises
    ------
    InputError
        A size that is no whole number, a translation that is not two numbers, an angle beyond 360
        degrees or a scale out of its bounds.

    Examples
    --------
    >>> affine_flow(3, 3, scale=2.0)[0]
    array([[-1., -1., -1.],
           [ 0.,  0.,  0.],
           [ 1.,  1.,  1.]])
    """
    matrix, shift = _affine(translation, rotation, scale)
    away = _from_centre(*as_size(rows, cols))
    return np.tensordot(matrix, away, axes=1) - away + shift


def inverse_affine_flow(rows, cols, *, translation=(0.0, 0.0), rotation=0.0, scale=1.0):
    r"""The flow that undoes :func:`affine_flow` of the same settings, in closed form.

    .. math:: p + v(p) = c + \tfrac1s R^\top (p - c - t)

    Parameters and errors are those of :func:`affine_flow`.

    Returns
    -------
    flow : (2, rows, cols) float64 array

    Examples
    --------
    >>> inverse_affine_flow(3, 3, scale=2.0)[0]
    array([[ 0.5,  0.5,  0.5],
           [ 0. ,  0. ,  0. ],
           [-0.5, -0.5, -0.5]])
    """
    matrix, shift = _affine(translation, rotation, scale)
    away = _from_centre(*as_size(rows, cols))
    return np.tensordot(np.linalg.inv(matrix), away - shift, axes=1) - away


def elastic_flow(rows, cols, *, rms, length=12.0, seed=0):
    r"""A smooth random flow: what is left of a misregistration that no affine map explains.

    White noise under a Gaussian, so that two places a distance d apart correlate as
    :math:`\exp(-d^2 / 2 \ell^2)`.

    Parameters
    ----------
    rows, cols : int
    rms : float
        Root mean square of each component over the image, in pixels.
    length : float
        The correlation length :math:`\ell` in pixels, at least 0.001.
    seed : int

    Returns
    -------
    flow : (2, rows, cols) float64 array

    Raises
    ------
    InputError
        A size that is no whole number, an rms below 0, or a length that is not positive.

    Examples
    --------
    >>> flow = elastic_flow(20, 30, rms=1.5)
    >>> np.sqrt(np.mean(flow**2, axis=(1, 2))).round(9)
    array([1.5, 1.5])
    """
    rows, cols = as_size(rows, cols)
    rms, length = as_within(rms, "rms", (0, FAR)), as_within(length, "length", LENGTHS)
    step = max(1.0, length / _FINEST)  # pixels from one drawn number to the next
    margin = int(np.ceil(3 * length / step))  # the filter's reach: borders are like the rest
    size = [int(np.ceil((side - 1) / step)) + 1 + 2 * margin for side in (rows, cols)]
    white = np.random.default_rng(as_seed(seed)).standard_normal((2, *size))
    # The square of a Gaussian's spectrum is that of one sqrt(2) times as wide.
    smooth = gaussian_filter(white, length / step / np.sqrt(2), axes=(1, 2))
    if step == 1:
        smooth = smooth[:, margin : margin + rows, margin : margin + cols]
    else:
        at = margin + np.mgrid[:rows, :cols] / step
        smooth = np.stack([map_coordinates(part, at) for part in smooth])
    return rms * smooth / np.sqrt(np.mean(smooth**2, axis=(1, 2), keepdims=True))


def inverse_flow(flow):
    r"""The flow v that undoes f: what is seen through f, then through v, is the image again.

    .. math:: v(p) = -f(p + v(p)), \qquad v \leftarrow -f \circ (\mathrm{id} + v)

    The fixed point is iterated until nothing moves by 1e-8 pixels. Between pixels f is a cubic
    spline, and beyond the border its edge value repeats.

    Parameters
    ----------
    flow : (2, rows, cols) array

    Returns
    -------
    inverse : (2, rows, cols) float64 array

    Raises
    ------
    InputError
        A flow that folds, so that one place is seen twice (a determinant of the Jacobian of
        p + f(p) of 0 or less), or one too steep for the fixed point.

    Examples
    --------
    >>> flow = affine_flow(8, 8, translation=(1.5, 0))
    >>> float(inverse_flow(flow)[0, 0, 0].round(6))
    -1.5
    """
    flow = as_flow(flow)
    # det(I + grad f); one-sided differences along an axis of a single pixel are 0
    (down_down, down_right), (right_down, right_right) = (_gradient(part) for part in flow)
    determinant = (1 + down_down) * (1 + right_right) - down_right * right_down
    if determinant.min() <= 0:
        raise InputError(
            f"the flow folds: the determinant of its Jacobian falls to {determinant.min():.2g}, "
            "above 0 is needed for an inverse; take a smaller or a smoother flow."
        )
    inverse = np.zeros_like(flow)
    for _ in range(300):
        before = inverse
        # v <- -f(p + v)
        inverse = -np.stack([warp(part, before) for part in flow])
        moved = np.abs(inverse - before).max()
        if moved < 1e-8:
            return inverse
    raise InputError(
        f"the flow is too steep: its inverse still moves by {moved:.2g} pixels after 300 steps, "
        "less than 1e-8 is needed; take a flow that changes by less than a pixel per pixel."
    )


def end_point_error(flow, truth):
    r"""How far each pixel of a flow points from where the true one does.

    .. math:: \lVert f(p) - f^*(p) \rVert

    Parameters
    ----------
    flow, truth : (2, rows, cols) arrays

    Returns
    -------
    error : (rows, cols) float64 array, in pixels; its mean is the usual score.

    Raises
    ------
    InputError
        Two sizes, or arrays that are no flows.

    Examples
    --------
    >>> float(end_point_error(affine_flow(2, 2, translation=(3, 4)), affine_flow(2, 2)).mean())
    5.0
    """
    truth = as_flow(truth)
    return np.hypot(*(as_flow(flow, *truth.shape[1:]) - truth))


def as_flow(flow, rows=None, cols=None):
    """Return a flow as a (2, rows, cols) float64 array, or say what is wrong with it.

    Raises
    ------
    InputError
        Another shape, or values that are no numbers of at most a million pixels.

    Examples
    --------
    >>> as_flow([[[0, 1]], [[2, 3]]]).shape
    (2, 1, 2)
    """
    flow = as_numbers(flow, "the flow")
    fits = flow.ndim == 3 and flow.shape[0] == 2 and flow.size > 0
    if not fits or (rows is not None and flow.shape[1:] != (rows, cols)):
        size = "rows, cols" if rows is None else f"{rows}, {cols}"
        raise InputError(
            f"the flow has shape {flow.shape}: (2, {size}) is needed, down and right in pixels; "
            "move the components to the front, or make the flow for this image."
        )
    if not (np.abs(flow) <= 10 * FAR).all():
        raise InputError(
            "the flow holds values that are NaN or infinite, or point farther than "
            f"{10 * FAR:.0f} pixels: finite pixels of an image are needed; replace them."
        )
    return flow


def _affine(translation, rotation, scale):
    """s R (2, 2) and t (2, 1, 1)."""
    shift = as_numbers(translation, "the translation")
    if shift.shape != (2,):
        raise InputError(
            f"the translation has shape {shift.shape}: two numbers are needed, down and right in "
            "pixels; pass translation=(1, 0) for one pixel down."
        )
    for part in shift:
        as_within(part, "the translation", (-FAR, FAR))
    scale, rotation = as_within(scale, "scale", SCALES), as_within(rotation, "rotation", ANGLES)
    cos, sin = np.cos(np.deg2rad(rotation)), np.sin(np.deg2rad(rotation))
    # Rows point down, so this turns where to look clockwise, and what is seen counter-clockwise.
    return scale * np.array([[cos, sin], [-sin, cos]]), shift[:, None, None]


def _from_centre(rows, cols):
    """p - c of every pixel: (2, rows, cols)."""
    centre = np.array([rows - 1, cols - 1])[:, None, None] / 2
    return np.mgrid[:rows, :cols] - centre


def _gradient(part):
    return [np.gradient(part, axis=a) if part.shape[a] > 1 else 0 * part for a in (0, 1)]
