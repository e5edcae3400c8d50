"""Flows: what is seen through them, and what undoes them."""

import numpy as np
import pytest

from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.flows import (
    affine_flow,
    as_flow,
    elastic_flow,
    end_point_error,
    inverse_affine_flow,
    inverse_flow,
    warp,
)


def places(rows, cols):
    return np.mgrid[:rows, :cols].astype(float)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_shift_by_whole_pixels_looks_elsewhere_and_repeats_the_edge(order):
    """2 down, 1 left: pixel (i, j) shows (i + 2, j - 1), to rounding."""
    image = np.random.default_rng(0).random((7, 9, 2))
    seen = warp(image, affine_flow(7, 9, translation=(2, -1)), order)
    np.testing.assert_allclose(seen[:5, 1:], image[2:, :-1], atol=1e-12)
    np.testing.assert_allclose(seen[5:, 1:], image[[6, 6], :-1], atol=1e-12)
    np.testing.assert_allclose(seen[:5, 0], image[2:, 0], atol=1e-12)


def test_between_pixels_a_plane_is_read_exactly():
    """Bilinear interpolation reproduces a plane: a + b row + c column, wherever one looks."""
    rows, cols = places(12, 15)
    flow = np.clip(elastic_flow(12, 15, rms=0.8, length=3), -1.5, 1.5)
    seen = warp(2 + 3 * rows - 5 * cols, flow, order=1)
    expected = 2 + 3 * (rows + flow[0]) - 5 * (cols + flow[1])
    inner = slice(2, -2), slice(2, -2)  # nobody looks across the border from there
    np.testing.assert_allclose(seen[inner], expected[inner], atol=1e-11)  # rounding


def test_a_quarter_turn_is_that_of_numpy():
    """What is seen turns counter-clockwise, as rot90 does; the grid maps onto itself exactly."""
    image = np.random.default_rng(1).random((6, 6))
    seen = warp(image, affine_flow(6, 6, rotation=90), order=1)
    np.testing.assert_allclose(seen, np.rot90(image), atol=1e-12)


def test_a_scale_above_one_makes_what_is_seen_smaller():
    """Scale 3 about the centre: each pixel shows the one three times as far from it."""
    image = np.arange(9.0 * 9).reshape(9, 9)
    seen = warp(image, affine_flow(9, 9, scale=3), order=0)
    np.testing.assert_array_equal(seen[3:6, 3:6], image[1::3, 1::3])


def test_the_type_of_an_image_is_kept_and_whole_numbers_become_floats():
    still = affine_flow(3, 4)
    for given, wanted in (("f4", "f4"), ("f8", "f8"), ("u1", "f4")):
        for shape in ((3, 4), (3, 4, 2)):
            image = np.ones(shape, given)
            seen = warp(image, still)
            assert seen.dtype == wanted and seen.shape == shape
            np.testing.assert_allclose(seen, image, atol=1e-6)  # float32


SETTINGS = [
    {"translation": (1.3, -2.1)},
    {"rotation": 7.0},
    {"scale": 0.8},
    {"translation": (-2.0, 0.4), "rotation": -40.0, "scale": 1.7},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_inverse_of_an_affine_flow_is_exact(settings):
    """Go along the one, then along the other: back where you were. Rounding only."""
    rows, cols = 11, 17
    centre = np.array([5.0, 8.0])[:, None, None]
    at = places(rows, cols)
    there = at + inverse_affine_flow(rows, cols, **settings)
    angle, scale = np.deg2rad(settings.get("rotation", 0)), settings.get("scale", 1)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array(settings.get("translation", (0, 0)))[:, None, None]
    back = centre + scale * np.tensordot(turn, there - centre, 1) + shift
    np.testing.assert_allclose(back, at, atol=1e-12)
    moved = centre + scale * np.tensordot(turn, at - centre, 1) + shift - at
    np.testing.assert_allclose(affine_flow(rows, cols, **settings), moved, atol=1e-12)


def test_an_elastic_flow_has_the_roughness_that_was_asked_for():
    """The correlation at distance d is exp(-d^2 / 2 length^2): 0.61 at one length.

    500 x 500 pixels hold some 800 independent patches of length 18: a standard error near 0.03.
    """
    flow = elastic_flow(500, 500, rms=1.7, length=18, seed=3)
    np.testing.assert_allclose(np.sqrt(np.mean(flow**2, axis=(1, 2))), 1.7, rtol=1e-12)
    for part in flow:
        for apart in (18, 36):
            for one, other in (
                (part[apart:], part[:-apart]),
                (part[:, apart:], part[:, :-apart]),
            ):
                found = np.mean(one * other) / 1.7**2
                assert found == pytest.approx(np.exp(-((apart / 18) ** 2) / 2), abs=0.1)
    assert abs(np.mean(flow[0] * flow[1])) / 1.7**2 < 0.15  # the components know nothing


def test_elastic_flows_follow_their_seed_and_are_as_large_at_the_border():
    one = elastic_flow(40, 30, rms=1.0, seed=5)
    np.testing.assert_array_equal(one, elastic_flow(40, 30, rms=1.0, seed=5))
    assert np.abs(one - elastic_flow(40, 30, rms=1.0, seed=6)).max() > 0.5
    assert not elastic_flow(40, 30, rms=0.0).any()
    # A filter that mirrored or zeroed the border would change the variance there by a factor of 2
    # or 1/2; a mean over 300 draws is known to some 8 per cent.
    draws = np.array([elastic_flow(24, 24, rms=1.0, length=4, seed=s) for s in range(300)])
    assert np.mean(draws[:, :, 0] ** 2) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_the_inverse_of_a_flow_brings_every_pixel_home(seed):
    """flow(p + v(p)) + v(p) = 0 to 1e-6 pixels: what the fixed point promises."""
    flow = affine_flow(60, 50, translation=(2, -1), rotation=3, scale=1.02)
    flow = flow + elastic_flow(60, 50, rms=1.5, seed=seed)
    inverse = inverse_flow(flow)
    left = inverse + np.stack([warp(part, inverse) for part in flow])
    assert np.abs(left).max() < 1e-6


def test_a_very_long_correlation_costs_no_more_and_is_as_smooth():
    """The same correlations as below 64 pixels, where the field is drawn on a coarser grid.

    A Gaussian-correlated field's slope is its height over the length, and the slope's change stays
    within some five times height / length^2. 700 x 700 pixels hold 100 patches of length 70: a
    standard error near 0.1. At 5000 a grid of single pixels would take gigabytes.
    """
    flow = elastic_flow(700, 700, rms=1.0, length=70)
    for part in flow:
        slope = np.sqrt(np.mean(np.diff(part, axis=0) ** 2))
        assert slope == pytest.approx(1 / 70, rel=0.3)
        assert np.abs(np.diff(part, 2, axis=1)).max() < 10 / 70**2
    long = elastic_flow(48, 48, rms=2.0, length=5000)
    np.testing.assert_allclose(np.sqrt(np.mean(long**2, axis=(1, 2))), 2, rtol=1e-12)
    assert np.ptp(long, axis=(1, 2)).max() < 1


def test_the_inverse_agrees_with_the_closed_form_away_from_the_border():
    """Inside, where neither looks beyond the border, cubic splines hold an affine flow exactly."""
    settings = {"translation": (1.5, -2.0), "rotation": 4.0, "scale": 1.03}
    found = inverse_flow(affine_flow(60, 60, **settings))
    true = inverse_affine_flow(60, 60, **settings)
    # The spline's edge condition (a repeated pixel) fades by a factor of 0.27 per pixel inwards.
    inner = (slice(None), slice(20, -20), slice(20, -20))
    np.testing.assert_allclose(found[inner], true[inner], atol=1e-6)


def test_a_warp_and_its_inverse_give_the_image_back():
    """A wave of 24 pixels, interpolated twice by cubics: each loses some 1e-4 of it."""
    rows, cols = places(72, 72)
    image = np.sin(rows * 2 * np.pi / 24) * np.cos(cols * 2 * np.pi / 24)
    flow = elastic_flow(72, 72, rms=1.2, seed=2)
    again = warp(warp(image, flow), inverse_flow(flow))
    inner = slice(8, -8), slice(8, -8)
    assert np.abs(image - warp(image, flow))[inner].max() > 0.3
    assert np.abs(image - again)[inner].max() < 5e-3


def test_a_flow_that_folds_or_is_too_steep_has_no_inverse():
    folded = np.zeros((2, 20, 20))
    folded[1] = -2 * np.maximum(places(20, 20)[1] - 10, 0)  # right of column 10 it runs back
    with pytest.raises(InputError, match=r"folds: .* falls to -1"):
        inverse_flow(folded)
    with pytest.raises(InputError, match="too steep"):
        inverse_flow(affine_flow(20, 20, rotation=90))
    assert inverse_flow(np.zeros((2, 1, 5))).shape == (2, 1, 5)  # a single row has no slope


def test_the_end_point_error_is_a_distance():
    one, other = affine_flow(4, 5, translation=(3, -1)), affine_flow(4, 5, translation=(0, 3))
    error = end_point_error(one, other)
    assert error.shape == (4, 5)
    np.testing.assert_allclose(error, 5)
    np.testing.assert_allclose(end_point_error(other, one), error)


NO_NUMBERS = ("a", None, [1], 1j, np.nan, np.inf, True, 10**400)
WRONG_AFFINE = [
    *((key, value) for key in ("rotation", "scale") for value in (*NO_NUMBERS, 1e308, np.ones(2))),
    *(("translation", value) for value in NO_NUMBERS[:-1]),
    *(("translation", (0, value)) for value in ("a", None, [1], 1j, np.nan, 1e308)),
]
WRONG_ELASTIC = [
    *(("rms", value) for value in (*NO_NUMBERS, 1e308)),
    *(("length", value) for value in (*NO_NUMBERS, 1e308, 1e-308)),
]
WRONG_SIZES = (-1, 0, "a", None, np.nan, 2.5, True, [2])
MAKERS = (affine_flow, inverse_affine_flow, lambda *size: elastic_flow(*size, rms=1.0))
WRONG_IMAGES = [
    (np.ones((1, 2)) * 1j, "type complex128"),
    (np.array([[1, None]]), "type object"),
    ([["a", "b"]], "type <U1"),
    ([[1, 2], [3]], "rows of unequal length"),
    (np.ones((1, 2, 0)), r"shape \(1, 2, 0\)"),
    ([[1, np.nan]], "1 values that are NaN or infinite"),
]


@pytest.mark.parametrize(
    ("wrong", "reveals"),
    [
        (lambda: as_flow(np.zeros((3, 4, 5))), r"has shape \(3, 4, 5\): \(2, rows, cols\)"),
        (lambda: as_flow(np.zeros((4, 5, 2)), 4, 5), r"\(2, 4, 5\) is needed"),
        (lambda: as_flow(np.full((2, 3, 3), np.nan)), "NaN or infinite"),
        (lambda: as_flow("left"), "not a real number"),
        (lambda: warp(np.ones((3, 4)), np.zeros((2, 4, 3))), r"\(2, 3, 4\) is needed"),
        (lambda: warp(np.ones(3), np.zeros((2, 1, 3))), "1 axes"),
        (lambda: warp(np.ones((2, 2)), np.zeros((2, 2, 2)), order=6), "0 to 5"),
        (lambda: affine_flow(3, 3, scale=0), "scale is 0: one number from 0.001"),
        (lambda: affine_flow(3, 3, rotation=np.inf), "rotation is inf: one number from -360"),
        (lambda: affine_flow(3, 3, translation=1.0), "two numbers are needed"),
        (lambda: elastic_flow(3, 3, rms=-1), "rms is -1"),
        (lambda: elastic_flow(3, 3, rms=1, length=0), "length is 0"),
        (lambda: elastic_flow(3, 3, rms=1, seed=-1), "seed is -1"),
        *(
            (lambda k=k, v=v: affine_flow(3, 3, **{k: v}), f"{k} (is|has|holds)")
            for k, v in WRONG_AFFINE
        ),
        *(
            (lambda k=k, v=v: elastic_flow(3, 3, **{"rms": 1, k: v}), f"{k} is")
            for k, v in WRONG_ELASTIC
        ),
        *((lambda n=n, m=m: m(n, 3), "rows is") for n in WRONG_SIZES for m in MAKERS),
        *((lambda n=n, m=m: m(3, n), "cols is") for n in WRONG_SIZES for m in MAKERS),
        *((lambda i=i: warp(i, np.zeros((2, 1, 2))), r) for i, r in WRONG_IMAGES),
        *(
            (
                lambda o=o: warp(np.ones((1, 2)), np.zeros((2, 1, 2)), o),
                "a whole number from 0 to 5",
            )
            for o in (3.0, True, np.array([1, 3]), None, "1", -1)
        ),
        (lambda: inverse_affine_flow(3, 3, scale=1e-320), "scale is 1e-320"),
        (lambda: inverse_flow(np.full((2, 3, 3), 1e200)), "farther than 1000000 pixels"),
        (lambda: end_point_error(*np.full((2, 2, 1, 1), 1e308)), "farther than 1000000 pixels"),
        (lambda: end_point_error(np.zeros((2, 3, 3)), np.zeros((2, 3, 4))), r"\(2, 3, 4\)"),
    ],
)
def test_a_wrong_input_is_told_in_a_sentence(wrong, reveals):
    with pytest.raises(InputError, match=reveals):
        wrong()
