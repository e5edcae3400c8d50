"""A network kept in a file serves the scene and the settings that it was trained for, no others."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.tensor_files import load_tensors, save_tensors
from hsisr_lite.uafl import UAFL, training
from hsisr_lite.uafl.weights import save_weights

SETTINGS = {"steps": 4, "width": 8, "registration": "none", "progress": False}


@pytest.fixture(scope="module")
def pair():
    scene = hl.load_scene("synthetic")
    part = hl.Scene("part", scene.cube[:48, :48], scene.wavelengths)
    return hl.simulate(part, ratio=4, sensor="worldview2", blind=False)


def fuse(pair, path, method="uafl", **settings):
    return hl.fuse(pair, method, weights=path, **{**SETTINGS, **settings})


@pytest.fixture
def kept(pair, tmp_path):
    fuse(pair, tmp_path / "uafl.pt")
    return tmp_path / "uafl.pt"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"start": "bicubic"}, "trained with start affine, and bicubic is asked for"),
        ({"alignment": "cfda"}, "trained with alignment none"),
        ({"attention": "concat"}, "trained with attention scaca"),
        ({"endmembers": 2}, "trained with endmembers 6, and 2 is asked for"),
        ({"width": 16}, "trained with width 8"),
        ({"blocks": (2, 1)}, r"trained with blocks \(1, 1\), and \(2, 1\) is asked for"),
        ({"misregistration": "easy"}, "trained with misregistration realistic"),
        ({"registration": "optical_flow"}, "trained with registration none"),
    ],
    ids=str,
)
def test_other_settings_are_refused(pair, kept, settings, words):
    with pytest.raises(InputError, match=rf"uafl.pt holds a network that was {words}"):
        fuse(pair, kept, **settings)


def test_another_method_is_refused(pair, kept):
    own = {name: value for name, value in SETTINGS.items() if name != "registration"}
    with pytest.raises(InputError, match=r"uafl.pt holds a network that was trained with start"):
        hl.fuse(pair, "uafl_published", weights=kept, **own)


def test_another_scene_is_refused(pair, kept):
    """As many bands, other spectra; another reference of the same LrHSI is welcome."""
    turned = replace(pair, lr_hsi=np.ascontiguousarray(pair.lr_hsi[..., ::-1]))
    with pytest.raises(InputError, match="trained on another LrHSI"):
        fuse(turned, kept)
    moved, _ = hl.misregister(pair, "easy", seed=3)
    assert any("not trained" in note for note in fuse(moved, kept).notes)


def test_what_is_done_with_the_answer_may_change(pair, kept):
    """Neither the residual nor the trial is trained, and a seed and steps are past."""
    for settings in ({"residual": False}, {"trial": False}, {"steps": 9}, {"seed": 5}):
        assert any("not trained" in note for note in fuse(pair, kept, **settings).notes)


def test_a_network_of_other_scenes_improves_the_enlarged_image_only(pair, tmp_path):
    path = tmp_path / "folder.pt"
    save_weights(UAFL(msi_bands=8, width=8, blocks=(1, 1)), path)
    with pytest.raises(InputError, match="pass start='bicubic'"):
        fuse(pair, path)
    assert any("not trained" in note for note in fuse(pair, path, start="bicubic").notes)


def interrupted(pair, path, monkeypatch, **settings):
    """Stops in the third step."""
    change, made = training.SceneUAFL.change, []

    def stopping(self, *inputs):
        made.append(1)
        if len(made) == 3:
            raise KeyboardInterrupt
        return change(self, *inputs)

    with monkeypatch.context() as patch:
        patch.setattr(training.SceneUAFL, "change", stopping)
        with pytest.raises(KeyboardInterrupt):
            fuse(pair, path, **settings)


def test_an_interrupted_training_goes_on(pair, tmp_path, monkeypatch):
    """To the same loss and the same image, bit for bit."""
    whole = fuse(pair, tmp_path / "whole.pt")
    interrupted(pair, tmp_path / "uafl.pt", monkeypatch)
    states = list(tmp_path.glob("uafl.pt.*.training"))
    assert len(states) == 1
    again = fuse(pair, tmp_path / "uafl.pt")
    assert np.array_equal(again.history["loss"], whole.history["loss"])
    assert np.array_equal(again.hr_hsi, whole.hr_hsi)
    assert not list(tmp_path.glob("*.training"))


@pytest.mark.parametrize(
    "other", ["seed", "misregistration", "start", "LrHSI", "HrMSI", "srf"], ids=str
)
def test_another_training_does_not_go_on_from_it(pair, tmp_path, monkeypatch, other):
    """The first loss is one whatever the data: only the name of the state tells them apart."""
    interrupted(pair, tmp_path / "uafl.pt", monkeypatch)
    settings, seen = {}, pair
    if other == "seed":
        settings = {"seed": 1}
    elif other == "misregistration":
        settings = {"misregistration": "easy"}
    elif other == "start":
        settings = {"start": "bicubic"}
    elif other == "LrHSI":
        seen = replace(pair, lr_hsi=np.ascontiguousarray(pair.lr_hsi[:, ::-1]))
    elif other == "HrMSI":
        seen = replace(pair, hr_msi=np.ascontiguousarray(pair.hr_msi[:, ::-1]))
    else:
        seen = replace(pair, srf=pair.srf[::-1])
    fresh = fuse(seen, tmp_path / "fresh.pt", **settings)
    late = fuse(seen, tmp_path / "uafl.pt", **settings)
    assert np.array_equal(late.history["loss"], fresh.history["loss"])
    assert np.array_equal(late.hr_hsi, fresh.hr_hsi)


@pytest.mark.parametrize("name", ["network.head.weight", "deviation"])
def test_numbers_that_are_not_finite_are_refused(pair, kept, name):
    content = load_tensors(kept)
    content["scene"][name] = torch.full_like(content["scene"][name], torch.nan)
    save_tensors(content, kept)
    with pytest.raises(InputError, match="not finite"):
        fuse(pair, kept)


@pytest.mark.parametrize("value", [0.3, 3000.0])
@pytest.mark.parametrize("method", ["uafl", "uafl_published"])
def test_a_flat_scene_stays_flat(value, method):
    """Nothing is to be learned, and rounding is not blown up: half a per cent of the value.

    Adam's steps are as long as those of a scene with something to learn.
    """
    pair = hl.ObservedPair(
        np.full((8, 8, 12), value), np.full((32, 32, 3), value), 4, np.linspace(400, 900, 12),
        psf=np.full((4, 4), 1 / 16), srf=np.full((3, 12), 1 / 12),
    )  # fmt: skip
    made = hl.fuse(pair, method, steps=40, width=8, progress=False).hr_hsi
    assert np.abs(made / value - 1).max() < 5e-3


@pytest.mark.parametrize("path", ["", ".", 1, True, b"w", []], ids=repr)
def test_the_name_of_a_file_is_checked_before_the_work(pair, path, monkeypatch):
    def late(*_, **__):
        raise AssertionError("it registers first")

    monkeypatch.setattr("hsisr_lite.uafl.method.register", late)
    with pytest.raises(InputError, match="is needed; correct"):
        fuse(pair, path, registration="model")
