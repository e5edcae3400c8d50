"""Least squares under constraints: steps down the gradient, each back onto the allowed set."""

import numpy as np

SETTLED = 1e-3  # of all that was gained: a descent ends when its steps gain no more than that


def descend(x, gram, target, project, steps):
    r"""Lower a quadratic over a convex set by projected gradients with momentum [beck2009]_.

    .. math:: f(x) = \tfrac12 \langle x, Q x \rangle - \langle T, x \rangle, \qquad
              x \leftarrow \Pi\bigl(v - (Q v - T) / L\bigr), \quad L = \lVert Q \rVert_2

    where v runs ahead of x. A step that would raise f is taken again from x itself, and from there
    the step 1 / L cannot raise it.

    Parameters
    ----------
    x : (n, columns) array
        Where to start, inside the set.
    gram : (n, n) array
        Q, symmetric and positive semidefinite.
    target : (n, columns) array
        T.
    project : callable
        The nearest point of the set.
    steps : int
        At most; it ends where as many steps like the last would add a thousandth to the fall of f.

    Returns
    -------
    x : (n, columns) array
    values : list of f at the start and after every step; they never rise.

    Examples
    --------
    >>> descend(np.zeros((2, 1)), np.eye(2), np.array([[2.0], [-1.0]]), into_unit, 5)[0].ravel()
    array([1., 0.])
    """
    step = 1 / max(np.linalg.norm(gram, 2), np.finfo(float).tiny ** 0.5)
    image = gram @ x  # Q x, and Q v beside every v: one product a step
    ahead, image_ahead, pace = x, image, 1.0
    values = [np.sum(x * (0.5 * image - target))]
    for _ in range(steps):
        moved = project(ahead - step * (image_ahead - target))
        image_moved = gram @ moved
        if np.sum(moved * (0.5 * image_moved - target)) > values[-1]:
            moved, pace = project(x - step * (image - target)), 1.0
            image_moved = gram @ moved
        value = np.sum(moved * (0.5 * image_moved - target))
        values.append(min(value, values[-1]))  # where they are equal but for rounding
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        momentum = (pace - 1) / faster
        ahead = moved + momentum * (moved - x)
        image_ahead = image_moved + momentum * (image_moved - image)
        x, image, pace = moved, image_moved, faster
        if values[-2] - values[-1] <= SETTLED / steps * (values[0] - values[-1]):
            break
    return x, values


def onto_simplex(points):
    r"""The nearest columns that are non-negative and sum to one [duchi2008]_.

    .. math:: \Pi(v) = (v - \theta)_+, \qquad \textstyle\sum_k (v_k - \theta)_+ = 1

    The sum is convex and falls with :math:`\theta`, so Newton steps from the left,
    :math:`\max v - 1`, rise to the root and reach it once the positive entries are settled.

    Examples
    --------
    >>> onto_simplex(np.array([[0.9], [0.5], [-1.0]])).ravel().round(12)
    array([0.7, 0.3, 0. ])
    """
    threshold = points.max(axis=0) - 1
    for _ in range(len(points)):
        above = points > threshold
        newer = (np.sum(points * above, axis=0) - 1) / above.sum(axis=0)
        if (newer <= threshold).all():
            break
        threshold = newer
    return np.maximum(points - threshold, 0)


def into_unit(values):
    """The nearest values from 0 to 1."""
    return np.clip(values, 0, 1)
