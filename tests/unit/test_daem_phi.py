"""Phi: the autoencoder on low-resolution pixels, in our two forms."""

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.arrays import InputError
from hsisr_lite.budget import Run
from hsisr_lite.daem import phi as room
from hsisr_lite.daem.autoencoder import LinearDecoder
from hsisr_lite.daem.fine_tuning import low_pixels
from hsisr_lite.daem.phi import apply, build, channel_spectra, learn_phi
from hsisr_lite.daem.theta import learn_theta
from hsisr_lite.degradation.operators import SpatialOperator, SpectralOperator
from hsisr_lite.fitting import seeded
from hsisr_lite.metrics import psnr

CPU = torch.device("cpu")


def cut(ratio, snr_db=None):
    """A quarter of the embedded scene, with every third band, and its pair."""
    whole = hl.load_scene("synthetic")
    cube = whole.cube[24:72, 24:72, ::3]
    scene = type(whole)("cut", cube, whole.wavelengths[::3])
    return cube, hl.simulate(scene, ratio=ratio, blind=False, snr_db=snr_db)


def quality(cube, pair, seed, steps, noise=None, **settings):
    run = Run(seed=seed)
    with seeded(run):
        msi, hsi = low_pixels(pair, pair.psf, CPU)
        network = build(msi, hsi, seed=seed)
        learn_phi(network, msi, hsi, steps, run=run, noise=noise, **settings)
        return psnr(cube, apply(network, pair.hr_msi, CPU)[0])


def test_mixing_pixels_helps_where_there_are_few():
    """Ratio 8: 36 pixels. Mean of three seeds, which differ by about half a decibel."""
    cube, pair = cut(8)
    mixed = [quality(cube, pair, seed, 600) for seed in range(3)]
    plain = [quality(cube, pair, seed, 600, mixing=0) for seed in range(3)]
    assert np.mean(mixed) > np.mean(plain) + 0.5


def test_noise_that_the_blur_has_taken_away_is_put_back():
    """30 dB, ratio 8: a blurred MSI is cleaner than the MSI that the network is applied to."""
    cube, pair = cut(8, snr_db=30)
    noise = torch.full((8,), pair.noise[1] * np.sqrt(1 - (pair.psf**2).sum())).float()
    with_it = [quality(cube, pair, seed, 300, noise) for seed in range(2)]
    without = [quality(cube, pair, seed, 300) for seed in range(2)]
    assert np.mean(with_it) > np.mean(without) + 0.2


def test_what_mixing_rests_on_both_sensors_are_linear():
    """P and S of z + w (z - z') are those of a scene; float64 rounding."""
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 8, 8, 6))
    srf = rng.dirichlet(np.ones(6), 2)
    mixed = one + 0.4 * (one - other)
    for operator in (SpatialOperator(hl.gaussian_psf(4), 4), SpectralOperator(srf)):
        expected = operator.A(one) + 0.4 * (operator.A(one) - operator.A(other))
        np.testing.assert_allclose(operator.A(mixed), expected, atol=1e-14)


class Spy(torch.nn.Module):
    """An encoder that writes down what it is shown."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.shares, self.seen = encoder, encoder.shares, []

    def forward(self, msi):
        self.seen.append(msi.detach().clone())
        return self.encoder(msi)


@pytest.mark.parametrize(("mixing", "form"), [(0.0, "free"), (0.5, "interpretable")])
def test_without_mixing_the_pixels_are_shown_as_they_are(mixing, form):
    torch.manual_seed(0)
    msi, hsi = torch.rand(40, 3), torch.rand(40, 9)
    network = build(msi, hsi, form=form, channels=3)
    network.encoder = Spy(network.encoder)
    learn_phi(network, msi, hsi, 3, run=Run(), mixing=mixing)
    units = network.msi_units
    for shown in network.encoder.seen:
        torch.testing.assert_close(shown * units[1] + units[0], msi)


def test_mixing_moves_both_images_alike_and_never_by_more_than_its_share(monkeypatch):
    """On a pair where the spectrum is twice the MSI value, every shown pixel still is one."""
    torch.manual_seed(0)
    msi = torch.rand(300, 3)
    hsi = 2 * msi
    network = build(msi, hsi)
    network.encoder = Spy(network.encoder)
    targets = []

    def spy(made, wanted):
        targets.append(wanted)
        return (made - wanted).abs().mean()

    monkeypatch.setattr(room, "phi_loss", spy)
    learn_phi(network, msi, hsi, 4, run=Run(), mixing=0.5)
    units = network.msi_units
    beyond = 0.0
    for shown, wanted in zip(network.encoder.seen, targets, strict=True):
        z, y = shown * units[1] + units[0], wanted * network.hsi_units[1]
        torch.testing.assert_close(y, 2 * z, atol=1e-5, rtol=0)  # float32
        assert (z - msi).abs().max() <= 0.5 + 1e-5
        beyond = max(beyond, (z.max() - msi.max()).item())
    assert beyond > 0  # purer than any pixel that is there


def test_of_many_pixels_a_step_sees_some_each_with_its_own_spectrum(monkeypatch):
    torch.manual_seed(0)
    msi = torch.rand(9000, 2)
    network, targets = build(msi, 2 * msi), []
    network.encoder = Spy(network.encoder)

    def spy(made, wanted):
        targets.append(wanted)
        return (made - wanted).abs().mean()

    monkeypatch.setattr(room, "phi_loss", spy)
    learn_phi(network, msi, 2 * msi, 3, run=Run(), mixing=0)
    shown = [s * network.msi_units[1] + network.msi_units[0] for s in network.encoder.seen]
    for z, y in zip(shown, targets, strict=True):
        assert 1000 < len(z) < 9000
        torch.testing.assert_close(y * network.hsi_units[1], 2 * z, atol=1e-5, rtol=0)  # float32
    assert not torch.equal(shown[0], shown[1])


def test_noise_is_added_to_the_msi_alone_with_its_standard_deviation():
    """2000 draws a band: the sd of a sample is off by sd / sqrt(4000), of which 5 are allowed."""
    torch.manual_seed(0)
    msi, hsi = torch.rand(2000, 3), torch.rand(2000, 5)
    network, noise = build(msi, hsi), torch.tensor([0.1, 0.0, 0.02])
    network.encoder = Spy(network.encoder)
    learn_phi(network, msi, hsi, 1, run=Run(), noise=noise, mixing=0)
    added = network.encoder.seen[0] * network.msi_units[1] + network.msi_units[0] - msi
    np.testing.assert_allclose(added.std(0), noise, rtol=5 / 4000**0.5, atol=1e-6)
    assert added.mean(0).abs().max() < 5 * 0.1 / 2000**0.5


def test_the_network_works_in_units_of_each_band():
    """Mean 0 and sd 1 of what it learns from; a band that does not vary is not blown up."""
    torch.manual_seed(0)
    msi, hsi = torch.rand(200, 3) * 5 + 2, torch.rand(200, 6) * 3
    msi[:, 1], hsi[:, 2] = 0.25, 0.5
    network = build(msi, hsi)
    standard = (hsi - network.hsi_units[0]) / network.hsi_units[1]
    torch.testing.assert_close(standard.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    expected = torch.ones(6)
    expected[2] = 0
    torch.testing.assert_close(standard.std(0), expected, atol=1e-3, rtol=0)
    assert network.msi_units[1].min() > 1e-4  # of values near 1
    constant = build(torch.full((9, 2), 0.4), torch.full((9, 3), 0.4))
    assert torch.isfinite(constant(torch.full((9, 2), 0.4))).all()


@pytest.mark.parametrize("form", ["free", "interpretable"])
def test_a_trained_network_explains_what_it_was_shown(form):
    torch.manual_seed(0)
    shares = torch.rand(80, 3) ** 3
    shares /= shares.sum(-1, keepdim=True)
    hsi = shares @ torch.rand(3, 12)
    msi = hsi.reshape(80, 4, 3).mean(-1)
    network = build(msi, hsi, form=form, channels=None if form == "free" else 5)
    with torch.no_grad():
        before = (network(msi) - hsi).abs().mean()
    history = learn_phi(network, msi, hsi, 300, run=Run())
    with torch.no_grad():
        after = (network(msi) - hsi).abs().mean()
    # the interpretable form starts at corners of the cloud, so it starts nearer
    assert after < (0.2 if form == "free" else 0.5) * before
    assert len(history) == 300 and np.isfinite(history).all()


def test_the_interpretable_form_starts_from_a_shade_and_from_corners_of_the_cloud():
    torch.manual_seed(0)
    shares = torch.rand(60, 3) ** 3
    shares /= shares.sum(-1, keepdim=True)
    shares[:3] = torch.eye(3)
    materials = 0.2 + torch.rand(3, 9)
    hsi = shares @ materials
    network = build(hsi[:, :4], hsi, form="interpretable", channels=4)
    assert isinstance(network.decoder, LinearDecoder) and network.encoder.shares
    assert torch.all(network.hsi_units[0] == 0)  # spectra mix from zero: no mean is taken off
    start = network.spectra(torch.eye(4)).detach()
    dark = start.amax(-1) < 0.01
    assert dark.sum() == 1
    corners = start[~dark]
    for spectrum in materials:  # found exactly, up to float32 through a projection
        assert (corners - spectrum).abs().amax(-1).min() < 1e-4
    a = network.abundances(hsi[:, :4])
    torch.testing.assert_close(network.spectra(a), a @ start)  # linear


def test_more_channels_than_dimensions_start_somewhere_too():
    torch.manual_seed(0)
    hsi = torch.rand(20, 3) @ torch.rand(3, 5)
    network = build(hsi[:, :2], hsi, form="interpretable", channels=9)
    assert network.decoder.endmembers.shape == (9, 5)
    learn_phi(network, hsi[:, :2], hsi, 3, run=Run())
    assert torch.isfinite(network(hsi[:, :2])).all()
    flat = torch.full((6, 4), 0.3)
    assert torch.isfinite(build(flat, flat, form="interpretable")(flat)).all()


def test_an_image_is_decoded_in_parts_as_in_one(monkeypatch):
    torch.manual_seed(0)
    network = build(torch.rand(50, 3), torch.rand(50, 9))
    image = np.random.default_rng(0).random((7, 5, 3))
    whole = apply(network, image, CPU)
    monkeypatch.setattr(room, "_AT_ONCE", 4)
    parts = apply(network, image, CPU)
    assert whole[0].shape == (7, 5, 9) and whole[1].shape == (7, 5, 16)
    for one, other in zip(whole, parts, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1e-6)  # float32, another order of sums
    with torch.no_grad():
        pixel = network(torch.from_numpy(image[3, 2]).float()[None])[0]
    np.testing.assert_allclose(whole[0][3, 2], pixel, atol=1e-6)


def test_samples_are_drawn_only_when_asked_for():
    torch.manual_seed(0)
    network, image = build(torch.rand(50, 3), torch.rand(50, 9)), np.ones((4, 4, 3), np.float32)
    plain, again = (apply(network, image, CPU)[0] for _ in range(2))
    np.testing.assert_array_equal(plain, again)
    drawn = apply(network, image, CPU, sample=True)[0]
    assert drawn.std(axis=(0, 1)).min() > 0 and np.ptp(plain[..., 0]) < 1e-6


def test_a_channels_spectrum_is_what_it_decodes_to_alone():
    torch.manual_seed(0)
    network = build(torch.rand(50, 3), torch.rand(50, 9), channels=4)
    abundances = np.zeros((2, 3, 4), np.float32)
    abundances[0, :, 0] = [1, 2, 0]  # active in two pixels: 1.5 on average
    abundances[1, :, 2] = 3
    spectra = channel_spectra(network, abundances)
    amounts = torch.diag(torch.tensor([1.5, 0, 3, 0]))
    with torch.no_grad():
        np.testing.assert_allclose(spectra, network.spectra(amounts), atol=1e-6)
    linear = build(torch.rand(50, 3), torch.rand(50, 9), form="interpretable", channels=4)
    with torch.no_grad():  # shares: the whole of a channel
        expected = linear.decoder.endmembers.relu() * linear.hsi_units[1]
    np.testing.assert_allclose(channel_spectra(linear, abundances), expected, atol=1e-6)


@pytest.mark.parametrize("form", ["published", "", None])
def test_an_unknown_form_is_an_error(form):
    with pytest.raises(InputError, match="one of free, interpretable"):
        build(torch.rand(9, 3), torch.rand(9, 5), form=form)


@pytest.mark.parametrize("channels", [1, 0, -3, 4.0, "4", True])
@pytest.mark.parametrize("form", ["free", "interpretable"])
def test_channels_are_a_whole_number_of_at_least_two(channels, form):
    with pytest.raises(InputError, match="a whole number of at least 2"):
        build(torch.rand(9, 3), torch.rand(9, 5), form=form, channels=channels)


def test_fifty_seeds_give_no_nan():
    """Theta and then phi, 50 steps each, on small random pairs of any brightness."""
    for seed in range(50):
        rng, run = np.random.default_rng(seed), Run(seed=seed)
        cube = 10.0 ** rng.uniform(-3, 4) * rng.random((8, 8, 6)) ** rng.uniform(0.2, 5)
        srf = rng.dirichlet(np.ones(6), 2)
        images = SpatialOperator(hl.gaussian_psf(2), 2).A(cube), SpectralOperator(srf).A(cube)
        pair = hl.ObservedPair(*images, 2, np.arange(6) + 500.0)
        with seeded(run):
            theta = learn_theta(pair, run, size=2 + 2 * (seed % 2), steps=50)
            msi, hsi = low_pixels(pair, theta.psf, CPU)
            form = ("free", "interpretable")[seed // 2 % 2]
            network = build(msi, hsi, form=form, seed=seed)
            history = learn_phi(network, msi, hsi, 50, run=run)
            image, abundances = apply(network, pair.hr_msi, CPU)
        for values in (theta.psf, theta.srf, theta.history, history, image, abundances):
            assert np.isfinite(values).all(), f"seed {seed}"
