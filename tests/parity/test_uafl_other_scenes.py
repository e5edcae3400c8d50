"""UAFL on real scenes and sensors that nothing was chosen on, seen through warps of their own.

Over bicubic 3.2 dB are asked, as on the reference file of Jasper Ridge; with two warps for each
scene 4.4 to 13.2 dB were seen, and 0.06 to 0.20 pixels left.
"""

import pytest

import hsisr_lite as hl
from hsisr_lite.degradation.flows import end_point_error, inverse_flow
from hsisr_lite.degradation.model_registration import register_by_model
from hsisr_lite.pixel_metrics import psnr
from hsisr_lite.uafl.scene_folder import rgb_table

SIDE = 96  # pixels: the size of the reference files


@pytest.mark.parametrize(
    ("name", "sensor", "ratio"),
    [
        ("hydice_urban_road", "sentinel2", 4),
        ("paris_eo1_hyperion", "landsat8", 3),
        ("san_diego_airport", "rgb", 4),
        ("enmap_potsdam_west", "rgb", 4),
    ],
)
@pytest.mark.usefixtures("data_folder")
@pytest.mark.filterwarnings("ignore:MSI bands less than half covered")  # B10, cirrus
def test_the_warp_is_found_and_the_gain_reached(name, sensor, ratio):
    scene = hl.load_scene(name)
    truth = scene.cube[:SIDE, :SIDE]
    meta = {key: scene.meta[key] for key in ("fwhm", "scale") if key in scene.meta}
    part = hl.Scene(name, truth, scene.wavelengths, meta=meta)
    sensor = rgb_table() if sensor == "rgb" else sensor
    lined_up = hl.simulate(part, ratio=ratio, sensor=sensor, blind=False)
    pair, flow = hl.misregister(lined_up, "realistic", seed=7)

    left = end_point_error(register_by_model(pair), inverse_flow(flow)).mean()
    assert left < 0.3  # pixels; half again as much as was seen
    fused = hl.fuse(pair, "uafl", progress=False).hr_hsi
    floor = hl.fuse(pair, "bicubic", progress=False).hr_hsi
    assert psnr(truth, fused, peak=1.0) - psnr(truth, floor, peak=1.0) >= 3.2
