"""Partial fine-tuning: weights from other scenes, and a decoder that learns on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.daem import fine_tuning as room
from hsisr_lite.daem.fine_tuning import (
    fine_tune_decoder,
    load_network,
    low_pixels,
    train_on_scenes,
)
from hsisr_lite.daem.phi import build
from hsisr_lite.fitting import load_tensors, save_tensors
from hsisr_lite.metrics import psnr

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scene():
    return hl.load_scene("synthetic")


@pytest.fixture(scope="module")
def halves(scene):
    """Left and right half of the embedded scene, every third band: pairs of the same sensors."""
    parts = [
        type(scene)("half", scene.cube[:, cols, ::3], scene.wavelengths[::3])
        for cols in (slice(0, 48), slice(48, 96))
    ]
    return [(part.cube, hl.simulate(part, 4, blind=False)) for part in parts]


@pytest.fixture(scope="module")
def weights(halves, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "left.pt"
    history = train_on_scenes([halves[0][1]], path, steps=300, progress=False)
    assert len(history) == 300 and history[-20:].mean() < 0.5 * history[:5].mean()
    return path


def states(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("form", ["free", "interpretable"])
def test_only_the_decoder_learns(form):
    torch.manual_seed(0)
    msi, hsi = torch.rand(60, 3), torch.rand(60, 9)
    network = build(msi, hsi, form=form)
    encoder, decoder = states(network.encoder), states(network.decoder)
    units = network.msi_units.clone(), network.hsi_units.clone()
    history = fine_tune_decoder(network, msi, hsi, 20, run=Run())
    assert all(torch.equal(value, encoder[k]) for k, value in network.encoder.state_dict().items())
    assert not any(torch.equal(v, decoder[k]) for k, v in network.decoder.state_dict().items())
    assert torch.equal(network.msi_units, units[0]) and torch.equal(network.hsi_units, units[1])
    assert all(p.grad is None for p in network.encoder.parameters())
    assert len(history) == 20


def test_the_encoder_works_once():
    torch.manual_seed(0)
    msi, hsi = torch.rand(60, 3), torch.rand(60, 9)
    network, calls = build(msi, hsi), []
    network.encoder.register_forward_hook(lambda *_: calls.append(1))
    fine_tune_decoder(network, msi, hsi, 10, run=Run())
    assert len(calls) == 1


def test_weights_come_back_as_they_were(weights, halves):
    network = load_network(weights, halves[0][1])
    content = load_tensors(weights)
    assert content["form"] == "free" and content["channels"] == 16
    for name, value in network.state_dict().items():
        assert torch.equal(value, content["weights"][name])


def test_fine_tuning_helps_on_another_scene_and_keeps_the_encoder(weights, halves):
    cube, pair = halves[1]
    tuned = hl.fuse(pair, "daem", weights=weights, steps=200, progress=False)
    barely = hl.fuse(pair, "daem", weights=weights, steps=1, progress=False)
    assert psnr(cube, tuned.hr_hsi) > psnr(cube, barely.hr_hsi) + 0.5
    np.testing.assert_array_equal(tuned.abundances, barely.abundances)
    assert len(tuned.history["phi"]) == 200
    assert tuned.parameters == sum(p.numel() for p in load_network(weights, pair).parameters())
    assert psnr(cube, tuned.hr_hsi) > psnr(cube, hl.fuse(pair, "bicubic").hr_hsi)


def test_the_interpretable_form_and_its_channels_are_the_files(halves, tmp_path):
    path = tmp_path / "weights.pt"
    train_on_scenes(
        [pair for _, pair in halves], path, form="interpretable", channels=5, steps=5,
        progress=False,
    )  # fmt: skip
    result = hl.fuse(halves[0][1], "daem", weights=path, steps=3, progress=False)
    assert result.abundances.shape == (96, 48, 5)
    np.testing.assert_allclose(result.abundances.sum(-1), 1, atol=1e-5)  # float32


def test_every_scene_teaches(halves, tmp_path):
    """The same first scene, with and without a second: other units, other weights."""
    found = []
    for pairs in ([halves[0][1]], [pair for _, pair in halves]):
        train_on_scenes(pairs, tmp_path / "weights.pt", steps=2, progress=False)
        found.append(load_tensors(tmp_path / "weights.pt")["weights"])
    assert not torch.equal(found[0]["hsi_units"], found[1]["hsi_units"])
    hsi = torch.cat([low_pixels(pair, pair.psf, CPU)[1] for _, pair in halves])
    torch.testing.assert_close(found[1]["hsi_units"][0], hsi.mean(0))


def test_the_seed_decides(halves, tmp_path):
    found = []
    for seed in (1, 1, 2):
        train_on_scenes([halves[0][1]], tmp_path / "w.pt", steps=2, seed=seed, progress=False)
        found.append(load_tensors(tmp_path / "w.pt")["weights"]["encoder.layers.0.weight"])
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_low_pixels_are_the_valid_ones(halves):
    pair = halves[0][1]
    lr_valid = np.ones(pair.lr_hsi.shape[:2], bool)
    lr_valid[2:4, 1:5] = False
    msi, hsi = low_pixels(replace(pair, lr_valid=lr_valid), pair.psf, CPU)
    np.testing.assert_array_equal(hsi.numpy(), pair.lr_hsi[lr_valid])
    np.testing.assert_array_equal(msi.numpy(), pair.low_msi(pair.psf)[lr_valid])


def test_pairs_of_different_sensors_or_none_are_an_error(halves, scene, tmp_path):
    other = hl.simulate(scene, 4, blind=False)
    for pairs in ([], [halves[0][1], other]):
        with pytest.raises(InputError, match="one and the same two numbers are needed"):
            train_on_scenes(pairs, tmp_path / "weights.pt", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_other_sensors_is_an_error(weights, scene):
    with pytest.raises(InputError, match=r"is for 8 MSI and 33 HSI bands: 8 and 99 are needed"):
        hl.fuse(hl.simulate(scene, 4, blind=False), "daem", weights=weights, progress=False)


UNITS = {"msi_units": torch.ones(2, 8), "hsi_units": torch.ones(2, 33)}
OTHER = {
    "a tensor": torch.ones(3),
    "other keys": {"weights": {}},
    "no weights": {"form": "free", "channels": 16, "weights": {}},
    "weights of a wrong kind": {"form": "free", "channels": 16, "weights": torch.ones(2)},
    "layers missing": {"form": "free", "channels": 16, "weights": UNITS},
    "unknown form": {"form": "other", "channels": 16, "weights": UNITS},
}


@pytest.mark.parametrize("content", list(OTHER.values()), ids=list(OTHER))
def test_a_file_of_something_else_is_an_error(tmp_path, content, halves):
    path = tmp_path / "weights.pt"
    save_tensors(content, path)
    with pytest.raises(InputError, match=r"weights\.pt holds no DAEM network"):
        load_network(path, halves[0][1])


def test_a_file_with_other_channels_than_its_weights_is_an_error(weights, tmp_path, halves):
    content = load_tensors(weights)
    path = tmp_path / "weights.pt"
    save_tensors({**content, "channels": 5}, path)
    with pytest.raises(InputError, match=r"weights\.pt holds no DAEM network"):
        load_network(path, halves[0][1])


def test_as_many_bands_of_other_colours_are_an_error(weights, halves, tmp_path):
    """They would be fused without a sound."""
    pair = halves[1][1]
    moved = replace(pair, wavelengths=pair.wavelengths + 500)
    with pytest.raises(InputError, match=r"each within half a band, are needed by this pair"):
        hl.fuse(moved, "daem", weights=weights, progress=False)
    with pytest.raises(InputError, match="a pair has bands from"):
        train_on_scenes([pair, moved], tmp_path / "w.pt", progress=False)


def test_what_cannot_be_is_said_before_any_work(weights, halves, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "learn_theta", None)  # whoever gets that far fails otherwise
    pairs = [halves[0][1]]
    for path, settings, words in (
        (tmp_path / "none" / "w.pt", {}, "No such file or directory"),
        (tmp_path, {}, "it is a folder"),
        (tmp_path / "w.pt", {"form": "other"}, "form is 'other'"),
        (tmp_path / "w.pt", {"steps": 0}, "steps is 0"),
    ):
        with pytest.raises(InputError, match=words):
            train_on_scenes(pairs, path, progress=False, **settings)
    with pytest.raises(InputError, match="the network of the file has its own"):
        hl.fuse(pairs[0], "daem", weights=weights, channels=8, progress=False)


def test_the_published_rate_stays_and_ours_falls():
    """Adam's step is at most its rate: late steps of ours are short, the published ones are not."""
    moves = {}
    for constant in (True, False):
        torch.manual_seed(0)
        msi, hsi = torch.rand(60, 3), torch.rand(60, 9)
        network = build(msi, hsi)
        seen, step = [], torch.optim.Adam.step

        def spy(self, *args, seen=seen, step=step, **kwargs):
            seen.append(self.param_groups[0]["lr"])
            return step(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.optim.Adam, "step", spy)
            fine_tune_decoder(network, msi, hsi, 10, run=Run(), constant=constant)
        moves[constant] = seen
    assert set(moves[True]) == {1e-3}
    assert moves[False][0] == 1e-3 and moves[False][-1] < 1e-4


def test_a_missing_file_is_an_error(halves, tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        hl.fuse(halves[0][1], "daem", weights=tmp_path / "none.pt", progress=False)
