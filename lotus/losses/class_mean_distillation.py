"""The knowledge that two modalities share although their images do not: UMMKD."""

import torch
from torch import Tensor, nn

from lotus.losses.alignment import log_scores


class ClassMeanDistillation(nn.Module):
    """Symmetric divergence between the class-mean scores of two unpaired batches.

    For each class c the logits are averaged over the pixels that truly are of c, in each batch,
    and softened: p_c = softmax(mean logits / T). The loss is the mean over classes of
    (KL(p_c || q_c) + KL(q_c || p_c)) / 2 (UMMKD, Dou et al., IEEE TMI 2020). Neither side is
    detached: the modalities learn from each other. A class that either batch lacks is left out;
    the released code would take its distribution for uniform.

    One sigmoid logit l is read as the two logits (0, l). The choice among equivalent pairs, such
    as (-l/2, l/2), is immaterial: they differ by the same amount for both classes, the means
    therefore too, and a softmax does not see that.

    Args:
        temperature: T > 0; as in the released code, the loss is not multiplied by T².

    Raises:
        ValueError: A temperature that is not positive.

    Example:
        >>> import math
        >>> import torch
        >>> from lotus.losses import ClassMeanDistillation
        >>> target = torch.tensor([[[[0, 1]]]])
        >>> first = torch.tensor([[[[0.0, 4 * math.log(3)]]]])  # softened to 9/10
        >>> second = torch.tensor([[[[0.0, 2 * math.log(3)]]]])  # softened to 3/4
        >>> ClassMeanDistillation()(first, second, target, target)  # (0.9 - 0.75) ln 3 / 4
        tensor(0.0412)
    """

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    def forward(
        self, first: Tensor, second: Tensor, first_target: Tensor, second_target: Tensor
    ) -> Tensor:
        """The loss of two batches, whose images may differ in number and size.

        Args:
            first: Logits (B, K, Y, X) of one modality.
            second: Logits (B', K, Y', X') of the other.
            first_target: Classes (B, 1, Y, X), 0 = background; pixels of -1 are left out.
            second_target: Classes (B', 1, Y', X').

        Returns:
            A scalar >= 0; 0 where no class is in both batches.
        """
        first_scores, first_count = self._class_scores(first, first_target)
        second_scores, second_count = self._class_scores(second, second_target)
        shared = ((first_count > 0) & (second_count > 0)).to(first_scores.dtype)
        # (p - q)(log p - log q) = p log(p / q) + q log(q / p), both divergences at once.
        terms = (first_scores.exp() - second_scores.exp()) * (first_scores - second_scores)
        divergence = terms.sum(dim=1) / 2
        return (divergence * shared).sum() / shared.sum().clamp(min=1)

    def _class_scores(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Log of the softened class-mean scores (C, C), and the number of pixels (C,)."""
        classes = max(logits.shape[1], 2)
        members = (target == torch.arange(classes, device=target.device)[:, None, None]).float()
        count = members.sum(dim=(0, 2, 3))
        total = torch.einsum("bkyx,bcyx->ck", logits.float(), members)
        mean = total / count.clamp(min=1)[:, None]
        return log_scores(mean[..., None, None], self.temperature)[..., 0, 0], count
