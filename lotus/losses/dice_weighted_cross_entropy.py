"""Dice plus cross-entropy that weights rare classes up."""

from monai.losses import DiceLoss
from monai.networks import one_hot
from torch import Tensor, nn

from lotus.losses.alignment import log_scores


class DiceWeightedCrossEntropy(nn.Module):
    """Dice plus weighted cross-entropy, 1:1, over all classes, background too (UMMKD).

    A class of n of the batch's N pixels weighs 1 - n / N in the cross-entropy. Dice is that of
    V-Net: over the whole batch, with squares in the denominator (Dou et al., IEEE TMI 2020, and
    their released code). One sigmoid logit is read as two classes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dice = DiceLoss(squared_pred=True, batch=True)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (B, K, Y, X) against classes (B, 1, Y, X), 0 = background.

        Volumes (B, K, Z, Y, X) likewise.
        """
        scores = log_scores(logits, temperature=1.0)
        truth = one_hot(target, scores.shape[1])
        weights = 1 - truth.mean(dim=(0, *range(2, truth.ndim)), keepdim=True)
        entropy = -(weights * truth * scores).sum(dim=1).mean()
        loss: Tensor = self.dice(scores.exp(), truth) + entropy
        return loss
