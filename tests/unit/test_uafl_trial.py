"""The trial one scale down: a change counts as far as the pair itself bears it out."""

from dataclasses import replace

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.uafl.start import affine_start, bicubic_start
from hsisr_lite.uafl.trial import borne_out
from hsisr_lite.unmixing.subspace import svd_subspace


@pytest.fixture(scope="module")
def pair():
    return hl.simulate(hl.load_scene("synthetic"), ratio=4, sensor="worldview2", blind=False)


def wanted(pair, start):
    """What the first image of the reduced pair lacks, computed apart; its endmembers."""
    blur = SpatialOperator(pair.psf, pair.ratio)
    small = replace(
        pair,
        lr_hsi=blur.A(pair.lr_hsi.astype(np.float64)),
        hr_msi=blur.A(pair.hr_msi.astype(np.float64)),
    )
    first = start(small, pair.psf).image(small.hr_msi, small.lr_hsi)
    return pair.lr_hsi - first, svd_subspace(pair.lr_hsi.astype(np.float64), 4).basis


@pytest.mark.parametrize(("name", "start"), [("affine", affine_start), ("bicubic", bicubic_start)])
@pytest.mark.parametrize(
    ("times", "share"), [(1.0, 1.0), (2.0, 0.5), (0.5, 1.0), (-1.0, 0.0)], ids=str
)
def test_a_change_in_the_right_direction_counts_as_far_as_it_should(
    pair, name, start, times, share
):
    """Twice what is missing counts by half, half of it wholly, the opposite not at all.

    Both images are float32: 1e-4.
    """
    missing, basis = wanted(pair, start)
    found = borne_out(pair, pair.psf, lambda x, z: times * missing, basis, name)
    assert np.isclose(found, share, atol=1e-4)


def test_what_is_beside_the_point_does_not_count(pair):
    """A change at right angles to what is missing, as large as it."""
    missing, basis = wanted(pair, affine_start)
    along = missing @ basis.T
    noise = np.random.default_rng(0).standard_normal(along.shape)
    noise -= np.sum(noise * along) / np.sum(along**2) * along
    change = (along + noise * np.linalg.norm(along) / np.linalg.norm(noise)) @ basis
    found = borne_out(pair, pair.psf, lambda x, z: change, basis, "affine")
    assert np.isclose(found, 0.5, atol=1e-3)


def test_the_network_sees_the_reduced_pair_alone(pair):
    """The first image and the HrMSI of the reduced pair, as large as the LrHSI."""
    seen = []

    def change(first, hr_msi):
        seen.append((first, hr_msi))
        return np.zeros_like(first)

    assert borne_out(pair, pair.psf, change, np.eye(3, 99), "affine") == 1.0
    ((first, hr_msi),) = seen
    assert first.shape == pair.lr_hsi.shape
    low = SpatialOperator(pair.psf, 4).A(pair.hr_msi.astype(np.float64))
    assert np.abs(hr_msi - low).max() < 1e-6


def test_pixels_without_data_are_not_judged(pair):
    """Whatever stands in a hole of either image, the share is the same, and the rest decides."""
    hr_valid, lr_valid = np.ones((96, 96), bool), np.ones((24, 24), bool)
    hr_valid[8:20, 8:20] = False
    lr_valid[15:18, 15:18] = False
    shares = []
    for filled in (0.0, 5.0):
        lr_hsi, hr_msi = pair.lr_hsi.copy(), pair.hr_msi.copy()
        lr_hsi[~lr_valid], hr_msi[~hr_valid] = filled, filled
        holed = replace(pair, lr_hsi=lr_hsi, hr_msi=hr_msi, lr_valid=lr_valid, hr_valid=hr_valid)
        rng = np.random.default_rng(0)
        missing, basis = wanted(pair, affine_start)
        change = 2 * missing + 0.01 * rng.standard_normal(missing.shape)
        shares.append(borne_out(holed, pair.psf, lambda x, z, c=change: c, basis, "affine"))
    assert shares[0] == shares[1]
    assert 0.2 < shares[0] < 0.6


@pytest.mark.parametrize(("rows", "cols"), [(12, 24), (15, 15), (3, 40)])
def test_a_pair_too_small_to_reduce_is_not_tried(pair, rows, cols):
    """Fewer than sixteen pixels would be left."""
    part = replace(
        pair, lr_hsi=pair.lr_hsi[:rows, :cols], hr_msi=pair.hr_msi[: 4 * rows, : 4 * cols]
    )
    if rows == 12:
        part = replace(part, lr_hsi=part.lr_hsi[:, :20], hr_msi=part.hr_msi[:, :80])
    assert borne_out(part, pair.psf, lambda x, z: x, np.eye(3, 99), "affine") is None
