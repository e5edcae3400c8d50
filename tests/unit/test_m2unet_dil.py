"""DIL-Net: the published forward pass, projection and hand-over, each against plain numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import hsisr_lite as hl
from hsisr_lite.budget import Run
from hsisr_lite.m2unet.dil import DILNet, learn_sensors
from hsisr_lite.m2unet.tensors import as_image, as_tensor
from tests.unit.test_classical_methods import boxes, made_pair, pairs_with_a_hole, textured

RUN = Run()


@pytest.fixture
def blind():
    """Sparse bright pixels of noisy spectra: not all numbers of a sensor are pulled one way."""
    rng = np.random.default_rng(0)
    cube = rng.random((24, 16, 1)) ** 3 * rng.uniform(0.2, 0.95, (24, 16, 20))
    pair = made_pair(cube, 4, hl.gaussian_psf(4, phase="pixel"), boxes(3, 20))
    return replace(pair, psf=None, srf=None)


@pytest.mark.parametrize(
    ("bands", "msi_bands", "ratio", "count"), [(54, 8, 12, 576), (20, 3, 4, 76), (5, 1, 1, 6)]
)
def test_it_has_as_many_parameters_as_the_sensors_have_numbers(bands, msi_bands, ratio, count):
    net = DILNet(bands, msi_bands, ratio)
    assert sum(p.numel() for p in net.parameters()) == count == ratio**2 + msi_bands * bands


def test_it_starts_flat():
    net = DILNet(54, 8, 12)
    assert (net.psf == torch.tensor(1 / 144)).all() and (net.srf == torch.tensor(1 / 54)).all()


def forward(lr_hsi, hr_msi, psf, srf, ratio):
    """K1 and K2 of (rows, cols, bands) images: mixes over their sums, blocks times the kernel."""
    k1 = lr_hsi @ srf.T / srf.sum(axis=1)
    rows, cols, msi_bands = hr_msi.shape
    blocks = hr_msi.reshape(rows // ratio, ratio, cols // ratio, ratio, msi_bands)
    k2 = np.einsum("iajbm,ab->ijm", blocks, psf)  # a correlation: nothing is flipped
    return np.clip(k1, 0, 1), np.clip(k2, 0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_both_views_are_those_of_the_formula(seed):
    """Kernels and responses of any sum, and images that leave [0, 1]; float32 sums: 1e-5."""
    rng = np.random.default_rng(seed)
    lr_hsi, hr_msi = rng.uniform(-1, 2, (3, 5, 7)), rng.uniform(-1, 2, (12, 20, 2))
    psf, srf = rng.random((4, 4)) / 6, rng.random((2, 7))
    net = DILNet(7, 2, 4)
    with torch.no_grad():
        net.psf[0, 0] = torch.from_numpy(psf)
        net.srf[:, :, 0, 0] = torch.from_numpy(srf)
        seen = [as_image(view) for view in net(as_tensor(lr_hsi), as_tensor(hr_msi))]
    expected = forward(lr_hsi, hr_msi, psf, srf, 4)
    for own, wanted in zip(seen, expected, strict=True):
        np.testing.assert_allclose(own, wanted, atol=1e-5)
    assert expected[0].min() == 0 and expected[1].max() == 1  # both ends were cut


def test_the_projection_cuts_and_then_divides_by_the_sums():
    net = DILNet(3, 2, 2)
    with torch.no_grad():
        net.psf[0, 0] = torch.tensor([[-1.0, 0.5], [1.5, 0.5]])
        net.srf[:, :, 0, 0] = torch.tensor([[-2.0, 30.0, 10.0], [1.0, 3.0, 0.0]])
    net.project()
    # 1.5 becomes 1, and 30 becomes 10; then sums of 2, 20 and 4
    torch.testing.assert_close(net.psf[0, 0], torch.tensor([[0.0, 0.25], [0.5, 0.25]]))
    wanted = torch.tensor([[0.0, 0.5, 0.5], [0.25, 0.75, 0.0]])
    torch.testing.assert_close(net.srf[:, :, 0, 0], wanted)


def test_a_sensor_of_which_nothing_is_left_is_flat_again():
    """Published, it is 0 / 0: one step of 1e-3 empties a flat kernel of 32 x 32."""
    net = DILNet(3, 2, 2)
    with torch.no_grad():
        net.psf.fill_(-1.0)
        net.srf[0] = -1.0
        net.srf[1, :, 0, 0] = torch.tensor([1.0, 3.0, 0.0])
    net.project()
    assert (net.psf == 0.25).all()
    torch.testing.assert_close(
        net.srf[:, :, 0, 0], torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.25, 0.75, 0.0]])
    )


def test_the_loss_is_the_sum_of_all_disagreements(blind):
    """Before the first step, under flat sensors; float32 sums of 72 numbers: 1e-5."""
    loss = learn_sensors(blind, RUN, steps=1).loss
    k1, k2 = forward(blind.lr_hsi, blind.hr_msi, np.full((4, 4), 1 / 16), np.full((3, 20), 0.05), 4)
    assert loss.shape == (1,) and loss[0] == pytest.approx(np.abs(k1 - k2).sum(), rel=1e-5)


def test_the_first_step_is_adams(blind):
    """Its first step is the rate times the gradient's sign, here by hand; then the projection."""
    lr_hsi, hr_msi = blind.lr_hsi.astype(np.float64), blind.hr_msi.astype(np.float64)
    psf, srf = np.full((4, 4), 1 / 16), np.full((3, 20), 1 / 20)
    k1, k2 = forward(lr_hsi, hr_msi, psf, srf, 4)
    sign = np.sign(k1 - k2)
    blocks = hr_msi.reshape(6, 4, 4, 4, 3)
    of_psf = -np.einsum("ijm,iajbm->ab", sign, blocks)
    # d K1_m / d s_mb = (Y_b - K1_m) / sum(s_m), for the forward pass divides by the sum
    of_srf = np.einsum("ijm,ijb->mb", sign, lr_hsi) - np.einsum("ijm,ijm->m", sign, k1)[:, None]
    assert min(np.abs(of_psf).min(), np.abs(of_srf).min()) > 1e-3  # no sign is left to rounding
    psf, srf = psf - 1e-3 * np.sign(of_psf), srf - 1e-3 * np.sign(of_srf)
    after = []

    def watch(made, net):
        after.append([net.psf.detach().numpy().copy(), net.srf.detach().numpy().copy()])

    learn_sensors(blind, RUN, steps=2, watch=watch)
    np.testing.assert_allclose(after[1][0][0, 0], psf / psf.sum(), atol=1e-7)
    np.testing.assert_allclose(
        after[1][1][:, :, 0, 0], srf / srf.sum(axis=1, keepdims=True), atol=1e-7
    )


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_views_are_from_before_the_last_update_and_sensors_from_after(blind, steps):
    after = []

    def watch(made, net):
        parts = (net.psf[0, 0], net.srf[:, :, 0, 0])
        after.append([part.detach().double().numpy().copy() for part in parts])

    sensors = learn_sensors(blind, RUN, steps, watch=watch)
    assert len(after) == steps + 1 and len(sensors.loss) == steps
    psf, srf = after[-1]
    np.testing.assert_allclose(sensors.psf, psf, atol=1e-6)  # float32 sums
    np.testing.assert_allclose(sensors.srf, srf, atol=1e-6)
    before = forward(blind.lr_hsi, blind.hr_msi, *after[-2], 4)
    last = forward(blind.lr_hsi, blind.hr_msi, *after[-1], 4)
    for view, own, later in zip((sensors.from_hsi, sensors.from_msi), before, last, strict=True):
        np.testing.assert_allclose(view, own, atol=1e-6)  # float32
        assert np.abs(view - later).max() > 1e-5  # the update is visible
    assert sensors.loss[-1] == pytest.approx(np.abs(before[0] - before[1]).sum(), rel=1e-4)


def test_both_sensors_come_out_as_the_package_wants_them(blind):
    sensors = learn_sensors(blind, RUN, steps=30)
    for part, shape in ((sensors.psf, (4, 4)), (sensors.srf, (3, 20))):
        assert part.shape == shape and part.dtype == np.float64 and part.min() >= 0
    assert abs(sensors.psf.sum() - 1) < 1e-14  # float64, divided by its sum
    assert np.abs(sensors.srf.sum(axis=1) - 1).max() < 1e-14
    assert sensors.from_hsi.dtype == sensors.from_msi.dtype == np.float32
    assert sensors.learned == 16 + 60
    assert [note[:11] for note in sensors.notes] == ["PSF unknown", "SRF unknown"]


def test_the_views_come_to_agree(blind):
    """A third is left after 300 steps; 0.02 of it was seen."""
    loss = learn_sensors(blind, RUN, steps=300).loss
    assert loss[-1] < loss[0] / 3


@pytest.mark.parametrize("size", [3, 4, 8])
def test_a_known_psf_is_kept_and_only_responses_are_learned(size):
    psf = hl.gaussian_psf(4, fwhm=5, elongation=1.5, angle=20, size=size)
    pair = replace(made_pair(textured(24, 16, 20), 4, psf, boxes(3, 20)), srf=None)
    sensors = learn_sensors(pair, RUN, steps=20)
    assert sensors.psf is pair.psf and sensors.learned == 60
    np.testing.assert_allclose(sensors.from_msi, pair.low_msi(), atol=1e-6)
    assert [note[:11] for note in sensors.notes] == ["SRF unknown"]
    assert np.abs(sensors.srf - 1 / 20).max() > 1e-3


def test_known_responses_are_kept_and_only_the_psf_is_learned(blind):
    pair = replace(blind, srf=boxes(3, 20))
    sensors = learn_sensors(pair, RUN, steps=20)
    assert sensors.srf is pair.srf and sensors.learned == 16
    np.testing.assert_allclose(sensors.from_hsi, pair.lr_hsi @ pair.srf.T, atol=1e-6)
    assert [note[:11] for note in sensors.notes] == ["PSF unknown"]
    assert np.abs(sensors.psf - 1 / 16).max() > 1e-3


def test_nothing_is_learned_where_both_are_known():
    """The truth's views agree to float32: 1e-6 of each of 72 values."""
    pair = made_pair(textured(24, 16, 20), 4, hl.gaussian_psf(4), boxes(3, 20))
    sensors = learn_sensors(pair, RUN, steps=20)
    assert sensors.psf is pair.psf and sensors.srf is pair.srf
    assert sensors.learned == 0 and sensors.notes == [] and sensors.loss.shape == (1,)
    assert sensors.loss[0] < 72e-6


def test_a_bright_pair_is_divided_by_its_largest_value(blind):
    """Powers of two leave nothing to round, so the same digits come out."""
    bright, brighter = (
        replace(blind, lr_hsi=scale * blind.lr_hsi, hr_msi=scale * blind.hr_msi)
        for scale in (8.0, 4096.0)
    )
    one, other = (learn_sensors(pair, RUN, steps=20) for pair in (bright, brighter))
    np.testing.assert_array_equal(one.psf, other.psf)
    np.testing.assert_array_equal(one.srf, other.srf)
    np.testing.assert_array_equal(512 * one.loss, other.loss)  # in the units of the pair
    np.testing.assert_array_equal(512 * one.from_hsi, other.from_hsi)
    np.testing.assert_array_equal(512 * one.from_msi, other.from_msi)
    assert 1 < one.from_hsi.max() <= bright.lr_hsi.max()  # not cut at one


def test_pixels_without_data_teach_nothing():
    _, _, pairs = pairs_with_a_hole()
    found = [learn_sensors(replace(pair, psf=None, srf=None), RUN, steps=20) for pair in pairs]
    for part in ("psf", "srf", "loss"):
        np.testing.assert_array_equal(getattr(found[0], part), getattr(found[1], part))


def test_only_whole_windows_of_a_known_psf_count():
    """A mean over half a window is another number: with both sensors known nothing else is left."""
    psf = hl.gaussian_psf(4, fwhm=5, size=8)
    cube = np.random.default_rng(0).uniform(0.1, 0.9, (24, 24, 20))
    holes = np.ones((24, 24), bool)
    holes[8:12, 12:16] = False
    pair = replace(made_pair(cube, 4, psf, boxes(3, 20)), hr_valid=holes, lr_valid=holes[::4, ::4])
    assert np.abs(pair.lr_hsi @ pair.srf.T - pair.low_msi())[holes[::4, ::4]].max() > 1e-3
    # 27 pixels or more of 3 bands, to float32: 1e-6 each
    assert learn_sensors(pair, RUN, steps=1).loss[0] < 1e-4
