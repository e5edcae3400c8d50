"""Zero-shot training: it learns, it repeats, it resumes, and what it kept is read back."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.fitting import seeded
from hsisr_lite.uafl.correlation import CorrelationCFDA
from hsisr_lite.uafl.crops import Crops
from hsisr_lite.uafl.network import UAFL
from hsisr_lite.uafl.presets import LEFT_OVER
from hsisr_lite.uafl.start import bicubic_start
from hsisr_lite.uafl.training import (
    SceneUAFL,
    learn,
    load_scene_weights,
    save_scene,
    warm_cosine,
)
from hsisr_lite.uafl.weights import save_weights
from hsisr_lite.unmixing.subspace import svd_subspace


@pytest.fixture(scope="module")
def pair():
    """A part of the embedded scene, with known sensors."""
    whole = hl.simulate(hl.load_scene("synthetic"), ratio=4, blind=False)
    return hl.ObservedPair(
        whole.lr_hsi[:12, :12], whole.hr_msi[:48, :48], 4, whole.wavelengths,
        psf=whole.psf, srf=whole.srf,
    )  # fmt: skip


def crops_of(pair, size=16, misregistration="realistic"):
    """Crops without noise."""
    basis = svd_subspace(pair.lr_hsi, 3).basis
    bands, msi_bands = pair.srf.shape[::-1]
    return Crops(
        pair.lr_hsi.reshape(-1, bands), pair.srf, basis, bicubic_start(pair, pair.psf),
        misregistration,
        (np.zeros(bands), np.zeros(msi_bands)), size, pair.hr_msi,
    )  # fmt: skip


def scene_of(pair, blocks=(1, 1), **arguments):
    """A small network with the pair's statistics, the same each time."""
    torch.manual_seed(0)
    basis = svd_subspace(pair.lr_hsi, 3).basis
    abundances = pair.lr_hsi.reshape(-1, pair.lr_hsi.shape[2]) @ basis.T
    reference = pair.hr_msi.reshape(-1, pair.hr_msi.shape[2])
    network = UAFL(pair.hr_msi.shape[2], 3, 8, blocks, **arguments)
    units = ((values.mean(axis=0), values.std(axis=0)) for values in (abundances, reference))
    return SceneUAFL(network, basis, *units)


def test_an_untrained_network_adds_nothing(pair):
    """The output convolution starts at zero: the first loss is 1, the first image's own error."""
    run = Run()
    with seeded(run):
        loss = learn(scene_of(pair), crops_of(pair), 1, run)
    assert loss[0] == pytest.approx(1, abs=1e-6)  # float32 means


def test_training_lowers_the_error_of_the_first_image(pair):
    """By a tenth and more on crops that line up: every one is new, so this is no memory."""
    run, crops = Run(), crops_of(pair, 32, LEFT_OVER)
    with seeded(run):
        loss = learn(scene_of(pair, alignment="none"), crops, 150, run)
    assert np.median(loss[-20:]) < 0.9


def test_the_same_seed_gives_the_same_network(pair):
    """And another seed another one."""
    kept = []
    for seed in (3, 3, 4):
        scene, run = scene_of(pair, alignment="none"), Run(seed=seed)
        with seeded(run):
            learn(scene, crops_of(pair), 3, run)
        kept.append(scene.network.embed.weight.detach().clone())
    assert torch.equal(kept[0], kept[1])
    assert not torch.equal(kept[0], kept[2])


@pytest.mark.parametrize("alignment", ["cfda", "correlation"])
def test_an_interrupted_training_goes_on_where_it_was(pair, alignment, tmp_path, monkeypatch):
    """Interrupted after three steps and resumed, its weights are those of one run: bit for bit."""
    run, path = Run(), tmp_path / "state.pt"
    whole = scene_of(pair, alignment=alignment)
    with seeded(run):
        learn(whole, crops_of(pair), 6, run)

    crops, drawn = crops_of(pair), []
    draw = crops.draw

    def three(rng):
        if len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(rng)
        return draw(rng)

    crops.draw = three
    cut = scene_of(pair, alignment=alignment)
    with seeded(run), pytest.raises(KeyboardInterrupt):
        learn(cut, crops, 6, run, checkpoint=path)
    assert path.exists()
    again = scene_of(pair, alignment=alignment)
    with seeded(run):
        learn(again, crops_of(pair), 6, run, checkpoint=path)
    assert not path.exists()
    for one, other in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_bfloat16_trains_alike(pair):
    """Three digits: the loss after a few steps agrees to a few per cent, and is not the same."""
    ends = []
    for bf16 in (False, True):
        run = Run()
        with seeded(run):
            scene = scene_of(pair, alignment="none")
            ends.append(learn(scene, crops_of(pair), 8, run, bf16=bf16)[-1])
    assert ends[0] != ends[1]
    assert ends[0] == pytest.approx(ends[1], rel=0.05)


def test_every_level_of_a_volume_learns(pair):
    """With two levels both volumes get a gradient from the crops' flows."""
    torch.manual_seed(0)
    network = UAFL(pair.hr_msi.shape[2], 3, 8, (1, 1, 1), alignment="correlation")
    unit = np.zeros(3), np.ones(3)
    bands = np.zeros(pair.hr_msi.shape[2]), np.ones(pair.hr_msi.shape[2])
    scene = SceneUAFL(network, svd_subspace(pair.lr_hsi, 3).basis, unit, bands)
    before = [align.of_reference.weight.detach().clone() for align in network.align]
    run = Run()
    with seeded(run):
        learn(scene, crops_of(pair, 32), 2, run)
    for align, weight in zip(network.align, before, strict=True):
        assert (align.of_reference.weight - weight).abs().max() > 0


def test_a_volume_is_told_what_lines_the_crop_up_again(pair, monkeypatch):
    """The reference was seen 2 px lower and 3 px to the left: it lines up 3 right and 2 up.

    So F* is (right, down) = (3, -2) on the first level, half of it on the second; and in each step
    a crop of the scene itself is learned from, with the flow of its own.
    """
    crops, told = crops_of(pair, 32), []
    draws = {"draw": (2.0, -3.0), "draw_scene": (-1.0, 0.5)}  # down, right
    drawn = dict.fromkeys(draws, 0)

    def moved(name, draw, flow):
        def make(rng):
            drawn[name] += 1
            crop = draw(rng)
            return crop._replace(flow=np.ones_like(crop.flow) * np.reshape(flow, (2, 1, 1)))

        return make

    for name, flow in draws.items():
        setattr(crops, name, moved(name, getattr(crops, name), flow))
    loss_of = CorrelationCFDA.matching_loss

    def spy(self, reference, features, flow):
        assert flow.shape == (1, 2, *features.shape[2:])
        assert torch.equal(flow, flow[:, :, :1, :1].expand_as(flow))
        told.append(tuple(flow[0, :, 0, 0].tolist()))
        return loss_of(self, reference, features, flow)

    monkeypatch.setattr(CorrelationCFDA, "matching_loss", spy)
    run, scene = Run(), scene_of(pair, blocks=(1, 1, 1), alignment="correlation")
    with seeded(run):
        learn(scene, crops, 2, run)
    assert drawn == {"draw": 2, "draw_scene": 2}
    assert told == 2 * [(3, -2), (1.5, -1), (-0.5, 1), (-0.25, 0.5)]


def test_a_kept_network_fuses_as_before(pair, tmp_path):
    """Weights, endmembers and statistics: the result is the same to the last bit."""
    scene, run = scene_of(pair), Run()
    with seeded(run):
        learn(scene, crops_of(pair), 2, run)
    save_scene(scene, tmp_path / "scene.pt")
    again = load_scene_weights(tmp_path / "scene.pt")
    image, reference = torch.rand(1, 3, 16, 16), torch.rand(1, pair.hr_msi.shape[2], 16, 16)
    assert torch.equal(scene.change(image, reference), again.change(image, reference))


def test_a_network_of_other_scenes_fuses_as_it_was_trained_to(tmp_path):
    """As UAFL.forward on both images mapped to 0 and 1, and back: float32 in another order."""
    torch.manual_seed(1)
    network, path = UAFL(width=8, blocks=(1, 1), alignment="none"), tmp_path / "others.pt"
    save_weights(network, path)
    image = 0.2 + 0.5 * np.random.default_rng(0).random((16, 24, 6))
    reference = image[..., :3]
    scene = load_scene_weights(path, image)

    def tensor(values):
        return torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]

    low, span = image.min(), image.max() - image.min()
    with torch.no_grad():
        fused = scene(tensor(image), tensor(reference))
        wanted = network(tensor((image - low) / span), tensor((reference - low) / span))
    assert torch.allclose(fused, low + span * wanted, atol=1e-4)
    assert (fused - tensor(image)).abs().max() > 1e-2


def test_another_file_is_refused_by_name(tmp_path):
    """A network without a scene, and one with other tensors."""
    path = tmp_path / "plain.pt"
    save_weights(UAFL(width=8, blocks=(1, 1)), path)
    with pytest.raises(InputError, match=r"plain.pt holds no network of one scene"):
        load_scene_weights(path)


def test_the_rate_rises_then_falls():
    """Over 50 steps up, then as a cosine; never negative."""
    rates = [warm_cosine(step, 400) for step in range(400)]
    assert int(np.argmax(rates)) in range(45, 50)
    assert all(later < rate for rate, later in pairwise(rates[50:]))
    assert min(rates) > 0
