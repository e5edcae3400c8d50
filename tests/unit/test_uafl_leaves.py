"""Dead leaves: made of nothing but the given spectra, everywhere covered, of many sizes."""

import numpy as np
import pytest

from hsisr_lite.uafl.leaves import dead_leaves, leaf_of


def test_every_pixel_is_a_given_spectrum_in_some_light():
    """Light scales a spectrum: the ratios of its bands are those of one given spectrum."""
    spectra = np.array([[0.1, 0.2, 0.3], [0.5, 0.1, 0.2], [0.4, 0.4, 0.8]])
    image = dead_leaves(40, spectra, np.random.default_rng(0)).reshape(-1, 3)
    shares = image / image.sum(axis=1, keepdims=True)
    known = spectra / spectra.sum(axis=1, keepdims=True)
    gaps = np.abs(shares[:, None] - known).max(axis=2).min(axis=1)
    assert gaps.max() < 1e-6  # float32 rounding of values below 1


def test_light_varies_by_its_stated_share():
    """One spectrum alone: what is left is the light, of mean 1 and deviation 0.05 by its making."""
    image = dead_leaves(64, np.ones((1, 1)), np.random.default_rng(1))
    assert image.std() == pytest.approx(0.05, rel=1e-5)


def test_leaves_cover_nearly_everything_by_themselves():
    """Leaf 0 fills the gaps, at most 2 % of the pixels when all others have been thrown."""
    owners = [leaf_of(64, np.random.default_rng(seed)) for seed in range(10)]
    assert all((owner >= 0).all() and (owner == 0).mean() <= 0.02 for owner in owners)


def test_leaves_are_of_many_sizes():
    """A power law: beside the few that cover much, most visible pieces are small."""
    areas = np.concatenate(
        [np.bincount(leaf_of(96, np.random.default_rng(seed)).ravel())[1:] for seed in range(10)]
    )
    areas = np.sort(areas[areas > 0])[::-1]
    largest = areas[: len(areas) // 10].sum() / areas.sum()
    # Equal pieces would give 0.1; a uniform spread of radii up to 24 about 0.3
    assert largest > 0.4
    assert np.median(areas) < areas.mean() / 2


def test_the_same_generator_gives_the_same_leaves():
    """Everything random comes from the one generator that is given."""
    spectra = np.random.default_rng(5).random((7, 4))
    first, again, other = (dead_leaves(32, spectra, np.random.default_rng(s)) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
