r"""CFDA with a correlation volume: an extension of ours, for what the published module cannot do.

The coarse flow of CFDA is one convolution of both features side by side. A convolution adds; it
never compares the reference's features at one place with the abundances' at another, so it can
learn how far things are usually displaced, and not how far they are here. Here every displacement
within reach is tried, and the features say which one fits.
"""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from hsisr_lite.uafl.cfda import CFDA, warp

_REACH = 5  # pixels of half the size, in each direction
_WINDOW = 4.5  # pixels of half the size: standard deviation of the window that votes together
_CHANNELS = 16  # of the embeddings that are compared
_SHARPNESS = 2.0  # logarithm, where it starts


class CorrelationCFDA(CFDA):
    r"""CFDA whose coarse flow is found by comparing features, displacement by displacement.

    .. math:: c_d(p) &= w * \lVert a(p) - b(p + d) \rVert^2, \qquad
              a = A({\downarrow} f), \quad b = B({\downarrow} g) \\
              \pi_d(p) &= \operatorname{softmax}_d \bigl( -e^s\, c_d(p) / \bar c(p) \bigr), \qquad
              C(p) = {\uparrow}\, 2 \textstyle\sum_d \pi_d(p)\, d

    A and B are single convolutions, w is a Gaussian window, :math:`\bar c` the mean over all
    displacements, s a number that is learned; the volume is that of [dosovitskiy2015]_, its softmax
    that of [kendall2017]_.

    The loss of the image does not reach the flow, nor does the flow's reach the features: A, B, s
    and the finer flow learn from :meth:`matching_loss` alone, which needs flows that are known, as
    those of synthetic crops are.

    Parameters
    ----------
    width : int
        Channels of f and of g, a multiple of 8.
    swapped_flow : bool
        See :class:`~hsisr_lite.uafl.cfda.CFDA`.

    Examples
    --------
    >>> align = CorrelationCFDA(8)
    >>> reference, features = torch.rand(2, 8, 16, 16), torch.rand(2, 8, 16, 16)
    >>> align(reference, features).shape
    torch.Size([2, 8, 16, 16])
    >>> probabilities = align.log_probabilities(reference, features).exp()
    >>> probabilities.shape, torch.allclose(probabilities.sum(dim=1), torch.ones(2, 8, 8))
    (torch.Size([2, 121, 8, 8]), True)
    """

    def __init__(self, width, *, swapped_flow=False):
        super().__init__(width, swapped_flow=swapped_flow)
        del self.coarse
        self.of_reference = nn.Conv2d(width, _CHANNELS, 7, padding=3)
        self.of_features = nn.Conv2d(width, _CHANNELS, 7, padding=3)
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))

    def log_probabilities(self, reference, features):
        """log pi, (batch, 11 * 11, rows / 2, cols / 2): displacements row by row, up left first."""
        a = self.of_features(avg_pool2d(features.detach(), 2))
        b = self.of_reference(avg_pool2d(reference.detach(), 2))
        rows, cols = a.shape[2:]
        wide, side = pad(b, (_REACH,) * 4, mode="replicate"), 2 * _REACH + 1
        # |a(p) - b(p + d)|^2
        costs = torch.stack(
            [
                (a - wide[:, :, down : down + rows, right : right + cols]).square().mean(dim=1)
                for down in range(side)
                for right in range(side)
            ],
            dim=1,
        )
        costs = _voted(costs)
        # pi = softmax(-e^s c / mean c)
        mean = costs.mean(dim=1, keepdim=True).clamp(min=1e-6)
        return torch.log_softmax(-self.sharpness.exp() * costs / mean, dim=1)

    def coarse_flow(self, reference, features):
        """C, (batch, 2, rows, cols): seen at half the size, in pixels of the full one."""
        probabilities = self.log_probabilities(reference, features).exp()
        # C = up 2 sum_d pi_d d
        flow = torch.einsum("ndij,dc->ncij", probabilities, _displacements(features))
        return interpolate(2 * flow, size=features.shape[2:], mode="bilinear", align_corners=False)

    def flow_and_similarity(self, reference, features):
        """F, (batch, 2, rows, cols), out of the image loss's reach, and S."""
        flow, logit = self._matched(reference, features)
        return flow.detach(), torch.sigmoid(logit)

    def matching_loss(self, reference, features, flow):
        r"""How badly the volume and the flow tell a flow that is known.

        .. math:: -\overline{\textstyle\sum_d u_d \log \pi_d}
                  + \tfrac{3}{10}\, \overline{\lVert F - F^* \rVert}

        with :math:`u_d` the bilinear shares of the four displacements around the true one.

        Parameters
        ----------
        reference, features : (batch, width, rows, cols) tensors
        flow : (batch, 2, rows, cols) tensor
            :math:`F^*`, right and down, in pixels of this level.

        Returns
        -------
        loss : scalar tensor
        """
        logs = self.log_probabilities(reference, features)
        # Where the true displacement lies among the volume's, from 0 to 10 in both directions
        at = (avg_pool2d(flow, 2) / 2).clamp(-_REACH, _REACH - 1e-3) + _REACH
        whole, part = at.floor().long(), at - at.floor()
        vote = 0
        for right in (0, 1):
            for down in (0, 1):
                share = (part[:, 0] if right else 1 - part[:, 0]) * (
                    part[:, 1] if down else 1 - part[:, 1]
                )
                index = (whole[:, 1] + down) * (2 * _REACH + 1) + whole[:, 0] + right
                vote = vote + share * logs.gather(1, index[:, None])[:, 0]
        found, _ = self._matched(reference, features)
        return -vote.mean() + 0.3 * (found - flow).square().sum(dim=1).add(1e-12).sqrt().mean()

    def _matched(self, reference, features):
        """F, and the logit of S; only the logit's gradient goes back to the features."""
        flow = self.coarse_flow(reference, features)
        apart = torch.cat([warp(reference.detach(), flow), features.detach()], dim=1)
        together = torch.cat([warp(reference, flow.detach()), features], dim=1)
        return flow + self.finer(apart)[:, :2], self.finer(together)[:, 2:]


def _voted(costs):
    """Costs (batch, displacements, rows, cols) summed under a Gaussian window."""
    reach = int(2 * _WINDOW)
    at = torch.arange(-reach, reach + 1, dtype=costs.dtype, device=costs.device)
    weights = torch.exp(-0.5 * (at / _WINDOW) ** 2)
    weights = (weights / weights.sum()).reshape(1, 1, 1, -1)  # (1, 1, 1, taps)
    images = costs.flatten(0, 1)[:, None]  # (batch * displacements, 1, rows, cols)
    images = pad(images, (reach,) * 4, mode="replicate")
    return conv2d(conv2d(images, weights), weights.mT)[:, 0].unflatten(0, costs.shape[:2])


def _displacements(like):
    """(121, 2): right and down, in the order of the volume."""
    steps = torch.arange(-_REACH, _REACH + 1, dtype=like.dtype, device=like.device)
    down, right = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([right.flatten(), down.flatten()], dim=1)
