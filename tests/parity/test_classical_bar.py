"""Regression baselines against figures measured with implementations that are not ours.

Protocol of ``classical_bar.json``: the cube is cropped to a multiple of the ratio; LrHSI through
the r x r Gaussian of FWHM r, HrMSI through the file's SRF; no noise; PSF
known; PSNR with band maxima.
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
}
SCENES = ["jasper_ridge", "samson", "san_diego_airport", "hydice_urban_road"]


@pytest.mark.parametrize("ratio", [4, 8, 12])
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("method", list(THEIR_NAME))
def test_within_three_tenths_of_a_decibel_or_better(reference_folder, scene, ratio, method):
    bar = json.loads((reference_folder / "classical_bar.json").read_text())["results"]
    wanted = next(
        row["psnr"]
        for row in bar
        if (row["scene"], row["ratio"], row["method"]) == (scene, ratio, THEIR_NAME[method])
    )
    case = np.load(reference_folder / f"classical_{scene}.npz")
    cube = case["gt"]
    cube = cube[: cube.shape[0] // ratio * ratio, : cube.shape[1] // ratio * ratio]
    psf = gaussian_psf(ratio)
    pair = ObservedPair(
        SpatialOperator(psf, ratio).A(cube),
        SpectralOperator(case["srf"]).A(cube),
        ratio,
        case["wavelengths"],
        psf=psf,
    )
    found = psnr(cube, fuse(pair, method).hr_hsi)
    # Better is welcome, but a leak of the truth would be far better: our best gain is 5.3 dB.
    assert wanted - 0.3 <= found <= wanted + 7


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
