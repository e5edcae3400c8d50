"""DAEM on pairs that others made, against figures that the project set before it had this code.

The files' PSF is an anisotropic Gaussian (sd 0.42 r and 0.19 r, long axis at 35 degrees), centred
at pixel k // 2; PSNR with band maxima.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import hsisr_lite as hl
from hsisr_lite.degradation.psf import FWHM_TO_SIGMA
from hsisr_lite.metrics import psnr

STEPS = 1500  # of the interpretable form, which converges sooner


def observed(reference_folder, name, **known):
    case = np.load(reference_folder / f"daem_samson_wv2_{name}.npz")
    pair = hl.ObservedPair(
        case["lr_hsi"], case["hr_msi"], int(case["ratio"]), case["wavelengths"], **known
    )
    return case, pair


def error(found, true):
    return np.linalg.norm(found - true) / np.linalg.norm(true)


@pytest.mark.parametrize(("name", "wanted"), [("r4", 44), ("r8", 42)])
def test_a_blind_pair_within_the_lite_budget(reference_folder, name, wanted):
    case, pair = observed(reference_folder, name)
    result = hl.fuse(pair, "daem", progress=False)
    assert psnr(case["gt"], result.hr_hsi) >= wanted
    assert result.psf.shape == case["psf"].shape  # a block suffices, and is preferred
    assert error(result.psf, case["psf"]) <= 0.01
    assert error(result.srf, case["srf"]) <= 0.2


def test_a_psf_wider_than_its_block_costs_nothing(reference_folder):
    """Half a decibel: as much as two seeds differ."""
    case, pair = observed(reference_folder, "r8_widepsf")
    learned = hl.fuse(pair, "daem", steps=2000, progress=False)
    told = hl.fuse(replace(pair, psf=case["psf"]), "daem", steps=2000, progress=False)
    assert learned.psf.shape == (16, 16) and error(learned.psf, case["psf"]) <= 0.01
    assert psnr(case["gt"], learned.hr_hsi) >= psnr(case["gt"], told.hr_hsi) - 0.5


def gaussian(long, short, angle):
    """8 x 8, centred at pixel 4; standard deviations over the ratio."""
    return hl.gaussian_psf(
        8, fwhm=8 * long * FWHM_TO_SIGMA, elongation=long / short, angle=angle, phase="pixel"
    )


def test_a_learned_psf_is_worth_three_decibels_over_a_wrong_one(reference_folder):
    """Mean of three seeds; other kernels on the same block and centre, as in the set experiment."""
    case, pair = observed(reference_folder, "r8")
    angle = min((35, -35, 55, -55), key=lambda a: error(gaussian(0.42, 0.19, a), case["psf"]))
    assert error(gaussian(0.42, 0.19, angle), case["psf"]) < 1e-5
    both = np.sqrt(0.42 * 0.19)  # of the same area
    wrong = {
        "isotropic": gaussian(both, both, 0),
        "rotated": gaussian(0.42, 0.19, angle + 90),
        "box": np.full((8, 8), 1 / 64),
    }
    learned = hl.fuse(pair, "daem", steps=1, progress=False).psf
    pair = replace(pair, srf=case["srf"])  # the network never sees it: this only saves time
    quality = {}
    for name, psf in {"learned": learned, **wrong}.items():
        runs = [
            hl.fuse(replace(pair, psf=psf), "daem", seed=seed, progress=False) for seed in range(3)
        ]
        quality[name] = np.mean([psnr(case["gt"], result.hr_hsi) for result in runs])
    for name in wrong:
        assert quality["learned"] >= quality[name] + 3, quality


def matched(found, true):
    """Correlation of each material's abundances with those of its best channel, one to one."""
    found, true = (a.reshape(-1, a.shape[-1]) for a in (found, true))
    centred = [a - a.mean(axis=0) for a in (found, true)]
    unit = [a / np.maximum(np.linalg.norm(a, axis=0), 1e-12) for a in centred]
    correlation = unit[1].T @ unit[0]  # (materials, channels)
    rows, channels = linear_sum_assignment(correlation, maximize=True)
    return correlation[rows, channels]


@pytest.mark.filterwarnings("ignore:MSI bands less than half covered")
@pytest.mark.parametrize("name", ["samson", "jasper_ridge"])
def test_interpretable_abundances_are_those_of_the_materials(data_folder, name):
    """Every material, mean of three seeds; two channels more than materials."""
    scene = hl.load_scene(name)
    pair = hl.simulate(scene, ratio=4, blind=False)  # theta has its own tests, and takes time
    truth = scene.abundances[: pair.hr_msi.shape[0], : pair.hr_msi.shape[1]]
    found = [
        matched(
            hl.fuse(
                pair, "daem", form="interpretable", channels=truth.shape[2] + 2, seed=seed,
                steps=STEPS, progress=False,
            ).abundances,
            truth,
        )
        for seed in range(3)
    ]  # fmt: skip
    assert (np.mean(found, axis=0) >= 0.85).all(), np.round(found, 3)
