"""Checks for the exercises of chapter 02, the degradation model."""

import numpy as np

from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.exercises.feedback import Right, WrongAnswer, answered, array_from, call


def follow_one_photon(coarse_pixel, psf_entry):
    """Check exercise 1: pixel (21, 6) at ratio 8, and the PSF entry that carries it.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> follow_one_photon((2, 0), (5, 6))
    '21 = 2 x 8 + 5 and 6 = 0 x 8 + 6; block and place in the block.'
    """
    for answer in (answered(coarse_pixel), answered(psf_entry)):
        if np.shape(answer) != (2,):
            raise WrongAnswer("write each place as two numbers, (row, column).")
    coarse_pixel, psf_entry = tuple(coarse_pixel), tuple(psf_entry)
    if coarse_pixel == (0, 2) or psf_entry == (6, 5):
        raise WrongAnswer("Rows come first: the bright pixel is in row 21, column 6.")
    if coarse_pixel == (3, 1):
        raise WrongAnswer("You rounded up: row 21 lies in the block of rows 16 to 23, number 2.")
    if coarse_pixel != (2, 0):
        raise WrongAnswer("Which block of 8 rows holds row 21? Count blocks from zero.")
    if psf_entry in ((21, 6), (13, 6)):
        raise WrongAnswer("That is a place in the image; the PSF has only 8 rows and columns.")
    if psf_entry == (2, 1):
        raise WrongAnswer("You flipped the kernel: P is a correlation, so no index is reversed.")
    if psf_entry != (5, 6):
        raise WrongAnswer("The window of coarse row 2 starts at fine row 16; how far on is 21?")
    return Right("21 = 2 x 8 + 5 and 6 = 0 x 8 + 6; block and place in the block.")


def adjoint(spread):
    """Check exercise 2 by the dot-product identity, on a PSF that no symmetry protects.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    ratio, rng = 3, np.random.default_rng(0)
    psf = np.array([[0.25, 0.05, 0.02], [0.2, 0.15, 0.03], [0.1, 0.12, 0.08]])
    operator = SpatialOperator(psf, ratio)
    y = rng.standard_normal((4, 5, 2))
    wanted = operator.A_adjoint(y)
    found = array_from(spread, y.copy(), psf, ratio)
    if found.shape != wanted.shape:
        raise WrongAnswer(
            f"The adjoint goes back to the fine grid, {wanted.shape}; yours has {found.shape}."
        )
    if np.allclose(found, wanted):
        return Right("Both sides of the identity agree to rounding.")
    wrong_turns = {
        "Every fine pixel got the whole value: a copy; but P collected with weights, so P* "
        "must hand back with the same weights.": np.kron(y, np.ones((ratio, ratio, 1))),
        "You divided by the area: the adjoint has the PSF's weights, not 1 / ratio^2.": np.kron(
            y, np.full((ratio, ratio, 1), 1 / ratio**2)
        ),
        "You divided by the sum of squared weights: that makes P P* the identity, an inverse of "
        "sorts, but not the adjoint.": wanted / np.sum(psf**2),
        "You transposed the kernel: rows of the PSF belong to rows of the image.": SpatialOperator(
            psf.T, ratio
        ).A_adjoint(y),
        "You flipped the kernel: pixel (a, b) of a block was weighted with h[a, b].": (
            SpatialOperator(psf[::-1, ::-1], ratio).A_adjoint(y)
        ),
    }
    for reveals, answer in wrong_turns.items():
        if np.allclose(found, answer):
            raise WrongAnswer(reveals)
    x = rng.standard_normal(wanted.shape)
    one, other = np.vdot(operator.A(x), y), np.vdot(x, found)
    raise WrongAnswer(f"<P x, y> is {one:.4f} but <x, P* y> is {other:.4f}; they must be equal.")


def noise_level(noise_sd):
    """Check exercise 3 on an image whose mean is not zero.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.
    """
    image = 0.5 + 0.2 * np.random.default_rng(0).random((20, 30, 4))
    for snr_db in (25, 40):
        _one_noise_level(image, snr_db, call(noise_sd, image, snr_db))
    return Right("10 dB more SNR means sqrt(10) times less noise.")


def _one_noise_level(image, snr_db, found):
    power, fraction = np.mean(image**2), 10 ** (snr_db / 20)
    wrong_turns = {
        "That is the variance; the question asks for its square root.": power / fraction**2,
        "You divided decibels by 20 inside the power: either power and 10, or amplitude and 20.": (
            np.sqrt(power / fraction)
        ),
        "You used the variance of the image: the SNR here compares with mean(x^2), brightness "
        "included.": image.std() / fraction,
        "You used the mean of x; the signal's power is the mean of x^2.": image.mean() / fraction,
        "You used the maximum: that is the peak SNR, another quantity.": image.max() / fraction,
        "The sign of the decibels is wrong: more SNR must mean less noise.": np.sqrt(power)
        * fraction,
    }
    if np.ndim(found) != 0:
        raise WrongAnswer("One number for the whole image, please, not an array.")
    wanted = np.sqrt(power) / fraction
    if np.isclose(found, wanted, rtol=1e-6):
        return
    for reveals, answer in wrong_turns.items():
        if np.isclose(found, answer, rtol=1e-6):
            raise WrongAnswer(reveals)
    raise WrongAnswer(f"at {snr_db} dB this image needs {wanted:.4f}, not {found:.4f}.")


def displaced(displacement):
    """Check exercise 4: windows that start a pixel early, at ratio 4 with 8 x 8 weights.

    Raises
    ------
    WrongAnswer
        With what the mistake reveals.

    Examples
    --------
    >>> displaced(1)
    'Light from 4i + 0.5 is drawn at 4i + 1.5, one pixel down and right.'
    """
    reveals = {
        -1.0: "The size is right. What was seen up and left is drawn further down and right.",
        0.5: "Half a pixel is the k // 2 trap; here whole windows start one pixel early.",
        -0.5: "Half a pixel is the k // 2 trap; here whole windows start one pixel early.",
        0.0: "Where do the windows start, where would they have to, and who corrects for it?",
        2.0: "Compare centres, not starts and ends: 4i - 3 + 3.5 with 4i + 1.5.",
        3.0: "That is the start of the window; its light comes from around its centre, 3.5 on.",
    }
    if not isinstance(answered(displacement), (int, float)):
        raise WrongAnswer("one signed number, please: + for down and right, - for up and left.")
    if displacement == 1:
        return Right("Light from 4i + 0.5 is drawn at 4i + 1.5, one pixel down and right.")
    raise WrongAnswer(
        reveals.get(displacement, "Where is the centre of a window, and where of a block?")
    )
