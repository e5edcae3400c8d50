"""SML-Net: its modules against the written-out formula, its counts, its starts, its training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.baselines.regression import regression
from hsisr_lite.budget import Run
from hsisr_lite.fitting import seeded
from hsisr_lite.m2unet import iie
from hsisr_lite.m2unet.convex import solve_sensors
from hsisr_lite.m2unet.dil import Sensors
from hsisr_lite.m2unet.iie import CIE, SMLNet, affine_start, learn_spectra
from hsisr_lite.metrics import psnr
from tests.unit.test_classical_methods import boxes, made_pair, pairs_with_a_hole, textured

RUN = Run()


@pytest.fixture
def pair():
    return made_pair(0.3 * textured(24, 16, 20), 4, hl.gaussian_psf(4), boxes(3, 20))


def seen(pair):
    """What stage 1 would hand on, and views that are not the same."""
    low = pair.low_msi()
    return Sensors(pair.psf, pair.srf, low, 0.9 * low + 0.02, np.zeros(1), 0, [])


def leaky(values):
    return np.where(values > 0, values, 0.2 * values)


def convolutions(module):
    """Weights (outputs, inputs) and biases of all convolutions, in the order of their use."""
    found = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    return [(m.weight[:, :, 0, 0].detach().numpy(), m.bias.detach().numpy()) for m in found]


def cie(x, layers):
    """The formula, on (pixels, channels); layers f0, f1, f2, f3, f4."""
    f0, f1, f2, f3, f4 = (lambda v, w=w, b=b: leaky(v @ w.T + b) for w, b in layers)
    a = f0(x)
    m1 = f1(a[:, :20])
    m2 = f2(a[:, 20:40] + m1)
    m3 = f3(a[:, 40:] + m2)
    return f4(a + np.concatenate([m1, m2, m3], axis=1))


def with_biases(module):
    """Biases start at zero; any others are as good for a formula."""
    for parameter in module.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0, 0.3)
    return module


def as_pixels(tensor):
    return tensor[0].flatten(1).T.detach().numpy()


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 16), (3, 6), (1, 2)])
def test_a_module_is_its_formula(inputs, outputs):
    """Float32 sums of up to 60 products: 1e-5."""
    torch.manual_seed(0)
    module = with_biases(CIE(inputs, outputs))
    x = torch.randn(1, inputs, 3, 4)
    layers = convolutions(module)
    assert [w.shape for w, _ in layers] == [
        (60, inputs), (20, 20), (20, 20), (20, 20), (outputs, 60),
    ]  # fmt: skip
    np.testing.assert_allclose(as_pixels(module(x)), cie(as_pixels(x), layers), atol=1e-5)


@pytest.mark.parametrize(
    ("bands", "msi_bands", "modules"),
    [(46, 8, 2), (54, 8, 2), (64, 8, 3), (78, 8, 3), (110, 8, 3), (191, 8, 4),
     (16, 8, 1), (15, 8, 0), (8, 8, 0), (5, 8, 0), (99, 1, 6)],
)  # fmt: skip
def test_the_channels_double_as_often_as_they_can(bands, msi_bands, modules):
    net = SMLNet(bands, msi_bands)
    for stream in (net.stream1, net.stream2):
        found = [part for part in stream if isinstance(part, CIE)]
        assert len(found) == modules
        for i, module in enumerate(found):
            shapes = [w.shape for w, _ in convolutions(module)]
            assert shapes[0][1] == msi_bands * 2**i and shapes[-1][0] == msi_bands * 2 ** (i + 1)
        assert convolutions(stream)[-1][0].shape == (bands, msi_bands * 2**modules)
    assert net(*torch.rand(2, 1, msi_bands, 2, 3))[1].shape == (1, bands, 2, 3)


@pytest.mark.parametrize(("bands", "msi_bands"), [(54, 8), (20, 3), (5, 4)])
def test_both_streams_are_modules_and_a_last_layer_each_on_its_own_view(bands, msi_bands):
    """Float32 through up to eleven layers: 1e-4 of values of a few units."""
    torch.manual_seed(1)
    net = with_biases(SMLNet(bands, msi_bands))
    views = torch.rand(2, 1, msi_bands, 3, 4)
    for view, stream, made in zip(views, (net.stream1, net.stream2), net(*views), strict=True):
        layers, x = convolutions(stream), as_pixels(view)
        for first in range(0, len(layers) - 1, 5):
            x = cie(x, layers[first : first + 5])
        expected = leaky(x @ layers[-1][0].T + layers[-1][1])  # slightly below zero is possible
        np.testing.assert_allclose(as_pixels(made), expected, atol=1e-4)
    assert not torch.equal(*(convolution_weights(s) for s in (net.stream1, net.stream2)))


def convolution_weights(stream):
    return torch.cat([torch.from_numpy(w.copy()).flatten() for w, _ in convolutions(stream)])


def test_the_published_number_of_parameters():
    assert sum(p.numel() for p in SMLNet(54, 8).parameters()) == 17580


@pytest.mark.parametrize(("bands", "msi_bands"), [(191, 8), (20, 3), (8, 8)])
def test_the_number_of_parameters_in_closed_form(bands, msi_bands):
    count, width = 0, msi_bands
    while 2 * width <= bands:
        count += 60 * width + 60 + 3 * (20 * 20 + 20) + 60 * 2 * width + 2 * width
        width *= 2
    count += width * bands + bands
    assert sum(p.numel() for p in SMLNet(bands, msi_bands).parameters()) == 2 * count


def test_weights_start_at_the_deviation_of_their_fan_in_and_biases_at_zero():
    """sqrt(2 / fan-in). The deviation of n numbers is known to 1 / sqrt(2 n): four times that."""
    torch.manual_seed(2)
    by_fan_in = {}
    for _ in range(30):
        for weights, biases in convolutions(SMLNet(54, 8)):
            by_fan_in.setdefault(weights.shape[1], []).append(weights.ravel())
            assert (biases == 0).all()
    assert sorted(by_fan_in) == [8, 16, 20, 32, 60]
    for fan_in, parts in by_fan_in.items():
        values = np.concatenate(parts)
        tolerance = 4 / np.sqrt(2 * values.size)
        assert values.std() == pytest.approx(np.sqrt(2 / fan_in), rel=tolerance)
        assert abs(values.mean()) < 4 * values.std() / np.sqrt(values.size)


def test_the_average_is_half_of_each_stream():
    net, z = SMLNet(20, 3), torch.rand(1, 3, 4, 5)
    made = net.average(z)
    torch.testing.assert_close(made, (net.stream1(z) + net.stream2(z)) / 2)
    assert not made.requires_grad


def test_each_stream_learns_from_its_own_view_and_means_are_added(pair):
    """mean |f1(K1) - Y| + mean |f2(K2) - Y|, before the first step; float32 means: 1e-6."""
    sensors, losses = seen(pair), []

    def watch(made, net):
        with torch.no_grad():
            views = [torch.from_numpy(v).permute(2, 0, 1)[None]
                     for v in (sensors.from_hsi, sensors.from_msi)]  # fmt: skip
            made = [as_pixels(each) for each in net(*views)]
        losses.append(sum(np.abs(each - pair.lr_hsi.reshape(-1, 20)).mean() for each in made))

    with seeded(RUN):
        first = learn_spectra(pair, sensors, RUN, 3, watch=watch)
    np.testing.assert_allclose(first.loss, losses[:3], rtol=1e-5)
    assert first.loss.shape == (3,)


def test_both_streams_see_the_msi_in_the_end(pair):
    """X_input of the last step, and the same of the first network; float32: 1e-5."""
    images = []

    def watch(made, net):
        z = torch.from_numpy(pair.hr_msi).permute(2, 0, 1)[None]
        images.append(net.average(z)[0].permute(1, 2, 0).numpy())

    with seeded(RUN):
        first = learn_spectra(pair, seen(pair), RUN, 5, watch=watch)
    assert len(images) == 6
    np.testing.assert_allclose(first.before, images[0], atol=1e-5)
    np.testing.assert_allclose(first.image, images[-1], atol=1e-5)
    assert np.abs(first.image - images[-2]).max() > 1e-4
    assert first.image.shape == (24, 16, 20) and first.image.dtype == np.float32
    assert first.learned == sum(p.numel() for p in SMLNet(20, 3).parameters())
    assert first.notes == ["First image by SML-Net, the mean of its two streams."]


def test_it_learns_the_spectra_of_the_embedded_scene():
    """From noise to within 25 dB; 33 was seen."""
    scene = hl.load_scene("synthetic")
    scene = hl.Scene("part", scene.cube[:48, :48], scene.wavelengths)
    pair = hl.simulate(scene, ratio=4)
    with seeded(RUN):
        first = learn_spectra(pair, solve_sensors(pair), RUN, 300, fused=True)
    assert psnr(scene.cube, first.before) < 10 and psnr(scene.cube, first.image) > 25
    assert first.loss[-1] < first.loss[0] / 20


@pytest.mark.parametrize("at_once", [1, 7, 383])
def test_an_image_is_the_same_in_parts(monkeypatch, pair, at_once):
    """Every layer looks at one pixel; float32 sums in another order: 1e-5."""
    found = []
    for most in (65536, at_once):
        monkeypatch.setattr(iie, "_AT_ONCE", most)
        with seeded(RUN):
            found.append(learn_spectra(pair, seen(pair), RUN, 2).image)
    np.testing.assert_allclose(*found, atol=1e-5)


def test_no_pixel_sees_its_neighbours(pair):
    """The image of a shuffled MSI is the shuffled image; the low-resolution views are the same."""
    order = np.random.default_rng(0).permutation(24 * 16)
    shuffled = replace(pair, hr_msi=pair.hr_msi.reshape(-1, 3)[order].reshape(24, 16, 3))
    found = []
    for each in (pair, shuffled):
        with seeded(RUN):
            found.append(learn_spectra(each, seen(pair), RUN, 3).image.reshape(-1, 20))
    np.testing.assert_allclose(found[0][order], found[1], atol=1e-6)  # float32


def test_a_bright_pair_is_divided_by_its_largest_value(pair):
    """Powers of two leave nothing to round."""
    found = []
    for scale in (8.0, 4096.0):
        bright = replace(pair, lr_hsi=scale * pair.lr_hsi, hr_msi=scale * pair.hr_msi)
        with seeded(RUN):
            found.append(learn_spectra(bright, seen(bright)._replace(
                from_msi=scale * seen(pair).from_msi), RUN, 3))  # fmt: skip
    for name in ("image", "before"):
        np.testing.assert_array_equal(512 * getattr(found[0], name), getattr(found[1], name))
    np.testing.assert_array_equal(512 * found[0].loss, found[1].loss)  # in the pair's units


@pytest.mark.parametrize("first_image", ["sml", "affine"])
def test_pixels_without_data_teach_nothing(first_image):
    _, _, pairs = pairs_with_a_hole()
    found = []
    for each in pairs:
        with seeded(RUN):
            if first_image == "sml":
                found.append(learn_spectra(each, seen(each), RUN, 3).image)
            else:
                found.append(affine_start(each, seen(each), RUN).image)
    holes = pairs[0].hr_valid
    np.testing.assert_array_equal(found[0][holes], found[1][holes])


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_the_affine_start_is_the_regression_under_the_same_psf(noise):
    pair = made_pair(textured(24, 16, 20), 4, hl.gaussian_psf(4), boxes(3, 20), noise)
    psf = hl.gaussian_psf(4, fwhm=3, phase="pixel")
    first = affine_start(replace(pair, psf=None), seen(pair)._replace(psf=psf), RUN)
    expected = regression(replace(pair, psf=psf), RUN)
    np.testing.assert_array_equal(first.image, expected.hr_hsi)
    assert first.learned == expected.parameters == 3 * 20 + 20
    assert first.loss.size == 0
    assert first.notes == ["First image by an affine regression, not by SML-Net.", *expected.notes]
    assert first.before.shape == first.image.shape
    mean = pair.lr_hsi.reshape(-1, 20).mean(axis=0)
    np.testing.assert_allclose(first.before, np.tile(mean, (24, 16, 1)), rtol=1e-5)  # float32
