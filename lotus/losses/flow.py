"""The loss of networks that predict flows towards the centres of objects."""

from torch import Tensor, nn
from torch.nn import functional as F


class FlowLoss(nn.Module):
    """BCE(p, p*) + 0.5 MSE(v, v*) (Stringer et al., Nature Methods 2021; MEDIAR uses the same).

    Predictions and targets are (B, 3, Y, X): the flow v along Y and along X, times 5, and the
    foreground p, of which the prediction is a logit and the target 0 or 1.

    Example:
        >>> import torch
        >>> from lotus.losses import FlowLoss
        >>> FlowLoss()(torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1))  # ln(2) + 1 / 2
        tensor(1.1931)
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Mean over pixels and images; a scalar."""
        foreground = F.binary_cross_entropy_with_logits(prediction[:, 2], target[:, 2])
        return foreground + 0.5 * F.mse_loss(prediction[:, :2], target[:, :2])
