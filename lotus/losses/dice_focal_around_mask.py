"""Dice of the foreground plus a focal loss in it and around it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

SMOOTH = 1e-5
"""Added to both sides of the fraction of Dice, so that it is defined without foreground."""


class DiceFocalAroundMask(nn.Module):
    """Soft Dice of the foreground plus the focal loss in the true mask and its dilation.

    With p = sigmoid(logit), truth y, and w = 1 in the dilated mask, 0 elsewhere::

        L = 1 - (2 Σ p y + ε) / (Σ p + Σ y + ε) + Σ w (1 - p_t)^γ (-log p_t) / Σ w

    where p_t is p in the mask and 1 - p outside (Lin et al., ICCV 2017). Both are taken over the
    whole batch: a patch of bone may be without a lacuna. Without the dilation the focal loss would
    look at true foreground alone, and foreground everywhere would be its best answer (Poles et
    al., BHI 2023, whose equation this is read from).

    Where pixels are to be ignored they count in no sum. The dilation looks at neighbours, so this
    loss is handed the whole images with what is ignored, see :func:`loss_of_known_pixels`.

    Args:
        dilation_px: By how many pixels the mask is dilated, with a square.
        gamma: Focusing parameter γ; 0 is cross-entropy.
        focal_weight: Weight of the focal term; Dice has 1.

    Raises:
        ValueError: A dilation below 1, or a negative γ or weight.

    Example:
        >>> import torch
        >>> from lotus.losses import DiceFocalAroundMask
        >>> target = torch.zeros(1, 1, 1, 5)
        >>> target[..., 0] = 1
        >>> loss = DiceFocalAroundMask(dilation_px=1, gamma=0)
        >>> loss(torch.zeros(1, 1, 1, 5), target)  # 1 - 2 · 0.5 / (2.5 + 1) + ln 2
        tensor(1.4074)
    """

    def __init__(
        self, dilation_px: int = 3, *, gamma: float = 2.0, focal_weight: float = 1.0
    ) -> None:
        from monai.losses import FocalLoss  # MONAI is loaded where a configuration names it.

        super().__init__()
        if dilation_px < 1 or gamma < 0 or focal_weight < 0:
            raise ValueError(
                f"dilation_px is {dilation_px}, gamma {gamma:g} and focal_weight {focal_weight:g}; "
                "expected at least 1, 0 and 0"
            )
        self.dilation_px = dilation_px
        self.gamma = gamma
        self.focal_weight = focal_weight
        self.focal = FocalLoss(gamma=gamma, reduction="none")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (B, 1, Y, X) against classes (B, 1, Y, X), 0 = background."""
        return self.of_known_pixels(logits, target, None)

    def of_known_pixels(self, logits: Tensor, target: Tensor, ignored: Tensor | None) -> Tensor:
        """The loss where the truth is known.

        Args:
            logits: (B, 1, Y, X).
            target: Classes (B, 1, Y, X), 0 where the truth is not known.
            ignored: Bool (B, Y, X), where nothing is known; None if everything is.

        Raises:
            ValueError: Other than one logit per pixel.
        """
        if logits.shape[1] != 1 or logits.shape != target.shape:
            raise ValueError(
                f"found logits {tuple(logits.shape)} and a target {tuple(target.shape)}; "
                "DiceFocalAroundMask takes one logit per pixel, of the only foreground class"
            )
        known = torch.ones_like(target, dtype=torch.bool) if ignored is None else ~ignored[:, None]
        # Nor may what a network says there reach a sum: 0 times infinity is no number.
        logits = logits.masked_fill(~known, 0.0)
        truth = ((target > 0) & known).to(logits.dtype)
        score = logits.sigmoid() * known
        overlap = 2.0 * (score * truth).sum()
        dice = 1.0 - (overlap + SMOOTH) / (score.sum() + truth.sum() + SMOOTH)
        near = known * functional.max_pool2d(
            truth, 2 * self.dilation_px + 1, stride=1, padding=self.dilation_px
        )
        focal = (near * self.focal(logits, truth)).sum() / near.sum().clamp(min=1.0)
        loss: Tensor = dice + self.focal_weight * focal
        return loss
