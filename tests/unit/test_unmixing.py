"""Subspaces and endmembers: exact where the mixing model holds, and a sentence where it cannot."""

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.unmixing import match, nfindr, nmf, nnls_abundances, signal_rank, svd_subspace, vca
from hsisr_lite.unmixing.endmembers import corner_coordinates
from hsisr_lite.unmixing.matching import angles_between

extractors = pytest.mark.parametrize("extract", [vca, nfindr])


def mixed_scene(materials, bands, seed, copies=1, brightness=False, black=False):
    """Spectra (pixels, bands), and which material each pure pixel is of (-1: a mixture)."""
    rng = np.random.default_rng(seed)
    pure = rng.random((materials, bands))
    if black:
        pure[rng.integers(materials)] = 0
    shares = [np.eye(materials)] * copies + [rng.dirichlet(np.ones(materials), 150)]
    shares = rng.permutation(np.concatenate(shares))
    kind = np.where(shares.max(axis=1) == 1, shares.argmax(axis=1), -1)
    light = rng.uniform(0.1, 1.5, (len(shares), 1)) if brightness else 1.0
    return light * shares @ pure, kind


CASES = [
    (materials, bands, options)
    for materials, bands in ((2, 10), (3, 200), (7, 30), (12, 60))
    for options in (
        {},
        {"copies": 3},
        {"brightness": True},
        {"brightness": True, "copies": 2},
        {"black": True},
    )
] + [(4, 3, {}), (6, 5, {"copies": 2})]  # fewer bands than materials: corners all the same


@extractors
@pytest.mark.parametrize(("materials", "bands", "options"), CASES, ids=str)
def test_one_pure_pixel_of_each_material_is_found(extract, materials, bands, options):
    """Exactly: without noise the furthest point along any direction is a corner."""
    for seed in range(3):
        image, kind = mixed_scene(materials, bands, seed, **options)
        for given in (image, image.astype(np.float32)):
            found = extract(given, materials, seed=seed)
            assert sorted(kind[found.pixels]) == list(range(materials))
            np.testing.assert_array_equal(found.endmembers, given[found.pixels])


@extractors
def test_each_projection_is_right_for_its_own_kind_of_image(extract):
    """Affine where abundances sum to one, perspective where brightness varies; not conversely."""
    plain, kind = mixed_scene(4, 40, 0)
    assert sorted(kind[extract(plain, 4, projection="affine", tries=1).pixels]) == [0, 1, 2, 3]
    bright, kind = mixed_scene(4, 40, 0, brightness=True)
    found = extract(bright, 4, projection="perspective", tries=1).pixels
    assert sorted(kind[found]) == [0, 1, 2, 3]
    assert sorted(kind[extract(bright, 4, projection="affine").pixels]) != [0, 1, 2, 3]
    black, _ = mixed_scene(4, 40, 0, black=True)  # three dimensions, four corners
    assert corner_coordinates(black, 4, "perspective") is None


@extractors
def test_the_same_seed_finds_the_same_pixels(extract):
    image = np.random.default_rng(0).random((20, 15, 30))
    first, again = extract(image, 4, seed=3), extract(image, 4, seed=3)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    flat = extract(image.reshape(300, 30), 4, seed=3)
    np.testing.assert_array_equal(first.pixels, flat.pixels)
    others = [tuple(extract(image, 4, seed=seed, tries=1).pixels) for seed in range(5)]
    assert len(set(others)) > 1  # and the seed is used


def test_nfindr_spans_the_largest_simplex_that_exchanging_one_corner_can_reach():
    """No single exchange enlarges it: checked by computing every determinant."""
    image = np.random.default_rng(3).random((60, 8))
    found = nfindr(image, 4, projection="affine", tries=1).pixels
    points = corner_coordinates(image, 4, "affine")
    volume = abs(np.linalg.det(points[found]))
    for corner in range(4):
        for pixel in range(60):
            other = found.copy()
            other[corner] = pixel
            # one part in 1e9 is what the search itself takes for equal
            assert abs(np.linalg.det(points[other])) <= volume * (1 + 1e-8)
    start = vca(image, 4, projection="affine", tries=1).pixels
    assert (
        1.05 * abs(np.linalg.det(points[start])) < volume < 1.4 * abs(np.linalg.det(points[start]))
    )


def test_of_several_runs_the_one_that_explains_the_image_best_is_returned():
    scene = hl.load_scene("synthetic").cube[::5, ::5]  # few enough pixels that all of them judge
    pixels = scene.reshape(-1, scene.shape[2]).astype(float)  # (pixels, bands)

    def left(found):
        return np.sum((pixels - nnls_abundances(pixels, found) @ found) ** 2)

    runs = [
        left(vca(scene, 6, tries=tries, projection=name).endmembers)
        for name in ("perspective", "affine")
        for tries in (1, 5)
    ]
    # The pixels found are judged twice, which may tip a near tie: hence a tenth.
    assert left(vca(scene, 6).endmembers) <= 1.1 * min(runs) < max(runs)


def test_a_pure_pixel_that_no_sample_holds_still_decides():
    """Of 3000 pixels some 500 judge; the pixels found by any run are always among them."""
    rng = np.random.default_rng(0)
    pure, shares = rng.random((3, 20)), rng.dirichlet(np.full(3, 20.0), 3000)
    shares[[1, 8, 13]] = np.eye(3)  # between the pixels of an even sample, 6 apart
    image = rng.uniform(0.1, 1.5, (3000, 1)) * shares @ pure
    for seed in range(5):
        assert sorted(vca(image, 3, seed=seed).pixels) == [1, 8, 13]


@pytest.mark.parametrize("name", ["samson", "jasper_ridge"])
def test_measured_scenes_are_matched_whatever_the_seed(name, data_folder):
    """Published angles of VCA on Jasper Ridge are 14 to 31 degrees; both projections judged by
    what they leave unexplained do better: 15 leaves room for the water, that is nearly black."""
    scene = hl.load_scene(name)
    for seed in range(3):
        found = vca(scene.cube, len(scene.endmembers), seed=seed).endmembers
        assert match(found, scene.endmembers).angles.max() < 15


@extractors
@pytest.mark.parametrize(
    ("shape", "materials", "sentence"),
    [
        ((3, 10), 4, "3 pixels"),
        ((30, 10), 0, "whole number from 1"),
        ((30, 10), 2.5, "whole number from 1"),
        ((30, 10), "three", "whole number from 1"),
        ((30, 2), 4, "no simplex has so many corners"),
        ((30,), 2, "three non-empty axes"),
    ],
)
def test_what_cannot_be_extracted_is_refused(extract, shape, materials, sentence):
    with pytest.raises(InputError, match=sentence):
        extract(np.random.default_rng(0).random(shape), materials)


def test_other_settings_are_refused_with_the_remedy():
    image = np.random.default_rng(0).random((30, 10))
    with pytest.raises(InputError, match="projection is 'round'"):
        vca(image, 2, projection="round")
    with pytest.raises(InputError, match="tries is 0"):
        vca(image, 2, tries=0)
    with pytest.raises(InputError, match="finite values"):
        vca(np.full((4, 4, 3), np.nan), 2)
    with pytest.raises(InputError, match="so many corners"):  # rank 2: three of five are mixtures
        vca(np.random.default_rng(0).random((30, 2)) @ image[:2], 5)


@extractors
def test_zeros_and_a_single_material_are_no_trouble(extract):
    image, _ = mixed_scene(3, 20, 0, brightness=True)
    image[::7] = 0
    found = extract(image, 3)
    assert np.linalg.norm(found.endmembers, axis=1).min() > 0
    assert extract(image, 1).endmembers.shape == (1, 20)
    assert extract(np.zeros((5, 4)), 1).endmembers.shape == (1, 4)


def test_svd_subspace_is_the_best_of_its_rank():
    """Eckart and Young: what rank K leaves is the root of the squared values after K."""
    image = np.random.default_rng(0).random((9, 7, 12)) - 0.3
    basis, values = svd_subspace(image, 4)
    every = np.linalg.svd(image.reshape(63, 12), compute_uv=False)
    np.testing.assert_allclose(values, every[:4], rtol=1e-12)  # float64 rounding
    np.testing.assert_allclose(basis @ basis.T, np.eye(4), atol=1e-12)
    left = np.linalg.norm(image - image @ basis.T @ basis)
    np.testing.assert_allclose(left, np.sqrt(np.sum(every[4:] ** 2)), rtol=1e-12)
    assert (basis[np.arange(4), np.abs(basis).argmax(axis=1)] > 0).all()


def test_svd_subspace_does_not_care_about_signs_or_order_of_pixels():
    image = np.random.default_rng(0).random((40, 6))
    basis, _ = svd_subspace(image, 3)
    for other in (-image, image[::-1], np.vstack([image, image])):
        np.testing.assert_allclose(svd_subspace(other, 3).basis, basis, atol=1e-10)


def test_svd_subspace_of_few_pixels_and_of_all_ranks():
    few = np.random.default_rng(0).random((2, 30))
    assert svd_subspace(few).basis.shape == (2, 30)
    for rank in (0, 3, 1.5, True):
        with pytest.raises(InputError, match="rank is"):
            svd_subspace(few, rank)


@pytest.mark.parametrize("materials", [1, 3, 8])
def test_signal_rank_is_the_number_of_independent_spectra(materials):
    """Weaker than every singular value by far, noise changes nothing; without it, nothing does."""
    rng = np.random.default_rng(materials)
    image = rng.random((1500, materials)) @ rng.random((materials, 60))
    assert signal_rank(image) == materials
    assert signal_rank(image.astype(np.float32)) == materials
    assert signal_rank(image + 0.003 * rng.standard_normal(image.shape)) == materials


@pytest.mark.parametrize(("strength", "rank"), [(0.7, 1), (1.5, 2)])
def test_signal_rank_keeps_what_is_stronger_than_the_noise(strength, rank):
    """Closed form: power p of signal plus s^2 of noise exceeds 2 s^2 where p > s^2."""
    rng, sd = np.random.default_rng(0), 0.01
    directions, _ = np.linalg.qr(rng.standard_normal((50, 2)))
    amounts = rng.standard_normal((20_000, 2)) * [1, strength * sd]  # second: about the noise
    assert signal_rank(amounts @ directions.T + sd * rng.standard_normal((20_000, 50))) == rank


def test_signal_rank_falls_with_noise_and_needs_pixels():
    scene = hl.load_scene("synthetic")
    rng = np.random.default_rng(0)
    ranks = [
        signal_rank(scene.cube + sd * rng.standard_normal(scene.cube.shape))
        for sd in (0, 0.001, 0.01, 0.1)
    ]
    assert ranks[0] == len(scene.endmembers) and ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == 4
    with pytest.raises(InputError, match="more pixels than bands"):
        signal_rank(np.ones((5, 5)))


def test_nmf_explains_more_than_its_start_and_scales_as_it_says():
    scene = hl.load_scene("synthetic").cube[::4, ::4]
    start = vca(scene, 5).endmembers
    before = np.sum((scene - nnls_abundances(scene, start) @ start) ** 2)
    factors = nmf(scene, 5)
    assert np.sum((scene - factors.abundances @ factors.endmembers) ** 2) < before
    assert factors.endmembers.min() >= 0 and factors.abundances.min() >= 0
    # division by the largest leaves it within rounding of one
    np.testing.assert_allclose(factors.abundances.max(axis=(0, 1)), 1, rtol=1e-12)
    again = nmf(scene, 5)
    np.testing.assert_array_equal(factors.endmembers, again.endmembers)


def test_nmf_is_quiet_and_finite_when_stopped_early_or_given_negative_values():
    rng = np.random.default_rng(0)
    factors = nmf(rng.standard_normal((40, 10)), 3, rounds=1)  # warnings are errors here
    assert np.isfinite(factors.endmembers).all() and factors.abundances.shape == (40, 3)
    with pytest.raises(InputError, match="no value above zero"):
        nmf(-np.ones((40, 10)), 1)
    with pytest.raises(InputError, match="rounds is 0"):
        nmf(rng.random((40, 10)), 3, rounds=0)


def test_match_undoes_a_permutation_and_a_scaling():
    reference = np.random.default_rng(0).random((6, 30))
    shuffled = np.random.default_rng(1).permutation(6)
    found, angles = match(3 * reference[shuffled], reference)
    np.testing.assert_array_equal(shuffled[found], np.arange(6))
    np.testing.assert_allclose(angles, 0, atol=1e-6)  # degrees; rounding of unit spectra


def test_match_has_the_least_sum_of_all_orders():
    """Greedy pairing would give the first its nearest and leave the second the worst."""
    from itertools import permutations

    rng = np.random.default_rng(3)
    for _ in range(20):
        found, reference = rng.random((4, 5)), rng.random((4, 5))
        angles = angles_between(reference, found)
        least = min(angles[range(4), order].sum() for order in permutations(range(4)))
        np.testing.assert_allclose(match(found, reference).angles.sum(), least, rtol=1e-12)


def test_match_of_more_and_of_fewer():
    reference = np.eye(4)
    order, angles = match(np.eye(4)[[2, 0]], reference)
    np.testing.assert_array_equal(order, [1, -1, 0, -1])
    np.testing.assert_array_equal(angles, [0, np.nan, 0, np.nan])
    np.testing.assert_array_equal(match(reference, np.eye(4)[[2, 0]]).order, [2, 0])
    with pytest.raises(InputError, match="5 bands: 4 are needed"):
        match(np.eye(5), reference)


def test_angles_keep_their_digits_where_the_arc_cosine_does_not():
    """A millionth of a radian: the arc cosine of 1 - 5e-13 has lost four digits."""
    found = angles_between([[1.0, 0.0]], [[1.0, 1e-6]])[0, 0]
    np.testing.assert_allclose(np.deg2rad(found), 1e-6, rtol=1e-9)


@extractors
def test_spectra_around_zero_have_no_brightness_to_divide_by(extract):
    """Centred images: the perspective projection is left out, and asked for alone, an error."""
    centred = np.vstack([np.eye(3), -np.eye(3)])
    assert len(set(extract(centred, 3).pixels)) == 3
    with pytest.raises(InputError, match="span fewer dimensions"):
        extract(centred, 3, projection="perspective")
