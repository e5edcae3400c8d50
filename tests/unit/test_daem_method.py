"""DAEM as fusion methods: what holds of ``daem`` and ``daem_published``, whatever the pair."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.daem import method as room
from hsisr_lite.daem.presets import Preset
from hsisr_lite.metrics import psnr
from tests.unit.test_classical_methods import (
    awkward_pairs,
    boxes,
    made_pair,
    pairs_with_a_hole,
    textured,
)

BOTH = ["daem", "daem_published"]
AWKWARD = awkward_pairs()


@pytest.fixture
def ordinary():
    return made_pair(textured(24, 24, 20), 4, hl.gaussian_psf(4), boxes(4, 20))


def blind(pair):
    return replace(pair, psf=None, srf=None)


@pytest.fixture
def few_steps(monkeypatch):
    """Theta's fits and the published decoder's in a few steps, where quality is not the claim."""
    learn = room.learn_theta
    monkeypatch.setattr(room, "learn_theta", lambda *a, **k: learn(*a, **{"steps": 10, **k}))
    monkeypatch.setattr(room, "_DECODER_STEPS", 5)


def test_it_is_far_better_than_bicubic_on_the_embedded_scene():
    """5 dB is what sharpness alone is worth there; 12 of it was seen."""
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, ratio=4, blind=False)
    floor = psnr(scene.cube, hl.fuse(pair, "bicubic").hr_hsi)
    fused = hl.fuse(pair, "daem", steps=1500, progress=False)
    assert psnr(scene.cube, fused.hr_hsi) > floor + 5


@pytest.mark.parametrize("method", BOTH)
def test_no_regression_is_hidden_inside(method):
    """After one step an autoencoder knows nothing yet: far from any affine map of the MSI."""
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, ratio=8, blind=False)
    barely = psnr(scene.cube, hl.fuse(pair, method, steps=1, progress=False).hr_hsi)
    affine = psnr(scene.cube, hl.fuse(pair, "regression").hr_hsi)
    assert barely < affine - 5


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("method", "settings", "channels"),
    [
        ("daem", {}, 16),
        ("daem", {"form": "interpretable"}, 6),
        ("daem", {"form": "interpretable", "channels": 3}, 3),
        ("daem_published", {}, 16),
        ("daem_published", {"layers": 2}, 16),
    ],
)
def test_a_result_holds_all_that_was_learned(
    ordinary, few_steps, method, settings, channels, known
):
    pair = ordinary if known else blind(ordinary)
    result = hl.fuse(pair, method, steps=3, progress=False, **settings)
    assert result.hr_hsi.shape == (24, 24, 20) and result.hr_hsi.dtype == np.float32
    assert result.abundances.shape == (24, 24, channels) and result.abundances.min() >= 0
    assert result.endmembers.shape == (channels, 20)
    assert result.psf.shape in ((4, 4), (8, 8)) and result.srf.shape == (4, 20)
    assert result.psf.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(result.srf.sum(axis=1), 1, atol=1e-6)
    # encoder, decoders, and what of the degradations is learned
    encoder = 5 * 4 + 9 * 8 + 13 * 16 + 21 * 24 + 29 * channels
    spread = 17 * 24 + 25 * 20
    deep = 17 * 18 + 19 * 22 + 23 * 26 + 27 * 30 + 31 * 32 + 33 * 20
    if method == "daem":
        decoder = channels * 20 if "form" in settings else 2 * spread
        theta = 6 + 8 * 4
    else:
        decoder = spread + (spread if settings else deep)
        theta = 4 + 8 * 4
    assert result.parameters == encoder + decoder + (0 if known else theta)
    assert len(result.notes) == (0 if known else 2)
    if method == "daem":
        assert len(result.history["phi"]) == 3
        assert len(result.history["theta"]) == (0 if known else 10)
    else:
        assert len(result.history["phi and theta"]) == 3 and len(result.history["decoder"]) == 5
    if known:
        np.testing.assert_allclose(result.psf, pair.psf, atol=1e-7)
        np.testing.assert_allclose(result.srf, pair.srf, atol=1e-7)


def test_the_interpretable_image_is_abundances_times_spectra(ordinary):
    """Float32 sums of six products below 1: 1e-5."""
    result = hl.fuse(ordinary, "daem", form="interpretable", steps=50, progress=False)
    np.testing.assert_allclose(result.abundances @ result.endmembers, result.hr_hsi, atol=1e-5)
    np.testing.assert_allclose(result.abundances.sum(axis=-1), 1, atol=1e-5)
    assert result.endmembers.min() >= 0 and result.hr_hsi.min() >= 0


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("method", BOTH)
def test_the_seed_decides_and_the_pair_is_left_alone(ordinary, few_steps, method, known):
    pair = ordinary if known else blind(ordinary)
    before = pair.lr_hsi.copy(), pair.hr_msi.copy()
    torch.manual_seed(11)
    first = hl.fuse(pair, method, seed=3, steps=5, progress=False)
    state = torch.get_rng_state()
    again = hl.fuse(pair, method, seed=3, steps=5, progress=False)
    other = hl.fuse(pair, method, seed=4, steps=5, progress=False)
    for name in ("hr_hsi", "abundances", "endmembers", "psf", "srf"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.hr_hsi, other.hr_hsi)
    assert torch.equal(state, torch.get_rng_state())  # the caller's random numbers too
    np.testing.assert_array_equal(before[0], pair.lr_hsi)
    np.testing.assert_array_equal(before[1], pair.hr_msi)


@pytest.mark.filterwarnings("ignore:.*are negative")
@pytest.mark.parametrize("known", [True, False], ids=["known", "blind"])
@pytest.mark.parametrize("case", list(AWKWARD))
@pytest.mark.parametrize("method", BOTH)
def test_an_awkward_pair_gives_a_finite_image_of_its_own_size(few_steps, method, case, known):
    pair = AWKWARD[case] if known else blind(AWKWARD[case])
    result = hl.fuse(pair, method, steps=20, progress=False)
    assert result.hr_hsi.shape == (*pair.hr_msi.shape[:2], pair.lr_hsi.shape[2])
    for values in (result.hr_hsi, result.abundances, result.endmembers, result.psf, result.srf):
        assert np.isfinite(values).all()
    largest = max(np.abs(pair.lr_hsi).max(), np.abs(pair.hr_msi).max())
    assert np.abs(result.hr_hsi).max() < 10 * largest  # nothing has exploded


@pytest.mark.filterwarnings("ignore:.*are negative")
@pytest.mark.parametrize("case", list(AWKWARD))
def test_an_awkward_pair_is_interpretable_too(few_steps, case):
    pair = AWKWARD[case]
    result = hl.fuse(pair, "daem", form="interpretable", steps=20, progress=False)
    assert np.isfinite(result.hr_hsi).all() and result.hr_hsi.min() >= 0


@pytest.mark.parametrize("method", BOTH)
def test_a_kernel_smaller_than_its_block_is_used_as_it_is(few_steps, method):
    psf = hl.gaussian_psf(4, size=3, fwhm=2)
    pair = made_pair(textured(24, 24, 20), 4, psf, boxes(4, 20))
    for srf in (pair.srf, None):
        result = hl.fuse(replace(pair, srf=srf), method, steps=3, progress=False)
        np.testing.assert_allclose(result.psf, psf, atol=1e-7)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("method", BOTH)
def test_a_hole_without_data_does_not_reach_the_rest(few_steps, method, known):
    """What stands under the mask is unknown to the method: the result elsewhere is the same."""
    _, holes, pairs = pairs_with_a_hole()
    pairs = pairs if known else map(blind, pairs)
    results = [hl.fuse(pair, method, steps=20, progress=False) for pair in pairs]
    assert np.array_equal(results[0].valid, holes)
    np.testing.assert_array_equal(results[0].hr_hsi, results[1].hr_hsi)
    np.testing.assert_array_equal(results[0].psf, results[1].psf)


@pytest.mark.parametrize(
    ("known", "scale"), [(True, 3000.0), (True, 1e-3), (False, 4096.0), (False, 2.0**-10)]
)
@pytest.mark.parametrize("method", BOTH)
def test_the_image_is_in_the_units_of_the_pair(few_steps, ordinary, method, known, scale):
    """Ten steps of Adam lose up to three of float32's seven digits: gradients' signs decide.

    A blind pair of four materials has many SRFs, and rounding would choose among them: powers of
    two leave nothing to round.
    """
    pair = ordinary if known else blind(ordinary)
    bright = replace(pair, lr_hsi=scale * pair.lr_hsi, hr_msi=scale * pair.hr_msi)
    one, other = (hl.fuse(p, method, steps=10, progress=False) for p in (pair, bright))
    np.testing.assert_allclose(other.hr_hsi / scale, one.hr_hsi, atol=1e-3)
    np.testing.assert_allclose(other.psf, one.psf, atol=1e-4)


def test_as_published_noise_of_the_spread_is_in_the_result(ordinary, monkeypatch):
    """Two pixels with the same MSI values get different spectra; in ours they get the same."""
    pair = replace(ordinary, hr_msi=np.tile(ordinary.hr_msi[:1, :1], (24, 24, 1)))
    drawn = hl.fuse(pair, "daem_published", steps=1, progress=False).hr_hsi
    assert drawn.std(axis=(0, 1)).min() > 0
    ours = hl.fuse(pair, "daem", steps=1, progress=False).hr_hsi
    assert np.ptp(ours, axis=(0, 1)).max() < 1e-5


def test_presets_decide_where_no_steps_are_given(ordinary, monkeypatch):
    tiny = {
        "lite": Preset(steps=2, fine_tuning=3, published=4, pixels=64),
        "paper": Preset(steps=5, fine_tuning=6, published=7, pixels=64),
    }
    monkeypatch.setattr(room, "PRESETS", tiny)
    for budget, ours, published in (("lite", 2, 4), ("paper", 5, 7)):
        result = hl.fuse(ordinary, "daem", budget=budget, progress=False)
        assert len(result.history["phi"]) == ours
        result = hl.fuse(ordinary, "daem_published", budget=budget, progress=False)
        assert len(result.history["phi and theta"]) == published
        assert len(result.history["decoder"]) == 190


@pytest.mark.parametrize("method", BOTH)
def test_an_interrupted_fusion_goes_on_to_the_same_image(tmp_path, monkeypatch, ordinary, method):
    from hsisr_lite.daem import phi, published

    straight = hl.fuse(ordinary, method, steps=12, progress=False).hr_hsi
    place, name = (phi, "phi_loss") if method == "daem" else (published, "phi_loss")
    loss, calls = getattr(place, name), []

    def stops(*given):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return loss(*given)

    path = tmp_path / "state.pt"
    with monkeypatch.context() as patch:
        patch.setattr(place, name, stops)
        with pytest.raises(KeyboardInterrupt):
            hl.fuse(ordinary, method, steps=12, checkpoint=path, progress=False)
    assert path.exists()
    again = hl.fuse(ordinary, method, steps=12, checkpoint=path, progress=False).hr_hsi
    np.testing.assert_array_equal(again, straight)
    assert not path.exists()


def test_size_and_centre_reach_theta(ordinary, few_steps):
    pair = blind(ordinary)
    assert hl.fuse(pair, "daem", size=6, steps=1, progress=False).psf.shape == (6, 6)
    free, fixed = (
        hl.fuse(pair, "daem", size=4, centre=centre, steps=1, progress=False).parameters
        for centre in ("learned", "fixed")
    )
    assert free == fixed + 2


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("daem", {"form": "linear"}, "one of free, interpretable"),
        ("daem", {"channels": 1}, "at least 2"),
        ("daem", {"centre": "block"}, "'learned' or 'fixed'"),
        ("daem", {"size": 3}, "at least the ratio"),
        ("daem", {"layers": 6}, "daem has no setting 'layers'"),
        ("daem", {"steps": -1}, "steps"),
        ("daem", {"steps": 0}, "steps"),
        ("daem", {"steps": 1.5}, "steps"),
        ("daem", {"weights": "no/such/file.pt"}, "there is no file"),
        ("daem_published", {"layers": 4}, "6 or 2 is needed"),
        ("daem_published", {"third": "crossed"}, "third"),
        ("daem_published", {"steps": -1}, "steps"),
        ("daem_published", {"steps": 0}, "steps"),
        ("daem_published", {"form": "free"}, "daem_published has no setting 'form'"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(ordinary, few_steps, method, settings, said):
    with pytest.raises(InputError, match=said):
        hl.fuse(blind(ordinary), method, progress=False, **settings)


def test_a_third_term_that_was_meant_teaches_the_srf(ordinary):
    """As published its gradient is rounding; as meant, the cross-consistency left is smaller."""
    left = {}
    for third in ("regenerated", "cross"):
        result = hl.fuse(blind(ordinary), "daem_published", third=third, steps=150, progress=False)
        low = hl.ObservedPair.low_msi(ordinary, result.psf)
        left[third] = np.abs(ordinary.lr_hsi @ result.srf.T - low).mean()
    assert left["cross"] < left["regenerated"]
