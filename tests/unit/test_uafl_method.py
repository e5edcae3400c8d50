"""UAFL as a fusion method: on pairs that line up and that do not, of any size, blind or not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.baselines.bicubic import psf_centre, upsample
from hsisr_lite.degradation.operators import SpatialOperator
from hsisr_lite.uafl.cfda import at_zero
from hsisr_lite.uafl.presets import PRESETS, PUBLISHED, PUBLISHED_PRESETS, Form
from hsisr_lite.uafl.training import load_scene_weights, save_scene

METHODS = ("uafl", "uafl_published")


@pytest.fixture(scope="module")
def truth():
    """A quarter of the embedded scene."""
    return hl.load_scene("synthetic").cube[:48, :48]


@pytest.fixture(scope="module")
def seen():
    """Its pair, misregistered, with known sensors."""
    whole = hl.simulate(hl.load_scene("synthetic"), ratio=4, sensor="worldview2", blind=False)
    pair = hl.ObservedPair(
        whole.lr_hsi[:12, :12], whole.hr_msi[:48, :48, [1, 2, 4]], 4, whole.wavelengths,
        psf=whole.psf, srf=whole.srf[[1, 2, 4]],
    )  # fmt: skip
    return hl.misregister(pair, "realistic", seed=1)[0]


def fuse(pair, method, **settings):
    """With few steps, unless told otherwise."""
    return hl.fuse(pair, method, progress=False, **{"steps": 2, **settings})


def score(truth, image):
    """PSNR in decibels."""
    return hl.score(truth, image, ratio=4)["psnr"]


def test_ours_improves_its_start_and_beats_bicubic(truth, seen):
    """What the book promises of it, on the embedded scene at a fifth of its steps."""
    result = fuse(seen, "uafl", steps=80)
    floor = score(truth, hl.fuse(seen, "bicubic", progress=False).hr_hsi)
    assert score(truth, result.hr_hsi) > floor + 1.5
    assert score(truth, result.hr_hsi) > score(truth, result.history["start"])


def test_the_published_modules_start_at_the_enlarged_lrhsi(seen):
    """No registration, no regression: what they improve is bicubic, centred as it was measured."""
    result = fuse(seen, "uafl_published")
    enlarged = hl.fuse(seen, "bicubic", progress=False).hr_hsi
    assert np.abs(result.history["start"] - enlarged).max() < 1e-5  # float32
    assert np.abs(result.history["flow"]).max() == 0


def test_the_published_modules_learn_from_the_pair_alone(seen):
    """A tenth of the steps on an easy warp already adds something to the enlarged LrHSI.

    Two seeds gain 0.23 and 0.25 dB; a network that has learned nothing gains 0, one whose crops
    show another reference 0.07, and one that learns the change of the wrong sign loses 0.5.
    """
    whole = hl.simulate(hl.load_scene("synthetic"), ratio=4, sensor="worldview2", blind=False)
    aligned = replace(seen, hr_msi=whole.hr_msi[:48, :48, [1, 2, 4]])
    easy, _ = hl.misregister(aligned, "easy", seed=1)
    truth = hl.load_scene("synthetic").cube[:48, :48]
    result = fuse(easy, "uafl_published", steps=60, misregistration="easy")
    assert score(truth, result.hr_hsi) > score(truth, result.history["start"]) + 0.1


def test_a_change_lies_in_the_endmembers_plane(seen):
    """X - x = A E: the published form adds nothing outside of K directions."""
    result = fuse(seen, "uafl_published", endmembers=2, steps=4)
    change = (result.hr_hsi - result.history["start"]).reshape(-1, seen.lr_hsi.shape[2])
    e = result.endmembers
    # float32 images near 1, and a change of nearly 1e-3 after so few steps
    assert np.abs(change - change @ e.T @ e).max() < 1e-2 * np.abs(change).max()
    assert np.allclose(e @ e.T, np.eye(2), atol=1e-6)


def test_the_flow_that_the_network_found_comes_back(seen):
    """Down and right, on the image's own pixels; the published one starts at zero."""
    alone = {"registration": "none", "start": "bicubic", "residual": False}
    cut = replace(seen, lr_hsi=seen.lr_hsi[:11], hr_msi=seen.hr_msi[:44])
    assert fuse(cut, "uafl", steps=1, **alone).history["network_flow"] is None
    one = fuse(cut, "uafl", steps=1, alignment="cfda", **alone).history["network_flow"]
    assert one.shape == (2, 44, 48)
    assert np.abs(one).max() < 0.1  # one step at a fiftieth of the rate
    volume = fuse(cut, "uafl", steps=1, alignment="correlation", **alone).history["network_flow"]
    assert np.abs(volume).max() > 0.1


def test_a_found_flow_is_told_down_first(seen, tmp_path):
    """The networks have (right, down): three pixels to the right come back as (down, right)."""
    path = tmp_path / "scene.pt"
    alone = {"registration": "none", "alignment": "cfda", "weights": path}
    fuse(seen, "uafl", steps=1, **alone)
    scene = load_scene_weights(path)
    align = scene.network.align[0]
    with torch.no_grad():
        at_zero(align.coarse)
        at_zero(align.finer).bias[:2] = torch.tensor([3.0, 0.5])
    save_scene(scene, path)
    flow = fuse(seen, "uafl", **alone).history["network_flow"]
    assert flow.shape == (2, 48, 48)
    assert (flow[0] == 0.5).all()
    assert (flow[1] == 3).all()


def test_of_what_is_left_only_what_is_no_noise_is_added(seen):
    """Four bands of nothing but noise get no residual; of the others, each its share.

    Of what a band's LrHSI still holds, its noise explains sd^2 / variance.
    """
    rng, sd, empty = np.random.default_rng(0), 0.002, [0, 1, -2, -1]
    lr_hsi = seen.lr_hsi.astype(np.float64)
    lr_hsi[..., empty] = 0.3
    noisy = replace(seen, lr_hsi=lr_hsi + sd * rng.standard_normal(lr_hsi.shape), noise=(sd, 0.0))
    settings = {"steps": 1, "width": 8, "registration": "none"}
    images = [fuse(noisy, "uafl", residual=on, **settings).hr_hsi for on in (True, False)]
    added = images[0].astype(np.float64) - images[1]
    # 144 coarse pixels: their variance may be 12 % above sd^2, and leave a share of a tenth
    assert added[..., empty].std(axis=(0, 1)).max() < 0.2 * sd

    left = noisy.lr_hsi - SpatialOperator(seen.psf, 4).A(images[1])
    whole = upsample(left.astype(np.float64), 4, psf_centre(seen.psf, 4))
    share = np.sum(added * whole, axis=(0, 1)) / np.sum(whole**2, axis=(0, 1))
    expected = np.maximum(1 - sd**2 / left.var(axis=(0, 1)), 0)
    assert expected.max() > 0.9
    assert np.abs(share - expected).max() < 1e-3  # float32 images


def test_the_residual_brings_back_what_the_lrhsi_saw(seen):
    """After it, the result blurred is nearer to the LrHSI than before."""
    blur = SpatialOperator(seen.psf, 4)
    with_it, without = (fuse(seen, "uafl", residual=on).hr_hsi for on in (True, False))
    gaps = [np.abs(blur.A(image) - seen.lr_hsi).mean() for image in (with_it, without)]
    assert gaps[0] < gaps[1] / 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("rows", "cols"), [(2, 2), (3, 5), (7, 11)])
def test_any_size_is_fused(seen, method, rows, cols):
    """Coarse images of 2 x 2 pixels and odd ones: the network pads, and the result is cut."""
    small = replace(
        seen, lr_hsi=seen.lr_hsi[:rows, :cols], hr_msi=seen.hr_msi[: 4 * rows, : 4 * cols]
    )
    image = fuse(small, method, steps=1).hr_hsi
    assert image.shape == (4 * rows, 4 * cols, seen.lr_hsi.shape[2])
    assert np.isfinite(image).all()


@pytest.mark.parametrize("method", METHODS)
def test_any_bands_are_fused(seen, method):
    """One MSI band and three LrHSI bands: K falls to what there is."""
    few = hl.ObservedPair(
        seen.lr_hsi[..., :3], seen.hr_msi[..., :1], 4, seen.wavelengths[:3], psf=seen.psf
    )
    result = fuse(few, method, steps=1)
    assert result.hr_hsi.shape == (48, 48, 3)
    assert len(result.endmembers) == 3


@pytest.mark.parametrize("ratio", [2, 3, 8])
def test_any_ratio_is_fused(ratio):
    """Crops and margins are multiples of the ratio."""
    scene = hl.load_scene("synthetic")
    part = hl.Scene("part", scene.cube[:48, :48], scene.wavelengths)
    pair = hl.simulate(part, ratio=ratio, sensor="worldview2", blind=True)
    assert fuse(pair, "uafl", steps=1).hr_hsi.shape[:2] == pair.hr_msi.shape[:2]


def test_a_blind_pair_is_told_what_was_estimated(seen):
    """PSF and SRF come back, in the conventions of the pair, and notes say so."""
    result = fuse(replace(seen, psf=None, srf=None), "uafl", steps=1)
    assert result.psf.sum() == pytest.approx(1)
    assert result.srf.shape == seen.srf.shape
    assert any("registered" in note for note in result.notes)
    assert any("SRF unknown" in note for note in result.notes)


def test_what_holds_no_data_comes_back_as_none(seen):
    """A hole in each image: the result is finite everywhere, and its mask knows both."""
    hr_valid, lr_valid = np.ones((48, 48), bool), np.ones((12, 12), bool)
    hr_valid[4:9, 6:12] = False
    lr_valid[8, 3] = False
    holes = replace(seen, hr_valid=hr_valid, lr_valid=lr_valid)
    result = fuse(holes, "uafl", steps=1)
    assert np.isfinite(result.hr_hsi).all()
    assert not result.valid[32:36, 12:16].any()
    assert not result.valid.all()


def test_weights_are_kept_and_found_again(seen, tmp_path):
    """The second fusion trains nothing and gives the same image; other bands are refused."""
    path = tmp_path / "scene.pt"
    first = fuse(seen, "uafl", steps=3, weights=path)
    again = fuse(seen, "uafl", steps=3, weights=path)
    assert np.array_equal(first.hr_hsi, again.hr_hsi)
    assert len(first.history["loss"]) == 3
    assert len(again.history["loss"]) == 0
    assert any("scene.pt" in note for note in again.notes)
    fewer = replace(seen, hr_msi=seen.hr_msi[..., :2], srf=seen.srf[:2])
    with pytest.raises(InputError, match=r"scene.pt holds a network for .* and 3 bands"):
        fuse(fewer, "uafl", weights=path)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_image(seen, method):
    """Bit for bit on one machine; another seed gives another image."""
    images = [hl.fuse(seen, method, seed=s, steps=2, progress=False).hr_hsi for s in (0, 0, 1)]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_every_switch_of_the_form_runs_and_counts(seen):
    """Each change by its name; the parameters say which modules are there."""
    counts = {
        name: fuse(seen, "uafl", steps=1, **{"registration": "none", **change}).parameters
        for name, change in {
            "none": {"registration": "model"},
            "cfda": {"alignment": "cfda"},
            "dcnv2": {"alignment": "dcnv2"},
            "correlation": {"alignment": "correlation"},
            "concat": {"attention": "concat"},
            "merging": {"merging": "concat"},
            "flow": {"registration": "optical_flow"},
            "alone": {"start": "bicubic", "residual": False},
            "bf16": {"bf16": True},
            "crops": {"misregistration": "easy"},
        }.items()
    }
    assert counts["none"] == counts["flow"] == counts["alone"] == counts["bf16"] == counts["crops"]
    assert len({counts[name] for name in ("none", "cfda", "dcnv2", "correlation", "concat")}) == 5


def test_the_swapped_flow_is_a_switch_of_the_published_form(seen):
    """The same number of parameters; once the flow has left zero, another image."""
    images = [
        fuse(seen, "uafl_published", steps=6, swapped_flow=swapped).hr_hsi
        for swapped in (False, True)
    ]
    assert not np.array_equal(*images)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"registration": "affine"}, "registration is 'affine'"),
        ({"alignment": "flow"}, "alignment is 'flow'"),
        ({"endmembers": 0}, "endmembers is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"width": 12}, "width is 12"),
        ({"blocks": (1,)}, "blocks is"),
        ({"misregistration": "wild"}, "'wild' is not known"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(seen, settings, words):
    """Before any training: one sentence with the thing, the value and the remedy."""
    with pytest.raises(InputError, match=words):
        fuse(seen, "uafl", **{"registration": "none", **settings})


def test_the_presets_are_the_published_sizes():
    """The paper's model in the paper budget, and the form without our changes."""
    preset = PUBLISHED_PRESETS["paper"]
    assert (preset.endmembers, preset.width, preset.blocks) == (3, 64, (2, 1, 1))
    assert PRESETS["lite"].width == PUBLISHED_PRESETS["lite"].width == 16
    assert Form("none", "bicubic", "cfda", residual=False, trial=False) == PUBLISHED
