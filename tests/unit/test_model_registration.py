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
from hsisr_lite.degradation.misregistration import Misregistration
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
    """Clean images, known sensors: 0.03 pixels, less than a hundredth of a coarse one.

    Not closer: the warped HrMSI was interpolated once, and the model does not know it. What a shift
    took out of the image must not count: matched to the repeated edge, the last warp is 0.2 off.
    """
    seen, _ = hl.misregister(pair, affine_flow(96, 96, **moved))
    found = register_by_model(seen)
    truth = inverse_affine_flow(96, 96, **moved)
    assert end_point_error(found, truth)[INNER].mean() < 0.03


@pytest.mark.parametrize(("preset", "seed"), [("easy", 0), ("realistic", 1)])
def test_a_bent_warp_is_found(pair, preset, seed):
    """Of mean flows of 0.8 and 1.9 pixels a tenth of a pixel is left, where the scene goes on.

    A coarse pixel is 4 fine ones; a bend of 12 pixels' length is seen by 3 x 3 of them.
    """
    seen, flow = hl.misregister(pair, preset, seed)
    assert end_point_error(register_by_model(seen), inverse_flow(flow))[INNER].mean() < 0.1


@pytest.mark.parametrize(
    ("bounds", "seed", "most"),
    [(Misregistration(2.0, 1.0, 0.01, 2.0, length=24.0), 0, 0.2), ("realistic", 3, 0.6)],
    ids=["long bends", "short bends"],
)
def test_a_plate_that_does_not_help_is_no_reason_to_stay_affine(bounds, seed, most):
    """The stiffest splines explain no more than the affine flow does, and softer ones much more.

    What the best affine flow leaves is 1.8 and 1.2 pixels. Bends of three coarse pixels' length are
    found to a fortieth of one, those of one and a half to a thirteenth.
    """
    pair = hl.simulate(hl.load_scene("synthetic"), ratio=8, sensor="worldview2", blind=False)
    pair = replace(
        pair, hr_msi=pair.hr_msi[..., [1, 2, 4]], srf=pair.srf[[1, 2, 4]], msi_wavelengths=None
    )
    seen, flow = hl.misregister(pair, bounds, seed)
    assert end_point_error(register_by_model(seen), inverse_flow(flow))[INNER].mean() < most


def test_a_registered_pair_is_left_alone(pair):
    """Nothing to find: less than a twentieth of a pixel moves."""
    assert np.hypot(*register_by_model(pair)).max() < 0.05


def test_unknown_sensors_are_no_obstacle(pair):
    """Without PSF and SRF the error is below 0.35 pixels in the mean, a twelfth of the ratio."""
    seen, flow = hl.misregister(pair, "realistic", 2)
    blind = replace(seen, psf=None, srf=None)
    error = end_point_error(register_by_model(blind), inverse_flow(flow))[INNER].mean()
    assert error < 0.35


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


@pytest.mark.parametrize(("blind", "bound"), [(False, 0.02), (True, 0.3)])
def test_what_holds_no_data_is_not_matched(pair, blind, bound):
    """A sixth of the HrMSI is missing, and nonsense stands there: what moves with it is no guide.

    Whole pixels of shift need no interpolation, so known sensors find them to a fiftieth of one,
    beside the hole as elsewhere; unknown ones are found to a thirteenth of a coarse pixel. A hole
    that stays in place while the image moves costs a pixel in either case.
    """
    valid = np.ones((96, 96), bool)
    valid[30:70, 25:65] = False
    hr_msi = np.where(valid[..., None], pair.hr_msi, 9.0)
    sensors = {"psf": None, "srf": None} if blind else {}
    moved = {"translation": (7.0, -5.0)}
    seen, _ = hl.misregister(
        replace(pair, hr_msi=hr_msi, hr_valid=valid, **sensors), affine_flow(96, 96, **moved)
    )
    error = end_point_error(register_by_model(seen), inverse_affine_flow(96, 96, **moved))
    near = np.zeros((96, 96), bool)  # in the LrHSI's frame the hole is where it was
    near[22:78, 17:73] = True
    assert error[INNER][~near[INNER]].mean() < bound


def test_flat_images_give_no_flow(pair):
    """Nothing to go by: the flow is zero, not an error and not a wild guess."""
    grey = {name: np.full_like(getattr(pair, name), 0.3) for name in ("hr_msi", "lr_hsi")}
    assert np.abs(register_by_model(replace(pair, **grey))).max() < 1e-6
