"""M2U-Net as fusion methods: stages, folders, interruptions, and what holds whatever the pair."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from tqdm import tqdm

import hsisr_lite as hl
from hsisr_lite import fitting
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.fitting import seeded
from hsisr_lite.m2unet import pipeline
from hsisr_lite.m2unet.dig import draw
from hsisr_lite.m2unet.dil import DILNet
from hsisr_lite.m2unet.iie import SMLNet
from hsisr_lite.m2unet.presets import OURS, PRESETS, PUBLISHED, PUBLISHED_PRESETS, Preset
from hsisr_lite.m2unet.stages import load_stage
from hsisr_lite.m2unet.unet import DualUNet, SingleUNet
from hsisr_lite.metrics import psnr
from tests.unit.test_classical_methods import (
    awkward_pairs,
    boxes,
    made_pair,
    pairs_with_a_hole,
    textured,
)

BOTH = ["m2unet", "m2unet_published"]
AWKWARD = awkward_pairs()
FEW = {"steps": 4, "features": 6, "progress": False}
# Every way that takes other stages
WAYS = {
    "ours": ("m2unet", {}),
    "sml": ("m2unet", {"start": "sml"}),
    "adam": ("m2unet", {"sensors": "adam"}),
    "all but the output": ("m2unet", {"sensors": "adam", "start": "sml", "gates": "auxiliary"}),
    "published": ("m2unet_published", {}),
}


@pytest.fixture
def ordinary():
    return made_pair(textured(24, 16, 12), 4, hl.gaussian_psf(4), boxes(3, 12))


def blind(pair):
    return replace(pair, psf=None, srf=None)


def counted(net):
    return sum(p.numel() for p in net.parameters())


def same(one, other):
    """Bit by bit, whatever came of the three stages."""
    for name in ("hr_hsi", "psf", "srf"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for stage in ("dil", "iie", "dig"):
        loss = (each.history[stage]["loss"] for each in (one, other))
        np.testing.assert_array_equal(*loss)
    assert one.notes == other.notes and one.parameters == other.parameters


@pytest.mark.parametrize("known", [False, True], ids=["blind", "known"])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_result_tells_what_each_stage_began_and_ended_with(ordinary, way, known):
    pair = ordinary if known else blind(ordinary)
    method, settings = WAYS[way]
    result = hl.fuse(pair, method, **FEW, **settings)
    assert result.hr_hsi.shape == (24, 16, 12) and result.hr_hsi.dtype == np.float32
    assert result.history.keys() == {"dil", "iie", "dig"}
    for stage in result.history.values():
        assert stage.keys() == {"start", "end", "loss", "seconds"} and stage["seconds"] >= 0
    assert sum(stage["seconds"] for stage in result.history.values()) <= result.seconds

    dil, iie, dig = (result.history[name] for name in ("dil", "iie", "dig"))
    flat = {"psf": np.full((4, 4), 1 / 16), "srf": np.full((3, 12), 1 / 12)}
    for name, sensor in flat.items():
        start = getattr(pair, name) if known else sensor
        np.testing.assert_array_equal(dil["start"][name], start)
        np.testing.assert_array_equal(dil["end"][name], getattr(result, name))
    assert iie["end"] is dig["start"] and dig["end"] is not None
    for image in (iie["start"], iie["end"], dig["end"]):
        assert image.shape == (24, 16, 12)
    np.testing.assert_array_equal(dig["end"], result.hr_hsi)
    assert not np.array_equal(iie["start"], iie["end"])
    assert not np.array_equal(dig["start"], dig["end"])

    adam = way in ("adam", "all but the output", "published")
    sml = way in ("sml", "all but the output", "published")
    dual = way in ("all but the output", "published")
    lengths = [len(result.history[name]["loss"]) for name in ("dil", "iie", "dig")]
    assert lengths == [4 if adam and not known else 1, 4 if sml else 0, 4]
    sensors = 0 if known else result.psf.size + result.srf.size
    spectra = counted(SMLNet(12, 3)) if sml else 4 * 12
    image = counted(DualUNet(12, 3, 6) if dual else SingleUNet(12, 6))
    assert result.parameters == sensors + spectra + image
    unknown = [note for note in result.notes if "unknown" in note]
    assert bool(unknown) == (not known)
    assert ("First image by an affine regression, not by SML-Net." in result.notes) == (not sml)


def test_dil_net_at_the_published_size_has_the_published_count():
    """TianGong-1: 54 bands, 8 MSI bands, ratio 12, P = 260: 576, 17,580, 14,135,758."""
    nets = DILNet(54, 8, 12), SMLNet(54, 8), DualUNet(54, 8, 260)
    assert [counted(net) for net in nets] == [576, 17_580, 14_135_758]


def test_no_regression_is_hidden_where_none_is_named():
    """After one step networks know nothing yet: far from any affine map of the MSI."""
    scene = hl.load_scene("synthetic")
    pair = hl.simulate(scene, 8)
    affine = psnr(scene.cube, hl.fuse(pair, "regression").hr_hsi)
    for method, settings in (("m2unet_published", {}), ("m2unet", {"start": "sml"})):
        barely = hl.fuse(pair, method, steps=1, features=8, progress=False, **settings)
        assert psnr(scene.cube, barely.hr_hsi) < affine - 5


def test_the_first_image_is_the_regression_under_the_psf_that_was_found(ordinary):
    result = hl.fuse(blind(ordinary), "m2unet", **FEW)
    expected = hl.fuse(replace(ordinary, psf=result.psf, srf=None), "regression").hr_hsi
    np.testing.assert_array_equal(result.history["dig"]["start"], expected)


@pytest.mark.parametrize("way", list(WAYS))
def test_the_seed_decides_and_the_pair_is_left_alone(ordinary, way):
    pair, (method, settings) = blind(ordinary), WAYS[way]
    before = pair.lr_hsi.copy(), pair.hr_msi.copy()
    torch.manual_seed(11)
    state = torch.get_rng_state()
    first = hl.fuse(pair, method, seed=3, **FEW, **settings)
    assert torch.equal(state, torch.get_rng_state())  # the caller's random numbers too
    torch.manual_seed(12)
    again = hl.fuse(pair, method, seed=3, **FEW, **settings)
    other = hl.fuse(pair, method, seed=4, **FEW, **settings)
    same(first, again)
    assert not np.array_equal(first.hr_hsi, other.hr_hsi)
    np.testing.assert_array_equal(before[0], pair.lr_hsi)
    np.testing.assert_array_equal(before[1], pair.hr_msi)


@pytest.mark.filterwarnings("ignore:.*are negative")
@pytest.mark.parametrize("known", [True, False], ids=["known", "blind"])
@pytest.mark.parametrize("case", list(AWKWARD))
@pytest.mark.parametrize("way", ["ours", "sml", "published"])
def test_an_awkward_pair_gives_a_finite_image_of_its_own_size(way, case, known):
    pair = AWKWARD[case] if known else blind(AWKWARD[case])
    method, settings = WAYS[way]
    result = hl.fuse(pair, method, **FEW, **settings)
    assert result.hr_hsi.shape == (*pair.hr_msi.shape[:2], pair.lr_hsi.shape[2])
    for values in (result.hr_hsi, result.psf, result.srf):
        assert np.isfinite(values).all()
    for stage in result.history.values():
        assert np.isfinite(stage["loss"]).all()
    largest = max(np.abs(pair.lr_hsi).max(), np.abs(pair.hr_msi).max())
    assert np.abs(result.hr_hsi).max() < 10 * largest  # nothing has exploded


@pytest.mark.parametrize("known", [False, True], ids=["blind", "known"])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_hole_without_data_does_not_reach_the_rest(way, known):
    """What stands under the mask is unknown to the method: the result elsewhere is the same."""
    _, holes, pairs = pairs_with_a_hole()
    method, settings = WAYS[way]
    pairs = pairs if known else [blind(pair) for pair in pairs]
    results = [hl.fuse(pair, method, **FEW, **settings) for pair in pairs]
    assert np.array_equal(results[0].valid, holes)
    np.testing.assert_array_equal(results[0].hr_hsi[holes], results[1].hr_hsi[holes])
    np.testing.assert_array_equal(results[0].psf, results[1].psf)
    np.testing.assert_array_equal(
        results[0].history["dig"]["loss"], results[1].history["dig"]["loss"]
    )


@pytest.mark.parametrize("way", ["ours", "sml", "published"])
def test_the_image_is_in_the_units_of_the_pair(ordinary, way):
    """Powers of two, of a pair that is divided by its largest value anyway: nothing to round."""
    method, settings = WAYS[way]
    found = []
    for scale in (8.0, 4096.0):
        pair = replace(
            blind(ordinary), lr_hsi=scale * ordinary.lr_hsi, hr_msi=scale * ordinary.hr_msi
        )
        found.append(hl.fuse(pair, method, **FEW, **settings))
    np.testing.assert_allclose(found[1].hr_hsi / 512, found[0].hr_hsi, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[1].psf, found[0].psf, atol=1e-6)


# The iterations of every stage, and where each is interrupted

ITERATIONS = {"dil": (DILNet, "from_hsi"), "iie": (SMLNet, "forward")}


def interrupt(patch, stage, way, at):
    """Ctrl-C inside the forward pass of iteration ``at`` of a stage, counted from 1."""
    dual = way in ("published", "all but the output")
    place, name = ITERATIONS.get(stage, (DualUNet if dual else SingleUNet, "forward"))
    own, calls = getattr(place, name), []

    def stops(self, *given):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return own(self, *given)

    patch.setattr(place, name, stops)


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize(
    ("way", "stage"),
    [("published", "dil"), ("published", "iie"), ("published", "dig"), ("ours", "dig"),
     ("sml", "iie"), ("sml", "dig"), ("all but the output", "dil")],
)  # fmt: skip
def test_an_interrupted_fusion_goes_on_to_the_same_image(
    tmp_path, monkeypatch, ordinary, way, stage, at
):
    pair, (method, settings) = blind(ordinary), WAYS[way]
    straight = hl.fuse(pair, method, **FEW, **settings)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, stage, way, at)
        hl.fuse(pair, method, folder=tmp_path, **FEW, **settings)
    names, found = ["dil", "iie", "dig"], {path.name for path in tmp_path.iterdir()}
    done = {f"{name}.pt" for name in names[: names.index(stage)]}
    (begun,) = found - done or {None}
    if at == 1:  # before the first step there is nothing to keep
        assert begun is None
    else:
        assert begun.startswith(f"{stage}_unfinished")
    assert found >= done
    same(hl.fuse(pair, method, folder=tmp_path, **FEW, **settings), straight)
    assert {path.name for path in tmp_path.iterdir()} == {"dil.pt", "iie.pt", "dig.pt"}


def test_a_fusion_that_is_interrupted_again_and_again_still_ends_the_same(
    tmp_path, monkeypatch, ordinary
):
    pair, straight = blind(ordinary), hl.fuse(blind(ordinary), "m2unet_published", **FEW)
    for stage, at in (("dil", 2), ("dil", 3), ("iie", 3), ("iie", 3), ("dig", 2), ("dig", 4)):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, stage, "published", at)
            hl.fuse(pair, "m2unet_published", folder=tmp_path, **FEW)
    same(hl.fuse(pair, "m2unet_published", folder=tmp_path, **FEW), straight)


def test_a_stop_at_the_noise_level_survives_an_interruption(tmp_path, monkeypatch):
    """The rule is asked after the interruption, of the image that it would have seen."""
    pair = made_pair(textured(24, 16, 12), 4, hl.gaussian_psf(4), boxes(3, 12), 0.03,
                     noise=(0.03, 0.03))  # fmt: skip
    many = {**FEW, "steps": 200, "start": "sml"}
    straight = hl.fuse(pair, "m2unet", **many)
    length = len(straight.history["dig"]["loss"])
    assert 3 < length < 200
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, "dig", "sml", length)
        hl.fuse(pair, "m2unet", folder=tmp_path, **many)
    same(hl.fuse(pair, "m2unet", folder=tmp_path, **many), straight)


@pytest.mark.parametrize("way", ["ours", "all but the output", "published"])
def test_a_stage_runs_alone_from_what_the_others_have_kept(tmp_path, monkeypatch, ordinary, way):
    pair, (method, settings) = blind(ordinary), WAYS[way]
    whole = hl.fuse(pair, method, folder=tmp_path, **FEW, **settings)
    for missing in (["dig"], ["iie", "dig"], ["dil", "iie", "dig"]):
        for name in missing:
            (tmp_path / f"{name}.pt").unlink()
        with monkeypatch.context() as patch:
            for name, workers in (("dil", ("solve_sensors", "learn_sensors")),
                                  ("iie", ("affine_start", "learn_spectra"))):  # fmt: skip
                for worker in workers if name not in missing else ():
                    patch.setattr(pipeline, worker, None)  # it would be an error to call it
            same(hl.fuse(pair, method, folder=tmp_path, **FEW, **settings), whole)
        assert all((tmp_path / f"{name}.pt").exists() for name in missing)  # kept once more
    monkeypatch.setattr(pipeline, "draw", None)
    again = hl.fuse(pair, method, folder=tmp_path, **FEW, **settings)
    same(again, whole)


@pytest.mark.parametrize("way", ["ours", "published"])
def test_what_a_stage_has_kept_feeds_the_next_one_by_hand(tmp_path, ordinary, way):
    pair, (method, settings) = blind(ordinary), WAYS[way]
    whole = hl.fuse(pair, method, folder=tmp_path, seed=5, **FEW, **settings)
    dil, iie = (load_stage(tmp_path / f"{name}.pt") for name in ("dil", "iie"))
    run = Run(seed=5)
    with seeded(run):
        form = PUBLISHED if way == "published" else OURS
        drawn = draw(pair, dil, iie.image, run, 4, features=6, form=form)
    np.testing.assert_array_equal(drawn.image, whole.hr_hsi)
    np.testing.assert_array_equal(load_stage(tmp_path / "dig.pt").image, whole.hr_hsi)
    np.testing.assert_array_equal(dil.psf, whole.psf)


@pytest.mark.parametrize(
    ("settings", "stage"),
    [
        ({"seed": 1}, "dil"),
        ({"sensors": "adam"}, "dil"),
        ({"start": "affine"}, "iie"),
        ({"fused": False}, "iie"),
        ({"steps": (4, 5, 4)}, "iie"),
        ({"steps": (4, 4, 5)}, "dig"),
        ({"features": 7}, "dig"),
        ({"output": "sigmoid"}, "dig"),
        ({"gates": "auxiliary"}, "dig"),
        ({"stop": False}, "dig"),
    ],
)
def test_a_folder_of_other_settings_is_refused_at_the_stage_that_they_reach(
    tmp_path, ordinary, settings, stage
):
    pair, own = blind(ordinary), {**FEW, "start": "sml"}
    hl.fuse(pair, "m2unet", folder=tmp_path, **own)
    with pytest.raises(InputError, match=rf"{stage}\.pt holds a stage of another run") as refused:
        hl.fuse(pair, "m2unet", folder=tmp_path, **{**own, **settings})
    assert "\n" not in str(refused.value)


def test_steps_matter_to_the_stages_that_take_them(tmp_path, ordinary):
    pair, adam = blind(ordinary), tmp_path / "adam"
    hl.fuse(pair, "m2unet", folder=tmp_path, **FEW)
    solved = hl.fuse(pair, "m2unet", folder=tmp_path, **{**FEW, "steps": (9, 9, 4)})
    assert solved.history["dig"]["loss"].size == 4  # what is solved for was found again
    hl.fuse(pair, "m2unet", sensors="adam", folder=adam, **FEW)
    with pytest.raises(InputError, match=r"dil\.pt holds a stage of another run"):
        hl.fuse(pair, "m2unet", sensors="adam", folder=adam, **{**FEW, "steps": (9, 4, 4)})


@pytest.mark.parametrize("method", BOTH)
def test_a_folder_of_another_pair_or_method_is_refused(tmp_path, ordinary, method):
    hl.fuse(blind(ordinary), method, folder=tmp_path, **FEW)
    (other,) = set(BOTH) - {method}
    for pair, way in ((ordinary, method), (blind(ordinary), other)):
        with pytest.raises(InputError, match=r"dil\.pt holds a stage of another run"):
            hl.fuse(pair, way, folder=tmp_path, **FEW)


@pytest.mark.parametrize("way", ["ours", "published"])
def test_an_unfinished_state_of_another_seed_is_never_gone_on_from(
    tmp_path, monkeypatch, ordinary, way
):
    """Refused, or left alone: our form begins with the same loss whatever the seed."""
    pair, (method, settings) = blind(ordinary), WAYS[way]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, "dig", way, 3)
        hl.fuse(pair, method, folder=tmp_path, **FEW, **settings)
    for name in ("dil", "iie"):
        (tmp_path / f"{name}.pt").unlink()
    straight = hl.fuse(pair, method, seed=1, **FEW, **settings)
    try:
        other = hl.fuse(pair, method, folder=tmp_path, seed=1, **FEW, **settings)
    except InputError as refused:
        assert "unfinished" in str(refused)
    else:
        same(other, straight)


def test_presets_decide_where_nothing_is_asked_for(monkeypatch, ordinary):
    """What run_stages is given, for each method and budget."""
    given = []
    monkeypatch.setattr(pipeline, "run_stages", lambda pair, run, *rest: given.append(rest))
    for budget in ("lite", "paper"):
        run = Run(budget=budget)
        pipeline.m2unet(ordinary, run)
        pipeline.m2unet_published(ordinary, run)
        pipeline.m2unet(ordinary, run, steps=3, features=5, folder="a", gates="auxiliary")
        ours, published, asked = given[-3:]
        assert ours == (OURS, PRESETS[budget], None)
        assert published == (PUBLISHED, PUBLISHED_PRESETS[budget], None)
        assert asked == (replace(OURS, gates="auxiliary"), Preset((3, 3, 3), 5), "a")


@pytest.mark.parametrize("method", BOTH)
def test_the_paper_budget_runs_on_a_cpu(method):
    """A few iterations of the published 260 features, on the smallest of images."""
    pair = blind(made_pair(0.5 * textured(8, 8, 20), 4, hl.gaussian_psf(4), boxes(2, 20)))
    result = hl.fuse(pair, method, budget="paper", steps=2, device="cpu", progress=False)
    net = DualUNet(20, 2, 260) if method == "m2unet_published" else SingleUNet(20, 260)
    assert result.parameters > counted(net)
    assert len(result.history["dig"]["loss"]) == 2 and np.isfinite(result.hr_hsi).all()


@pytest.mark.parametrize("method", BOTH)
def test_each_stages_bar_tells_its_loss_and_the_time_left(monkeypatch, capsys, ordinary, method):
    at_once = lambda **options: tqdm(**{**options, "delay": 0, "mininterval": 0})  # noqa: E731
    monkeypatch.setattr(fitting, "tqdm", at_once)  # as a rule a bar waits for a second
    result = hl.fuse(blind(ordinary), method, **{**FEW, "progress": True})
    said = capsys.readouterr().err
    stages = {"dig": "DIG: drawing the image"}
    if method == "m2unet_published":
        stages |= {"dil": "DIL: learning PSF and SRF", "iie": "IIE: learning spectra"}
    for name, text in stages.items():
        lines = re.findall(rf"{text}: .*?(\d)/4 \[[\d:]+<([\d:]+),.*?loss (\S+?)\]", said)
        assert {line[0] for line in lines} >= {"1", "2", "3", "4"}
        assert all(re.fullmatch(r"\d\d:\d\d", left) for _, left, _ in lines)
        # In the network's units, and with three digits
        shown = [dict((step, float(loss)) for step, _, loss in lines)[str(n)] for n in range(1, 5)]
        share = result.history[name]["loss"] / shown
        np.testing.assert_allclose(share, share[0], rtol=0.02)
    hl.fuse(blind(ordinary), method, **FEW)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("m2unet", {"sensors": "published"}, "sensors is 'published': one of convex, adam"),
        ("m2unet", {"start": "cubic"}, "start is 'cubic': one of affine, sml"),
        ("m2unet", {"stop": "yes"}, "stop is 'yes'"),
        ("m2unet", {"steps": 0}, "steps is 0"),
        ("m2unet", {"steps": (1, 2)}, "one whole number, or three"),
        ("m2unet", {"features": -1}, "features is -1"),
        ("m2unet", {"folder": 3}, "folder is of type int"),
        ("m2unet", {"rate": 1}, "m2unet has no setting 'rate'"),
        ("m2unet_published", {"steps": 1.5}, "steps is 1.5"),
        ("m2unet_published", {"features": "32"}, "features is '32'"),
        ("m2unet_published", {"folder": b"a"}, "folder is of type bytes"),
        ("m2unet_published", {"stop": True}, "m2unet_published has no setting 'stop'"),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(ordinary, method, settings, said):
    with pytest.raises(InputError, match=re.escape(said)):
        hl.fuse(blind(ordinary), method, **{**FEW, **settings})


def test_a_folder_that_cannot_be_read_is_named(tmp_path, ordinary):
    (tmp_path / "iie.pt").write_bytes(b"half")
    with pytest.raises(InputError, match=r"iie\.pt cannot be read as tensors"):
        hl.fuse(blind(ordinary), "m2unet", folder=tmp_path, **FEW)


@pytest.mark.parametrize("method", BOTH)
def test_a_psf_of_another_size_is_used_as_it_is(method):
    for size in (3, 8):
        psf = hl.gaussian_psf(4, size=size, fwhm=3)
        pair = made_pair(textured(24, 16, 12), 4, psf, boxes(3, 12))
        for srf in (pair.srf, None):
            given = replace(pair, srf=srf)
            np.testing.assert_array_equal(hl.fuse(given, method, **FEW).psf, given.psf)
