"""What is to be read off frozen features: by neighbours, and by a linear map."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS = 100
"""Most steps of the optimiser; the loss is convex, and it stops where it is flat."""
LEAST_SPREAD = 1e-6
"""Standard deviation below which a dimension says nothing."""


def neighbour_votes(
    known: Tensor,
    labels: Tensor,
    queries: Tensor,
    *,
    classes: int,
    neighbours: int = 20,
    temperature: float = 0.07,
) -> Tensor:
    """What the nearest of the known features say of others.

    Each of the k nearest by cosine similarity s votes for its class with weight exp(s / τ), as in
    Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination (CVPR 2018,
    section 3.4) and in DINO (Caron et al. 2021, section 4.1).

    Args:
        known: (N, D) features of known class, at least one.
        labels: int64 (N,), from 0.
        queries: (Q, D) features.
        classes: Number of classes K.
        neighbours: Number k of those that vote; all of them where there are fewer.
        temperature: The τ of the weights, above 0.

    Returns:
        (Q, K), votes that sum to 1.

    Example:
        >>> import torch
        >>> from lotus.metrics.probes import neighbour_votes
        >>> known = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> query = torch.tensor([[3.0, 1.0]])
        >>> votes = neighbour_votes(known, torch.tensor([0, 1]), query, classes=2, neighbours=1)
        >>> votes.tolist()
        [[1.0, 0.0]]
    """
    similarity = F.normalize(queries, dim=1) @ F.normalize(known, dim=1).T
    nearest = similarity.topk(min(neighbours, len(known)), dim=1)
    # As a softmax, which does not overflow at a small temperature.
    weights = (nearest.values / temperature).softmax(dim=1)
    return (F.one_hot(labels[nearest.indices], classes) * weights[..., None]).sum(dim=1)


@dataclass(frozen=True)
class LinearProbe:
    """A linear map from features to logits.

    Attributes:
        weight: (M·K, D).
        bias: (M·K,).
        shape: What one feature speaks of, and the K classes: (..., K) with M entries before K.
    """

    weight: Tensor
    bias: Tensor
    shape: torch.Size

    def __call__(self, features: Tensor) -> Tensor:
        """Logits (Q, ..., K) of features (Q, D)."""
        return F.linear(features, self.weight, self.bias).view(-1, *self.shape)


def fit_linear_probe(known: Tensor, targets: Tensor, *, penalty: float = 1e-3) -> LinearProbe:
    """Multinomial logistic regression of what is known on frozen features.

    Minimises mean cross-entropy plus penalty · ½‖W‖² by L-BFGS from zero, W for features of mean 0
    and variance 1. That is convex, and nothing in it is random.

    Args:
        known: (N, D) features, at least one.
        targets: (N, ..., K), share of each class in what a feature speaks of; all 0 where nothing
            is known.
        penalty: Weight of the squared weights, above 0.

    Example:
        >>> import torch
        >>> from lotus.metrics.probes import fit_linear_probe
        >>> known = torch.tensor([[-1.0], [1.0]])
        >>> probe = fit_linear_probe(known, torch.eye(2))
        >>> probe(torch.tensor([[-5.0], [3.0]])).argmax(dim=1).tolist()
        [0, 1]
    """
    # Validation runs in inference mode, whose tensors no gradient goes through.
    with torch.inference_mode(False), torch.enable_grad():
        features, shape = known.detach().clone(), targets.shape[1:]
        # Classes first, (K, M, N): a softmax over a last axis of a few classes is slow.
        wanted = targets.detach().clone().view(len(features), -1, shape[-1])
        wanted = wanted.permute(2, 1, 0).contiguous()
        centre = features.mean(dim=0)
        spread = features.std(dim=0, correction=0)
        scale = torch.where(spread > LEAST_SPREAD, 1 / spread, 0.0)
        standard = ((features - centre) * scale).T.contiguous()
        weight = features.new_zeros(shape.numel(), features.shape[1], requires_grad=True)
        bias = features.new_zeros(shape.numel(), 1, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=STEPS,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            optimizer.zero_grad()
            logits = torch.addmm(bias, weight, standard).view(wanted.shape)
            surprise = -(wanted * logits.log_softmax(dim=0)).sum(dim=0).mean()
            value: Tensor = surprise + penalty / 2 * weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        found = weight.detach() * scale
        offset = bias.detach().squeeze(1) - found @ centre
        return LinearProbe(_last(found, shape), _last(offset, shape), shape)


def _last(rows: Tensor, shape: torch.Size) -> Tensor:
    """Rows of (K, M) as rows of (M, K)."""
    by_class = rows.view(shape[-1], -1, *rows.shape[1:])
    return by_class.transpose(0, 1).flatten(0, 1)


def cell_shares(mask: Tensor, cell: int, *, classes: int, ignored: Tensor | None = None) -> Tensor:
    """How much of each square cell every class takes.

    Args:
        mask: int64 (B, Y, X), classes from 0 to K - 1; sides multiples of the cell.
        cell: Side of a cell in pixels.
        classes: Number of classes K.
        ignored: bool (B, Y, X), pixels that are of no class; None without any.

    Returns:
        float32 (B, Y / cell, X / cell, K), shares that sum to the share of pixels that count.

    Example:
        >>> import torch
        >>> from lotus.metrics.probes import cell_shares
        >>> cell_shares(torch.tensor([[[0, 0, 1, 1], [0, 1, 1, 1]]]), 2, classes=2).tolist()
        [[[[0.75, 0.25], [0.0, 1.0]]]]
    """
    each = F.one_hot(mask, classes).movedim(-1, 1).float()
    if ignored is not None:
        each = each * ~ignored[:, None]
    return F.avg_pool2d(each, cell).movedim(1, -1)
