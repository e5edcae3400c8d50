"""The first image: the enlarged LrHSI, or regression with its residual."""

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.uafl.start import affine_start, bicubic_start


@pytest.mark.parametrize("snr_db", [None, 30])
@pytest.mark.parametrize(
    ("make", "method"), [(bicubic_start, "bicubic"), (affine_start, "regression_residual")]
)
def test_a_start_is_the_classical_method(make, method, snr_db):
    """The same equations, written so that crops can use them too; float32 images agree to 1e-6."""
    pair = hl.simulate(hl.load_scene("synthetic"), blind=False, snr_db=snr_db)
    image = make(pair, pair.psf).image(pair.hr_msi, pair.lr_hsi)
    assert np.abs(image - hl.fuse(pair, method, progress=False).hr_hsi).max() < 1e-5


def test_an_affine_start_keeps_what_the_lrhsi_saw_of_smooth_scenes():
    """A scene of one spectrum everywhere is found exactly, whatever the MSI says about it."""
    spectrum = np.linspace(0.1, 0.6, 5)
    pair = hl.ObservedPair(
        np.tile(spectrum, (6, 6, 1)), np.full((24, 24, 2), 0.3), 4, np.arange(500, 1000, 100),
        psf=np.full((4, 4), 1 / 16), srf=np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0.5, 0.5]]),
    )  # fmt: skip
    image = affine_start(pair, pair.psf).image(pair.hr_msi, pair.lr_hsi)
    assert np.abs(image - spectrum).max() < 1e-6  # float32 inputs
