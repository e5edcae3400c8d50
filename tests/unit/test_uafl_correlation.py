"""The correlation volume: what it must find where features say it plainly."""

import pytest
import torch

from hsisr_lite.uafl.cfda import CFDA
from hsisr_lite.uafl.correlation import CorrelationCFDA


def rough(seed, channels=8, size=32):
    """Features with structure of a few pixels, (1, channels, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, channels, size // 2, size // 2, generator=generator)
    return torch.nn.functional.interpolate(noise, scale_factor=2, mode="bilinear")


def same_embeddings(align):
    """Both features compared as they are: embeddings that copy the channels."""
    with torch.no_grad():
        for layer in (align.of_reference, align.of_features):
            layer.weight.zero_()
            layer.bias.zero_()
            for channel in range(8):
                layer.weight[channel, channel, 3, 3] = 1
        align.sharpness.fill_(4.0)
    return align


@pytest.mark.parametrize(("right", "down"), [(0, 0), (4, 0), (0, -6), (-8, 2)])
def test_a_shift_is_read_from_the_volume(right, down):
    """What belongs at p lies at p + (right, down) of the reference: the flow says so.

    Even shifts are whole pixels of the volume, so only the softmax's tail separates them: 0.1.
    """
    features = rough(0)
    reference = features.roll((down, right), dims=(2, 3))
    flow = same_embeddings(CorrelationCFDA(8)).coarse_flow(reference, features)
    inner = flow[..., 12:-12, 12:-12].detach()
    assert (inner[:, 0] - right).abs().max() < 0.1
    assert (inner[:, 1] - down).abs().max() < 0.1


def test_the_published_coarse_flow_cannot_tell_two_shifts_apart():
    """CFDA's is linear in both features: the flow of a sum is the sum of the flows.

    So a feature and its shifted copy contribute each by itself, whatever the other is.
    """
    torch.manual_seed(0)
    align = CFDA(8)
    torch.nn.init.normal_(align.coarse.weight)
    f, g, none = rough(1), rough(2), torch.zeros(1, 8, 32, 32)
    both = align.coarse_flow(g, f)
    assert torch.allclose(both, align.coarse_flow(g, none) + align.coarse_flow(none, f), atol=1e-4)


def test_the_matching_loss_is_least_at_the_true_flow():
    """Of the flows tried, the one that moved the reference."""
    features = rough(3)
    reference = features.roll((-2, 4), dims=(2, 3))
    align = same_embeddings(CorrelationCFDA(8))

    def loss(right, down):
        flow = torch.tensor([float(right), float(down)]).reshape(1, 2, 1, 1).expand(1, 2, 32, 32)
        return align.matching_loss(reference, features, flow).item()

    tried = {(r, d): loss(r, d) for r in range(-8, 9, 2) for d in range(-8, 9, 2)}
    assert min(tried, key=tried.get) == (4, -2)


def test_the_shares_of_a_fraction_are_bilinear():
    """Between two displacements the loss of the volume is their mean, weighted by nearness."""
    align = CorrelationCFDA(8)
    features, reference = rough(4), rough(5)

    def vote(right):
        flow = torch.tensor([right, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 32, 32)
        found, _ = align._matched(reference, features)
        distance = (found - flow).square().sum(1).add(1e-12).sqrt().mean()
        return (align.matching_loss(reference, features, flow) - 0.3 * distance).item()

    # 2 pixels are one step of the volume: 0.5 pixels lie a quarter of the way; float32 sums
    assert vote(0.5) == pytest.approx(0.75 * vote(0.0) + 0.25 * vote(2.0), abs=1e-5)


def test_neither_loss_reaches_what_the_other_teaches():
    """The image loss leaves A, B and s alone; the matching loss leaves the features alone."""
    align = CorrelationCFDA(8)
    torch.nn.init.normal_(align.finer.weight, std=0.1)
    reference, features = rough(6).requires_grad_(), rough(7).requires_grad_()
    align(reference, features).sum().backward()
    for part in (align.of_reference.weight, align.of_features.weight, align.sharpness):
        assert part.grad is None
    assert reference.grad.abs().sum() > 0
    reference.grad = features.grad = None
    align.matching_loss(reference, features, torch.zeros(1, 2, 32, 32)).backward()
    assert align.of_reference.weight.grad.abs().sum() > 0
    assert align.finer.weight.grad[:2].abs().sum() > 0
    assert reference.grad is None
    assert features.grad is None


def test_each_image_of_a_batch_is_matched_by_itself():
    """Two at once are as two alone; float32 convolutions may sum in another order."""
    align = CorrelationCFDA(8)
    g, f = torch.cat([rough(8), rough(9)]), torch.cat([rough(10), rough(11)])
    together = align.coarse_flow(g, f)
    alone = torch.cat([align.coarse_flow(g[i : i + 1], f[i : i + 1]) for i in range(2)])
    assert (together - alone).abs().max() < 1e-4
