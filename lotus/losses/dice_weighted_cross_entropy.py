"""Dice plus cross-entropy that weights rare classes up."""

from torch import Tensor, nn
from torch.nn import functional

from lotus.losses.alignment import log_scores


class DiceWeightedCrossEntropy(nn.Module):
    """Dice plus weighted cross-entropy, 1:1, over all classes, background too (UMMKD).

    A class of n of the batch's N pixels weighs 1 - n / N in the cross-entropy. Dice is that of
    V-Net: over the whole batch, with squares in the denominator (Dou et al., IEEE TMI 2020, and
    their released code). One sigmoid logit is read as two classes.

    Example:
        >>> import torch
        >>> from lotus.losses import DiceWeightedCrossEntropy
        >>> loss = DiceWeightedCrossEntropy()
        >>> loss(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0, 1]]]]))  # 1 - 2 / 3 + ln(2) / 2
        tensor(0.6799)
    """

    def __init__(self) -> None:
        from monai.losses import DiceLoss  # MONAI is loaded where a configuration names it.

        super().__init__()
        self.dice = DiceLoss(squared_pred=True, batch=True)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (B, K, Y, X) against classes (B, 1, Y, X), 0 = background.

        Volumes (B, K, Z, Y, X) likewise.
        """
        scores = log_scores(logits, temperature=1.0)
        truth = functional.one_hot(target[:, 0].long(), scores.shape[1]).movedim(-1, 1).float()
        weights = 1 - truth.mean(dim=(0, *range(2, truth.ndim)), keepdim=True)
        entropy = -(weights * truth * scores).sum(dim=1).mean()
        loss: Tensor = self.dice(scores.exp(), truth) + entropy
        return loss
