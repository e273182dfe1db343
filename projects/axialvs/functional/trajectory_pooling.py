"""The second step of trajectory attention (Eq. 3-4) and its gradients, on a CPU and by hand.

Two forms: `Absorbed` moves the key projection to the query and the value projection behind the
sum over frames; `Pair`, for two frames, projects the difference of the two points. Letters: s
tokens at work, T frames, C channels in h heads of d.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from axialvs.functional.trajectory_steps import TrajectoryProjections

# Tokens whose h queries of C channels lie side by side in the backward pass.
_TOKENS_AT_ONCE = 120


class Gradients(NamedTuple):
    """Gradients of the projections, added to piece by piece."""

    query_weight: Tensor  # (C, C)
    query_bias: Tensor  # (C,)
    key_value_weight: Tensor  # (2C, C)
    value_bias: Tensor  # (C,); of the key bias it is 0: the bias cancels in the softmax

    @classmethod
    def zeros(cls, projections: TrajectoryProjections) -> 'Gradients':
        """None yet."""
        weight, both = projections.query_weight, projections.key_value_weight
        channels = len(weight)
        return cls(
            weight.new_zeros(weight.shape),
            weight.new_zeros(channels),
            both.new_zeros(both.shape),
            both.new_zeros(channels),
        )


class _Pooling:
    """What both forms share.

    Args:
        projections: weights of Eq. 3.
        num_heads: h.
        scale: factor on the scores.
    """

    def __init__(self, projections: TrajectoryProjections, num_heads: int, scale: float) -> None:
        self.num_heads, self.scale = num_heads, scale
        self.query_weight, self.query_bias = projections.query_weight, projections.query_bias
        self.both = projections.key_value_weight.contiguous()
        self.key_weight, self.value_weight = self.both.chunk(2)
        bias = projections.key_value_bias
        self.value_bias = None if bias is None else bias.chunk(2)[1]

    def project_query(self, own: Tensor) -> Tensor:
        """Scaled second query (s, C) of each token's point in its own frame (s, C)."""
        return F.linear(own, self.query_weight, self.query_bias).mul_(self.scale)

    def own_backward(self, own: Tensor, grad_query: Tensor, gradients: Gradients) -> Tensor:
        """Gradient (s, C) of a token's own point through its second query (s, C), overwritten."""
        grad_query *= self.scale
        gradients.query_weight.addmm_(grad_query.t(), own)
        gradients.query_bias.add_(grad_query.sum(0))
        return grad_query @ self.query_weight


class Absorbed(_Pooling):
    """Any number of frames."""

    def forward(self, points: Tensor, own: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Pools.

        Args:
            points: (s, T, C).
            own: those in the tokens' own frames, (s, C).

        Returns:
            (s, C), and what `backward` wants to be kept: (s, C) and (s, h, T).
        """
        channels = points.shape[-1]
        key_weight = self.key_weight.view(self.num_heads, -1, channels)
        value_weight = self.value_weight.view(self.num_heads, -1, channels)
        query = self.project_query(own)
        absorbed = torch.bmm(self._heads(query), key_weight).transpose(0, 1)  # s, h, C
        weights = torch.bmm(absorbed, points.transpose(1, 2)).softmax(-1)  # s, h, T
        pooled = torch.bmm(weights, points).transpose(0, 1)  # h, s, C
        out = torch.bmm(pooled, value_weight.transpose(1, 2)).transpose(0, 1).flatten(1)
        if self.value_bias is not None:
            out += self.value_bias
        return out, (query, weights)

    def backward(
        self,
        points: Tensor,
        own: Tensor,
        kept: tuple[Tensor, ...],
        grad_out: Tensor,
        gradients: Gradients,
    ) -> tuple[Tensor, Tensor]:
        """Gradients (s, T, C) of points and (s, C) of own; adds those of the projections."""
        grad_points, grad_own = torch.empty_like(points), torch.empty_like(own)
        for start in range(0, len(points), _TOKENS_AT_ONCE):
            some = slice(start, start + _TOKENS_AT_ONCE)
            grad_query = self._points_backward(
                points[some], [x[some] for x in kept], grad_out[some], gradients, grad_points[some]
            )
            grad_own[some] = self.own_backward(own[some], grad_query, gradients)
        gradients.value_bias.add_(grad_out.sum(0))
        return grad_points, grad_own

    def _points_backward(
        self,
        points: Tensor,
        kept: list[Tensor],
        grad_out: Tensor,
        gradients: Gradients,
        grad_points: Tensor,
    ) -> Tensor:
        """Writes the gradient of points; returns that of the second query (s, C).

        A key is used by its score, a value by its weight: the two are alike, and each product
        does both, keys in the first h rows and values in the last.
        """
        heads, channels = self.num_heads, points.shape[-1]
        query, weights = kept
        both = self.both.view(2 * heads, -1, channels)
        sides = torch.cat((query, grad_out), 1).unflatten(1, (2 * heads, -1))  # s, 2h, d
        # queries in the space of the points, and gradients of the pooled points
        lifted = torch.bmm(sides.transpose(0, 1), both).transpose(0, 1)  # s, 2h, C
        grad_weights = torch.bmm(lifted[:, heads:], points.transpose(1, 2))  # s, h, T
        mean = (grad_weights * weights).sum(-1, keepdim=True)
        grad_scores = grad_weights.sub_(mean).mul_(weights)
        factors = torch.cat((grad_scores, weights), 1)  # s, 2h, T
        torch.bmm(factors.transpose(1, 2), lifted, out=grad_points)
        del lifted
        # gradients of the absorbed queries, and pooled points
        sums = torch.bmm(factors, points).transpose(0, 1)  # 2h, s, C
        gradients.key_value_weight.view_as(both).baddbmm_(sides.permute(1, 2, 0), sums)
        grad_query = torch.bmm(sums[:heads], both[:heads].transpose(1, 2))  # h, s, d
        return grad_query.transpose(0, 1).flatten(1)

    def _heads(self, x: Tensor) -> Tensor:
        """(s, C) -> (h, s, d)."""
        return x.unflatten(1, (self.num_heads, -1)).transpose(0, 1)


class Pair(_Pooling):
    """Two frames: a softmax over two scores needs their difference only.

    Measured: here the small products of `Absorbed` cost more than they spare.
    """

    def forward(self, points: Tensor, own: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As in `Absorbed`; kept are (s, C) and (s, h, 1)."""
        first = points[:, 0]
        change = points[:, 1] - first
        query, key_change = self.project_query(own), change @ self.key_weight.t()
        weights = self._dot(query, key_change).sigmoid_()
        out = F.linear(first, self.value_weight, self.value_bias)
        value_change = change @ self.value_weight.t()
        self._heads(out).addcmul_(self._heads(value_change), weights)
        return out, (query, weights)

    def backward(
        self,
        points: Tensor,
        own: Tensor,
        kept: tuple[Tensor, ...],
        grad_out: Tensor,
        gradients: Gradients,
    ) -> tuple[Tensor, Tensor]:
        """As in `Absorbed`."""
        query, weights = kept
        first = points[:, 0]
        change = points[:, 1] - first
        key_change, value_change = (change @ self.both.t()).chunk(2, 1)
        grad_score = self._dot(grad_out, value_change).mul_(weights).mul_(1 - weights)
        torch.mul(self._heads(key_change), grad_score, out=self._heads(value_change))
        grad_own = self.own_backward(own, value_change, gradients)  # it holds that of the query
        grad_changes = torch.cat((query, grad_out), 1)  # of keys and values
        by_head = grad_changes.unflatten(1, (2, self.num_heads, -1))
        by_head.mul_(torch.stack((grad_score, weights), 1))
        gradients.key_value_weight.addmm_(grad_changes.t(), change)
        gradients.key_value_weight.chunk(2)[1].addmm_(grad_out.t(), first)
        gradients.value_bias.add_(grad_out.sum(0))
        del change, key_change, value_change
        grad_points = torch.empty_like(points)
        torch.mm(grad_changes, self.both, out=grad_points[:, 1])
        torch.mm(grad_out, self.value_weight, out=grad_points[:, 0])
        grad_points[:, 0] -= grad_points[:, 1]
        return grad_points, grad_own

    def _dot(self, first: Tensor, second: Tensor) -> Tensor:
        """Products (s, h, 1) of the heads of two (s, C)."""
        return (self._heads(first) * self._heads(second)).sum(-1, keepdim=True)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.num_heads, -1))


def pooling(
    projections: TrajectoryProjections, num_frames: int, num_heads: int, scale: float
) -> Absorbed | Pair:
    """The form that was measured to be the faster one."""
    form = Pair if num_frames == 2 else Absorbed
    return form(projections, num_heads, scale)
