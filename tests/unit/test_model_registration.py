"""Registration by the degradation model: on warps whose inverse is known."""

from dataclasses import replace

import numpy as np
import pytest

import hsisr_lite as hl
from hsisr_lite.degradation.flows import (
    affine_flow,
    end_point_error,
    inverse_affine_flow,
    inverse_flow,
    warp,
)
from hsisr_lite.degradation.model_registration import register_by_model

INNER = (slice(12, -12),) * 2  # what a warp brings in from outside the image, nobody can know


@pytest.fixture(scope="module")
def pair():
    """The embedded scene, with known sensors: three bands, as a colour camera has."""
    pair = hl.simulate(hl.load_scene("synthetic"), ratio=4, sensor="worldview2", blind=False)
    return replace(
        pair, hr_msi=pair.hr_msi[..., [1, 2, 4]], srf=pair.srf[[1, 2, 4]], msi_wavelengths=None
    )


@pytest.mark.parametrize(
    "moved",
    [
        {"translation": (1.5, -2.25)},
        {"rotation": 2.0},
        {"scale": 1.02},
        {"translation": (-7.0, 5.0), "rotation": -1.0},  # nearly two coarse pixels
    ],
    ids=str,
)
def test_an_affine_warp_is_found(pair, moved):
    """Clean images, known sensors: 0.15 pixels, a twenty-seventh of a coarse one.

    Not closer: the warped HrMSI was interpolated once, and repeats its edge where the scene would
    have gone on; the model knows neither.
    """
    seen, _ = hl.misregister(pair, affine_flow(96, 96, **moved))
    found = register_by_model(seen)
    truth = inverse_affine_flow(96, 96, **moved)
    assert end_point_error(found, truth)[INNER].mean() < 0.15


@pytest.mark.parametrize("preset", ["easy", "realistic"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_bent_warp_is_found(pair, preset, seed):
    """The mean error falls to a third of the mean flow or less, where the scene has structure.

    A coarse pixel is 4 fine ones; a bend of 12 pixels' length is seen by 3 x 3 of them.
    """
    seen, flow = hl.misregister(pair, preset, seed)
    error = end_point_error(register_by_model(seen), inverse_flow(flow))[INNER].mean()
    assert error < np.hypot(*flow).mean() / 3


def test_a_registered_pair_is_left_alone(pair):
    """Nothing to find: less than a twentieth of a pixel moves."""
    assert np.hypot(*register_by_model(pair)).max() < 0.05


def test_unknown_sensors_are_no_obstacle(pair):
    """Without PSF and SRF the error stays within 0.6 pixels in the mean, a seventh of the ratio."""
    seen, flow = hl.misregister(pair, "realistic", 2)
    blind = replace(seen, psf=None, srf=None)
    error = end_point_error(register_by_model(blind), inverse_flow(flow))[INNER].mean()
    assert error < min(0.6, np.hypot(*flow).mean() / 3)


def test_noise_does_not_bend_the_flow():
    """At 20 dB a pair that is registered may seem to move, but by less than half a pixel."""
    noisy = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False, snr_db=20)
    assert np.hypot(*register_by_model(noisy)).mean() < 0.5


def test_registering_lets_a_regression_win_again(pair):
    """The point of it: from below bicubic to well above, on the embedded scene."""
    truth = hl.load_scene("synthetic").cube
    seen, _ = hl.misregister(pair, "realistic", 0)
    registered, flow = hl.register(seen)
    assert np.allclose(registered.hr_msi, warp(seen.hr_msi, flow), atol=1e-6)

    def score(pair, method):
        return hl.score(truth, hl.fuse(pair, method, progress=False).hr_hsi, ratio=4)["psnr"]

    before, after = (score(p, "regression_residual") for p in (seen, registered))
    floor = score(seen, "bicubic")
    assert before < floor + 1 < after


def test_what_holds_no_data_is_not_matched(pair):
    """A hole filled with a bright square changes the flow around it by little."""
    seen, flow = hl.misregister(pair, affine_flow(96, 96, translation=(2.0, 1.0)))
    hr_msi, valid = seen.hr_msi.copy(), np.ones((96, 96), bool)
    hr_msi[30:50, 40:60], valid[30:50, 40:60] = 5.0, False
    found = register_by_model(replace(seen, hr_msi=hr_msi, hr_valid=valid))
    assert end_point_error(found, -flow)[INNER].mean() < 0.2


def test_flat_images_give_no_flow(pair):
    """Nothing to go by: the flow is zero, not an error and not a wild guess."""
    grey = {name: np.full_like(getattr(pair, name), 0.3) for name in ("hr_msi", "lr_hsi")}
    assert np.abs(register_by_model(replace(pair, **grey))).max() < 1e-6
