"""The pixels under a PSF: linear in the kernel, and the same as the spatial operator's."""

import numpy as np
import pytest

from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.degradation.windows import windows


@pytest.mark.parametrize(
    ("ratio", "size"),
    [(4, 4), (4, 8), (3, 3), (3, 6), (4, 5), (4, 7), (2, 5), (1, 1), (1, 2), (4, 1), (4, 3)],
)
def test_windows_times_a_kernel_are_the_spatial_operator(ratio, size):
    """Also at the mirrored borders, for images down to two blocks; float64: only rounding."""
    rng = np.random.default_rng(size)
    for blocks in ((3, 5), (2, 2)):
        image = rng.random((blocks[0] * ratio, blocks[1] * ratio, 2))
        psf = rng.random((size, size))
        psf /= psf.sum()
        seen = windows(image, size, ratio)
        assert seen.shape == (*blocks, 2, size * size) and seen.dtype == np.float64
        expected = SpatialOperator(psf, ratio).A(image)
        np.testing.assert_allclose(seen @ psf.ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize(("ratio", "size"), [(4, 4), (3, 6), (4, 3)])
def test_chosen_pixels_are_those_rows_of_all(ratio, size):
    image = np.random.default_rng(0).random((3 * ratio, 5 * ratio, 2)).astype(np.float32)
    every = windows(image, size, ratio)
    chosen = np.array([13, 1, 6, 6])
    some = windows(image, size, ratio, chosen)
    np.testing.assert_array_equal(some, every.reshape(15, 2, size * size)[chosen])
    assert some.dtype == np.float32 and some.flags["C_CONTIGUOUS"]  # the image's own type


def test_a_block_is_read_row_by_row_and_a_wide_window_mirrors_the_edge():
    """ratio 2: pixel (i, j) sees rows 2 i - 1 to 2 i + 2; row -1 is row 0 again."""
    image = np.arange(16.0).reshape(4, 4, 1)
    np.testing.assert_array_equal(windows(image, 2, 2)[0, 1, 0], [2, 3, 6, 7])
    wide = windows(image, 4, 2)[0, 0, 0].reshape(4, 4)
    np.testing.assert_array_equal(wide[0], [0, 0, 1, 2])
    np.testing.assert_array_equal(wide, image[[0, 0, 1, 2]][:, [0, 0, 1, 2], 0])


def test_what_is_handed_out_can_be_written_without_touching_the_image():
    image = np.ones((4, 4, 1))
    windows(image, 2, 2)[...] = 9
    assert (image == 1).all()
