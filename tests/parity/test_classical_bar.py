"""Classical methods against figures measured with implementations that are not ours.

Protocol of ``classical_bar.json``: the cube is cropped to a multiple of the ratio; LrHSI through
the r x r Gaussian of FWHM r, HrMSI through the file's SRF; no noise; PSF and SRF known; PSNR with
band maxima.
"""

import json

import numpy as np
import pytest

from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.pair import ObservedPair
from hsisr_lite.degradation.psf import gaussian_psf
from hsisr_lite.methods import fuse
from hsisr_lite.metrics import psnr, sam

THEIR_NAME = {
    "bicubic": "bicubic",
    "regression": "spectral regression",
    "regression_residual": "spectral regr. + residual",
    "regression_quadratic": "quadratic regr. + residual",
    "cnmf": "CNMF M=30 I2=4",
    "csu": "CSU p=30",
    "fuse": "FUSE L=10 (bicubic prior)",
    "hysure": "HySure L=8",
    "scott": "SCOTT (H,W,min(6,m))",
    "stereo": "STEREO F=8H/r",
    "gsomp": "G-SOMP+ k=B",
}
SCENES = ["jasper_ridge", "samson", "san_diego_airport", "hydice_urban_road"]


def observed(reference_folder, scene, ratio):
    """The pair of the protocol, and the cube that it was made of."""
    case = np.load(reference_folder / f"classical_{scene}.npz")
    cube = case["gt"]
    cube = cube[: cube.shape[0] // ratio * ratio, : cube.shape[1] // ratio * ratio]
    psf, srf = gaussian_psf(ratio), case["srf"]
    images = SpatialOperator(psf, ratio).A(cube), SpectralOperator(srf).A(cube)
    return ObservedPair(*images, ratio, case["wavelengths"], psf=psf, srf=srf), cube


@pytest.mark.parametrize("ratio", [4, 8, 12])
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("method", list(THEIR_NAME))
def test_within_three_tenths_of_a_decibel_or_better(reference_folder, scene, ratio, method):
    bar = json.loads((reference_folder / "classical_bar.json").read_text())["results"]
    theirs = {r["method"]: r["psnr"] for r in bar if (r["scene"], r["ratio"]) == (scene, ratio)}
    pair, cube = observed(reference_folder, scene, ratio)
    found = psnr(cube, fuse(pair, method, progress=False).hr_hsi)
    # Better is welcome, but a leak of the truth would be far better than any method ever seen.
    assert theirs[THEIR_NAME[method]] - 0.3 <= found <= max(theirs.values()) + 7


@pytest.mark.parametrize("ratio", [4, 8, 12])
@pytest.mark.parametrize("scene", SCENES)
def test_a_sparse_core_costs_no_more_than_a_decibel(reference_folder, scene, ratio):
    """No figure of others exists for CSTF: its model holds that of SCOTT, so SCOTT is the bar."""
    pair, cube = observed(reference_folder, scene, ratio)
    ours = {name: psnr(cube, fuse(pair, name, progress=False).hr_hsi) for name in ("scott", "cstf")}
    assert ours["cstf"] >= ours["scott"] - 1


@pytest.mark.parametrize(
    ("file", "method", "wanted"),
    [
        ("m2unet_caseA_jasper96_r8", "regression", (50.1, 0.615)),
        ("m2unet_caseB_samson88_r4", "regression", (48.0, 0.947)),
        ("m2unet_caseC_jasper64_r4", "regression", (50.8, 0.653)),
        ("m2unet_caseCn_jasper64_r4_snr30", "regression", (39.3, 1.93)),
        ("m2unet_caseA_jasper96_r8", "regression_residual", (50.5, None)),
        ("m2unet_caseB_samson88_r4", "regression_residual", (50.8, None)),
        ("m2unet_caseC_jasper64_r4", "regression_residual", (51.5, None)),
    ],
)
def test_the_affine_figures(reference_folder, file, method, wanted):
    """Within 0.1 dB or better; SAM is printed with three digits, and noise makes it a trade-off."""
    case = np.load(reference_folder / f"{file}.npz")
    pair = ObservedPair(
        case["lr_hsi"], case["hr_msi"], int(case["ratio"]), case["wavelengths"], psf=case["psf"]
    )
    fused = fuse(pair, method).hr_hsi
    assert psnr(case["gt"], fused) >= wanted[0] - 0.1
    if wanted[1] is not None:
        assert sam(case["gt"], fused) <= wanted[1] + (0.1 if "Cn" in file else 0.001)
