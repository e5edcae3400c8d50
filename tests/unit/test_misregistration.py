"""Misregistered pairs: what is warped, what is kept, and how far presets go."""

from dataclasses import replace

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.degradation.misregistration import (
    MISREGISTRATIONS,
    Misregistration,
    affine_flow,
    misregister,
    random_flow,
    seen_through,
    warp,
    without_holes,
)


@pytest.fixture(scope="module")
def pair():
    return hl.simulate(hl.load_scene("synthetic"), blind=False, snr_db=40)


def affine_fit(flow):
    """Shift at the centre (2,) and matrix (2, 2) of p + flow(p), by least squares."""
    rows, cols = flow.shape[1:]
    at = np.mgrid[:rows, :cols] - np.array([rows - 1, cols - 1])[:, None, None] / 2
    terms = np.stack([np.ones((rows, cols)), *at], -1).reshape(-1, 3)  # (pixels, 3)
    goal = (flow + at).reshape(2, -1).T  # (pixels, 2)
    found = np.linalg.lstsq(terms, goal, rcond=None)[0]
    return found[0], found[1:].T


@pytest.mark.parametrize("preset", MISREGISTRATIONS)
def test_a_draw_stays_within_its_preset(preset):
    """Without its elastic part a flow is exactly affine, so the fit reads what was drawn."""
    bounds = replace(MISREGISTRATIONS[preset], elastic=0.0)
    largest = np.zeros(3)
    for seed in range(200):
        shift, matrix = affine_fit(random_flow(24, 20, bounds, seed))
        scale = np.sqrt(np.linalg.det(matrix))
        turn = np.rad2deg(np.arctan2(matrix[0, 1], matrix[0, 0]))
        largest = np.maximum(largest, [np.abs(shift).max(), abs(turn), abs(scale - 1)])
    most = np.array([bounds.translation, bounds.rotation, bounds.scale])
    assert np.all(largest <= most * (1 + 1e-9))
    # The largest of 200 uniform draws falls below 95 % with a chance of 3e-5.
    assert np.all(largest > 0.95 * most)


def test_a_realistic_flow_is_as_long_as_those_of_real_cameras():
    """Two to three and a half pixels on average at 96 x 96, an easy one below one and a half."""
    mean = {
        preset: np.mean([np.hypot(*random_flow(96, 96, preset, seed)).mean() for seed in range(60)])
        for preset in MISREGISTRATIONS
    }
    assert 2.0 < mean["realistic"] < 3.5
    assert 0.5 < mean["easy"] < 1.5


def test_flows_follow_their_seed():
    np.testing.assert_array_equal(random_flow(20, 30, seed=4), random_flow(20, 30, seed=4))
    assert np.abs(random_flow(20, 30, seed=4) - random_flow(20, 30, seed=5)).max() > 0.1


def test_only_the_second_camera_is_turned_away(pair):
    seen, flow = hl.misregister(pair, "realistic", seed=2)
    np.testing.assert_array_equal(flow, random_flow(96, 96, "realistic", 2))
    np.testing.assert_array_equal(seen.hr_msi, warp(pair.hr_msi, flow))
    for part in ("lr_hsi", "ratio", "wavelengths", "psf", "srf", "msi_wavelengths", "noise"):
        # PSF and SRF are divided by their sums once more: rounding
        np.testing.assert_allclose(getattr(seen, part), getattr(pair, part), rtol=1e-12)
    assert seen.meta == pair.meta and seen.hr_valid is None


def test_a_flow_or_a_misregistration_of_ones_own_is_taken(pair):
    own = Misregistration(translation=0.0, rotation=0.0, scale=0.0, elastic=0.5, length=20.0)
    _, flow = misregister(pair, own)
    assert np.sqrt(np.mean(flow**2)) == pytest.approx(0.5)
    shift = affine_flow(96, 96, translation=(0, 2))
    seen, kept = misregister(pair, shift)
    np.testing.assert_array_equal(kept, shift)
    np.testing.assert_allclose(seen.hr_msi[:, :-2], pair.hr_msi[:, 2:], atol=1e-6)  # float32


def test_a_hole_moves_with_the_image_and_leaks_nothing(pair):
    """The hole holds nonsense; no pixel that is called valid may have a trace of it."""
    valid = np.ones((96, 96), bool)
    valid[40:44, 50:53] = False
    image = np.where(valid[..., None], np.float32(0.25), np.float32(9.0)) * np.ones(8, np.float32)
    holed = replace(pair, hr_msi=image, hr_valid=valid)
    seen, _ = misregister(holed, affine_flow(96, 96, translation=(5, -7)))
    expected = np.ones((96, 96), bool)
    expected[35:39, 57:60] = False
    np.testing.assert_array_equal(seen.hr_valid, expected)
    seen, _ = misregister(holed, affine_flow(96, 96, translation=(0.4, 0.4)))
    assert (~seen.hr_valid).sum() == 5 * 4  # a part of a pixel: every pixel that it touches
    np.testing.assert_allclose(seen.hr_msi[seen.hr_valid], 0.25, atol=1e-6)  # float32


def test_without_holes_an_image_is_left_alone():
    image = np.random.default_rng(0).random((3, 4, 2))
    assert without_holes(image, None) is image
    assert without_holes(image, np.ones((3, 4), bool)) is image
    assert without_holes(image, np.zeros((3, 4), bool)) is image  # nothing to take from


@pytest.mark.parametrize("scene", ["jasper_ridge", "samson"])
def test_the_reference_files_are_seen_through_their_flows(reference_folder, scene):
    """Made independently of this code, with the same cubic spline and another border (mirrored).

    A spline forgets its border by a factor of 0.27 per pixel: 2e-5 of it is left 8 pixels inside.
    """
    with np.load(reference_folder / f"uafl_{scene}_r4.npz") as stored:
        for seen, flow in zip(stored["hr_msi"], stored["flow"], strict=True):
            at = flow + np.mgrid[:96, :96]
            inside = np.all((at > 8) & (at < 95 - 8), axis=0)
            assert inside.mean() > 0.5
            found = warp(stored["hr_msi_registered"], flow)
            np.testing.assert_allclose(found[inside], seen[inside], atol=2e-5)


@pytest.mark.parametrize("no_pair", [None, np.ones((4, 4, 2)), "easy"])
def test_what_is_no_pair_is_refused(no_pair):
    with pytest.raises(InputError, match=f"given a {type(no_pair).__name__}: an ObservedPair"):
        hl.misregister(no_pair)


@pytest.mark.parametrize("key", ["translation", "rotation", "scale", "elastic", "length"])
@pytest.mark.parametrize("value", ["a", None, np.nan, np.inf, -1, True, [1], 1e308])
def test_a_wrong_field_is_named_where_it_is_given(key, value):
    with pytest.raises(InputError, match=f"{key} of the misregistration is .* one number from"):
        replace(MISREGISTRATIONS["easy"], **{key: value})


@pytest.mark.parametrize(("key", "value"), [("scale", 1.0), ("length", 0.0)])
def test_a_field_at_the_end_of_its_range_is_refused(key, value):
    with pytest.raises(InputError, match=f"{key} of the misregistration is {value}: one number"):
        replace(MISREGISTRATIONS["easy"], **{key: value})


@pytest.mark.parametrize("preset", [np.zeros((2, 3, 4)), ["easy"], {}, None, "wild"])
def test_a_preset_that_is_none_is_refused(preset):
    with pytest.raises(InputError, match="is not known: one of easy, realistic is needed"):
        random_flow(3, 4, preset)


@pytest.mark.parametrize(
    ("wrong", "reveals"),
    [
        ("wild", "'wild' is not known: one of easy, realistic is needed"),
        (np.zeros((2, 5, 5)), r"\(2, 96, 96\) is needed"),
        (3.0, "the flow has shape"),
        (None, "the flow has shape"),
        ({}, "not a real number"),
        (["easy"], "not a real number"),
    ],
)
def test_a_wrong_misregistration_is_told_in_a_sentence(pair, wrong, reveals):
    with pytest.raises(InputError, match=reveals):
        misregister(pair, wrong)
    assert seen_through(pair, np.zeros((2, 96, 96))).hr_msi.dtype == np.float32
