"""DAEM's published loop: its start, its steps, and what it can and cannot learn."""

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.daem import published
from hsisr_lite.daem.published import PublishedModel, learn_published
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.degradation.windows import windows
from hsisr_lite.fitting import seeded


def images(seed=0, blocks=4, ratio=2, bands=6, msi_bands=2):
    """Tensors of a random pair: spectra, and the MSI pixels in each block."""
    rng = np.random.default_rng(seed)
    cube = rng.random((blocks * ratio, blocks * ratio, bands)) ** rng.uniform(0.3, 3)
    srf = rng.dirichlet(np.ones(bands), msi_bands)
    lr_hsi = SpatialOperator(hl.gaussian_psf(ratio), ratio).A(cube).reshape(-1, bands)
    seen = windows(SpectralOperator(srf).A(cube), ratio, ratio).reshape(-1, msi_bands, ratio**2)
    return torch.from_numpy(lr_hsi).float(), torch.from_numpy(seen).float().transpose(1, 2)


def test_it_starts_as_published():
    torch.manual_seed(0)
    model = PublishedModel(3, 31, 4)
    assert torch.equal(model.psf.root, 5 * torch.eye(2))
    assert torch.equal(model.psf.centre, torch.tensor([2.0, 2.0]))
    assert model.psf.kernel().argmax().item() == 2 * 4 + 2 and model.psf.kernel().max() > 0.999
    gaussians = model.srf.gaussians
    assert gaussians.shape == (3, 4, 2) and 0 <= gaussians.min() and gaussians.max() < 1
    # all bands of the MSI begin at the first bands of the LrHSI
    assert model.srf.matrix()[:, :4].sum(-1).min() > 0.95
    assert len(model.network.decoder.mean) == 12  # six layers, each with its activation
    assert not model.network.encoder.shares


@pytest.mark.parametrize("layers", [5, 1, "6", None])
def test_another_number_of_layers_is_an_error(layers):
    with pytest.raises(InputError, match="6 or 2 is needed"):
        PublishedModel(3, 31, 4, layers=layers)


@pytest.mark.parametrize("third", ["regenerated", "cross"])
def test_fifty_seeds_give_no_nan(third):
    for seed in range(50):
        run = Run(seed=seed)
        with seeded(run):
            model = PublishedModel(2, 6, 2, layers=2 + 4 * (seed % 2))
            with torch.no_grad():  # also from a width of exactly zero
                model.srf.gaussians[0, 0, 1] = 0.0
            history = learn_published(model, *images(seed), 50, run=run, pixels=8192, third=third)
        assert np.isfinite(history).all(), f"seed {seed}"
        assert all(torch.isfinite(p).all() for p in model.parameters()), f"seed {seed}"
        assert torch.isfinite(model.srf.matrix()).all() and torch.isfinite(model.psf.kernel()).all()


def test_one_adam_moves_everything_at_one_constant_rate():
    """Adam's first step is its rate for every parameter that has a gradient; so is none larger."""
    torch.manual_seed(0)
    model = PublishedModel(2, 6, 2)
    before = [p.detach().clone() for p in model.parameters()]
    learn_published(model, *images(), 1, run=Run(), pixels=8192, third="cross")
    moved = [(p - q).abs().max().item() for p, q in zip(model.parameters(), before, strict=True)]
    assert max(moved) == pytest.approx(1e-3, rel=1e-2)
    assert (model.psf.root - before_of(model, before, "psf.root")).abs().max() > 0
    # a constant rate: the last of 20 steps is no smaller than what a cosine would leave (1e-5)
    track = []
    bias = model.network.decoder.mean[-2].bias
    learn_published(
        model, *images(), 20, run=Run(), pixels=8192, third="cross",
        watch=lambda _: track.append(bias.detach().clone()),
    )  # fmt: skip
    assert (track[-1] - track[-2]).abs().max() > 1e-4


def before_of(model, before, name):
    return before[[n for n, _ in model.named_parameters()].index(name)]


def test_many_pixels_are_taken_a_few_at_a_time(monkeypatch):
    """64 blocks of 4 pixels, 40 pixels at once: 10 random blocks, each with its own spectrum."""
    lr_hsi, blocks = images(blocks=8)
    seen = []

    def spy(model, hsi, msi, *, third):
        seen.append((hsi, msi))
        return sum(p.sum() for p in model.parameters())

    monkeypatch.setattr(published, "step_loss", spy)
    model = PublishedModel(2, 6, 2)
    learn_published(model, lr_hsi, blocks, 30, run=Run(), pixels=40)
    drawn = set()
    for hsi, msi in seen:
        assert hsi.shape == (10, 6) and msi.shape == (10, 4, 2)
        rows = (hsi[:, None] == lr_hsi).all(-1).int().argmax(1)
        assert torch.equal(blocks[rows], msi)
        drawn |= set(rows.tolist())
    assert len(drawn) > 55  # 300 draws of 64: about 1 % of them are missed
    seen.clear()
    learn_published(model, lr_hsi, blocks, 1, run=Run(), pixels=256)
    assert torch.equal(seen[0][0], lr_hsi)
    learn_published(model, lr_hsi, blocks, 1, run=Run(), pixels=1)
    assert len(seen[1][0]) == 1


def test_the_loss_goes_down_and_the_srf_stays_where_it_began():
    """1e-3 a step: after 150 steps a centre has moved by 0.15 bands at most."""
    torch.manual_seed(0)
    model = PublishedModel(2, 20, 2)
    start = model.srf.gaussians.detach().clone()
    history = learn_published(model, *images(bands=20), 150, run=Run(), pixels=8192)
    assert history[-10:].mean() < 0.8 * history[:10].mean()
    assert (model.srf.gaussians - start).abs().max() < 0.16
    assert model.srf.matrix()[:, 10:].sum() < 1e-3


def test_brightness_does_not_matter():
    """Divided by the top, 4096 times as bright is the same network to the last digit."""
    found = []
    for scale in (1.0, 4096.0):
        torch.manual_seed(0)
        model = PublishedModel(2, 6, 2, top=scale)
        lr_hsi, blocks = images()
        found.append(
            learn_published(model, scale * lr_hsi, scale * blocks, 5, run=Run(), pixels=99)
        )
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
