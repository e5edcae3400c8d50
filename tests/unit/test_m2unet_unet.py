"""The networks of stage 3 against their wiring written out, and what folding proves."""

import pytest
import torch
from torch.nn import functional

from hsisr_lite.m2unet.unet import DualUNet, SingleUNet, fold, sizes

SHAPES = [(16, 12), (15, 13), (9, 10), (5, 4), (4, 4), (11, 6)]


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("features", "parameters"),
    [(16, 81_325), (32, 265_932), (64, 945_226), (128, 3_545_419), (260, 14_135_758)],
)
def test_the_published_numbers_of_parameters(features, parameters):
    assert count(DualUNet(54, 8, features)) == parameters


@pytest.mark.parametrize(("bands", "features"), [(54, 32), (7, 12), (3, 1)])
def test_the_single_network_is_the_main_path_and_five_gates(bands, features):
    p = features
    convolution = lambda inputs, outputs, size: (inputs * size**2 + 1) * outputs  # noqa: E731
    modules = sum(convolution(c, p, 5) + 2 * p for c in (bands, p, p, p + 2, p + 2))
    skips = 2 * (convolution(p, 2, 1) + 2 * 2)
    head = convolution(p, bands, 1)
    assert count(SingleUNet(bands, p)) == modules + skips + head + 5 * p


def randomised(net, seed=0):
    """Every parameter away from its start: shifts at zero would hide a mistake."""
    torch.manual_seed(seed)
    for parameter in net.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.5, 0.4)
    return net


def inputs(shape, bands=7, msi_bands=3, seed=1, dtype=torch.float32):
    torch.manual_seed(seed)
    return (torch.rand(1, channels, *shape, dtype=dtype) for channels in (bands, msi_bands))


def layer(values, weights, name):
    """Convolution, normalisation by the image's own mean and variance, LeakyReLU(0.2)."""
    kernel = weights[f"{name}.0.weight"]
    values = functional.conv2d(
        values, kernel, weights[f"{name}.0.bias"], padding=len(kernel[0, 0]) // 2
    )
    mean = values.mean((2, 3), keepdim=True)
    variance = (values - mean).square().mean((2, 3), keepdim=True)
    values = (values - mean) / (variance + 1e-5).sqrt()
    scale, shift = (weights[f"{name}.1.{part}"][:, None, None] for part in ("weight", "bias"))
    values = scale * values + shift
    return torch.where(values > 0, values, 0.2 * values)


def gated(x, z, weights, name):
    """One CAG: z' = g(z), and f(x) times one number per channel."""
    z = layer(z, weights, f"{name}.z")
    mean = z.mean((2, 3), keepdim=True)
    narrow = functional.conv2d(
        mean, weights[f"{name}.gate.1.weight"], weights[f"{name}.gate.1.bias"]
    )
    wide = functional.conv2d(
        narrow.clamp(min=0), weights[f"{name}.gate.3.weight"], weights[f"{name}.gate.3.bias"]
    )
    return layer(x, weights, f"{name}.x") / (1 + torch.exp(-wide)), z


def wiring(x, z, weights):
    """Section by section: down twice by averages, up twice by enlargement, four skips of 2."""
    rows, cols = x.shape[2:]
    smaller = lambda by: (int(rows / by), int(cols / by))  # noqa: E731
    pooled = functional.adaptive_avg_pool2d
    up = lambda v, size: functional.interpolate(v, size, mode="bilinear")  # noqa: E731
    x1, z1 = gated(x, z, weights, "cag.0")
    x2, z2 = pooled(x1, smaller(2)), pooled(z1, smaller(2))
    x3, z3 = gated(x2, z2, weights, "cag.1")
    x4, z4 = pooled(x3, smaller(4)), pooled(z3, smaller(4))
    x5, z5 = gated(x4, z4, weights, "cag.2")
    x6, z6 = up(x5, smaller(2)), up(z5, smaller(2))
    s1, s3 = layer(x3, weights, "skip_x.1"), layer(z3, weights, "skip_z.1")
    s2, s4 = layer(x1, weights, "skip_x.0"), layer(z1, weights, "skip_z.0")
    x7, z7 = gated(torch.cat([s1, x6], 1), torch.cat([s3, z6], 1), weights, "cag.3")
    x8, z8 = up(x7, (rows, cols)), up(z7, (rows, cols))
    x9, _ = gated(torch.cat([s2, x8], 1), torch.cat([s4, z8], 1), weights, "cag.4")
    return functional.conv2d(x9, weights["head.weight"], weights["head.bias"])


@pytest.mark.parametrize("features", [4, 10, 12])
@pytest.mark.parametrize("shape", [(16, 12), (15, 13), (8, 11), (9, 8)])
def test_the_dual_network_is_its_wiring(shape, features):
    """In float64, so that a swapped skip cannot hide: 1e-10; in float32 1e-4 of values near 1.

    Normalisation divides by spreads that quarter-size images make small, so digits are lost.
    """
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        net = randomised(DualUNet(7, 3, features)).to(dtype)
        x, z = inputs(shape, dtype=dtype)
        with torch.no_grad():
            made, expected = net(x, z), wiring(x, z, net.state_dict())
        assert made.shape == (1, 7, *shape)
        torch.testing.assert_close(made, expected, atol=tolerance, rtol=0)


def test_the_gate_is_a_fifth_as_wide_and_never_empty():
    for features, narrow in ((260, 52), (16, 3), (10, 2), (4, 1), (1, 1)):
        for cag in DualUNet(4, 2, features).cag:
            convolutions = [m for m in cag.gate if isinstance(m, torch.nn.Conv2d)]
            assert [m.out_channels for m in convolutions] == [narrow, features]


@pytest.mark.parametrize("make", [lambda: DualUNet(30, 8, 40), lambda: SingleUNet(30, 40)])
def test_everything_starts_as_published(make):
    """Deviations of n numbers are known to 1 / sqrt(2 n): four times that."""
    torch.manual_seed(3)
    net, spreads = make(), []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert (module.bias == 0).all()
            fan_in, values = module.weight[0].numel(), module.weight
            ratio = values.std().item() / (2 / fan_in) ** 0.5
            assert ratio == pytest.approx(1, abs=4 / (2 * values.numel()) ** 0.5)
        if isinstance(module, torch.nn.BatchNorm2d):
            assert (module.bias == 0).all()
            spreads.append(module.weight.detach())
    spreads = torch.cat(spreads)
    assert spreads.mean().item() == pytest.approx(1, abs=4 * 0.02 / len(spreads) ** 0.5)
    assert spreads.std().item() == pytest.approx(0.02, rel=4 / (2 * len(spreads)) ** 0.5)


def test_learned_gates_start_half_open():
    assert all((torch.sigmoid(gate) == 0.5).all() for gate in SingleUNet(5, 6).gate)


@pytest.mark.parametrize("make", [lambda: DualUNet(7, 3, 10), lambda: SingleUNet(7, 10)])
def test_normalisation_uses_the_image_itself_also_in_evaluation(make):
    net = randomised(make())
    x, z = inputs((12, 12))
    with torch.no_grad():
        before = net(x, z)
        net(3 * x + 1, z)  # leaves no trace
        assert torch.equal(net.eval()(x, z), before)
    assert list(net.buffers()) == []


def fixed_gates(dual, gates):
    """Hooks that put given numbers in the place of what the gates say."""
    return [
        cag.gate.register_forward_hook(lambda module, seen, said, gate=gate: gate)
        for cag, gate in zip(dual.cag, gates, strict=True)
    ]


def test_the_msi_reaches_the_image_through_the_gates_alone():
    dual = randomised(DualUNet(7, 3, 10))
    x, z = inputs((12, 16))
    _, other = inputs((12, 16), seed=7)
    with torch.no_grad():
        assert (dual(x, z) - dual(x, other)).abs().max() > 1e-3
        fixed_gates(dual, [torch.rand(1, 10, 1, 1) for _ in range(5)])
        assert torch.equal(dual(x, z), dual(x, other))


def test_the_last_auxiliary_features_serve_their_gate_alone():
    """z9 goes nowhere else: a gate that is set frees the last module of its auxiliary half."""
    dual = randomised(DualUNet(7, 3, 10))
    x, z = inputs((12, 16))
    fixed_gates(dual, [torch.rand(1, 10, 1, 1) for _ in range(5)])
    dual(x, z).sum().backward()
    grads = {name for name, p in dual.named_parameters() if p.grad is not None}
    assert all(".x." in n or n.startswith(("skip_x", "head")) for n in grads)
    assert len(grads) == 5 * 4 + 2 * 4 + 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_single_network_with_the_same_gates_is_the_dual_one(shape):
    """Bitwise the same operations, but for the order of a product: 1e-5."""
    dual, single = randomised(DualUNet(7, 3, 10)), SingleUNet(7, 10)
    x, z = inputs(shape)
    for own, cag in zip(single.x, dual.cag, strict=True):
        own.load_state_dict(cag.x.state_dict())
    single.skip_x.load_state_dict(dual.skip_x.state_dict())
    single.head.load_state_dict(dual.head.state_dict())
    with torch.no_grad():
        for vector in single.gate:
            vector.normal_(0, 2)
        fixed_gates(dual, [torch.sigmoid(vector) for vector in single.gate])
        torch.testing.assert_close(single(x), dual(x, z), atol=1e-5, rtol=0)
        assert torch.equal(single(x), single(x, z))


@pytest.mark.parametrize("shape", [*SHAPES, (32, 32)])
def test_folding_the_gates_changes_nothing(shape):
    """As it starts: below 1e-5 in float32, and in float64 only rounding, below 1e-12."""
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        torch.manual_seed(4)
        dual = DualUNet(7, 3, 20).to(dtype)
        x, z = inputs(shape, dtype=dtype)
        single = fold(dual, x, z).to(dtype)
        with torch.no_grad():
            assert (single(x) - dual(x, z)).abs().max() < tolerance


def test_folding_a_trained_network_changes_nothing():
    """Also where scales and shifts are far from their start: float64, 1e-12 of values near 10."""
    dual = randomised(DualUNet(7, 3, 20)).double()
    x, z = inputs((15, 13), dtype=torch.float64)
    before = {name: value.clone() for name, value in dual.state_dict().items()}
    single = fold(dual, x, z).double()
    with torch.no_grad():
        made = dual(x, z)
        assert (single(x) - made).abs().max() < 1e-12 * made.abs().max()
        _, other = inputs((15, 13), seed=9, dtype=torch.float64)
        assert (single(x) - dual(x, other)).abs().max() > 1e-3  # gates of one pair
    assert all(torch.equal(value, before[name]) for name, value in dual.state_dict().items())
    assert not any(cag.gate._forward_hooks for cag in dual.cag)


def test_the_folded_network_has_no_auxiliary_and_no_gates_to_learn():
    dual = DualUNet(7, 3, 20)
    single = fold(dual, *inputs((8, 8)))
    main = sum(count(cag.x) for cag in dual.cag) + count(dual.skip_x) + count(dual.head)
    assert sum(p.numel() for p in single.parameters() if p.requires_grad) == main
    with torch.no_grad():
        assert all((torch.sigmoid(gate) == 1).all() for gate in single.gate)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((240, 240), ((240, 240), (120, 120), (60, 60))),
        ((47, 61), ((47, 61), (23, 30), (11, 15))),
        ((3, 2), ((3, 2), (2, 2), (2, 2))),
    ],
)
def test_sides_are_halved_twice_from_the_full_one(shape, expected):
    assert sizes(torch.zeros(1, 1, *shape)) == expected


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (3, 5), (1, 4)])
def test_the_smallest_images_pass_and_have_gradients(shape):
    for net in (DualUNet(4, 2, 6), SingleUNet(4, 6)):
        x, z = inputs(shape, 4, 2)
        made = net(x, z)
        made.square().sum().backward()
        assert made.shape == (1, 4, *shape) and torch.isfinite(made).all()
        assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
