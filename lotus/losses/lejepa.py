"""The loss of LeJEPA: views that agree, and embeddings that fill an isotropic Gaussian."""

from torch import Tensor, nn

from lotus.losses.sigreg import SIGReg


class LeJEPALoss(nn.Module):
    """λ·SIGReg + (1 - λ)·invariance (Balestriero & LeCun, LeJEPA, 2025).

    There is no teacher and no stopped gradient: SIGReg alone keeps the embeddings from collapsing.
    The form ``invariance + λ·SIGReg``, with λ = 0.02, is another loss.

    Args:
        weight: λ in [0, 1].
        sigreg: How embeddings are compared with a Gaussian.

    Raises:
        ValueError: λ is out of its range.

    Examples:
        Views that agree because all embeddings have collapsed: SIGReg alone is left.

        >>> import torch
        >>> terms = LeJEPALoss()(torch.zeros(3, 10, 2), global_views=2, step=0)
        >>> round(float(terms["loss"]), 3), float(terms["invariance"])
        (0.201, 0.0)
    """

    def __init__(self, weight: float = 0.05, sigreg: SIGReg | None = None) -> None:
        super().__init__()
        if not 0.0 <= weight <= 1.0:
            raise ValueError(f"the weight of SIGReg is {weight:g}; expected a number from 0 to 1")
        self.weight = weight
        self.sigreg = sigreg or SIGReg()

    def forward(self, embeddings: Tensor, global_views: int, step: int) -> dict[str, Tensor]:
        """The loss and its terms.

        Args:
            embeddings: (V, N, D), the global views first.
            global_views: How many of them are global.
            step: Decides the directions of SIGReg.

        Returns:
            ``loss``, which is minimised; its terms ``sigreg`` and ``invariance``.
        """
        sigreg = self.sigreg(embeddings, step)
        invariance = view_invariance(embeddings, global_views)
        loss = self.weight * sigreg + (1 - self.weight) * invariance
        return {"loss": loss, "sigreg": sigreg, "invariance": invariance}


def view_invariance(embeddings: Tensor, global_views: int) -> Tensor:
    """Mean square of the distance from the views of an image to the mean of its global ones.

    The mean is over views, images and dimensions, as in the authors' and in lightly's form; summed
    over dimensions it would outweigh SIGReg the more the wider the embeddings are.

    Args:
        embeddings: (V, N, D), the global views first.
        global_views: How many of them are global, at least 1.

    Returns:
        float32 ().

    Examples:
        Two global views and a local one; the mean of the global ones is 1.

        >>> import torch
        >>> float(view_invariance(torch.tensor([[[0.0]], [[2.0]], [[4.0]]]), 2))
        3.6666667461395264
    """
    values = embeddings.float()
    centre = values[:global_views].mean(dim=0)
    return (values - centre).square().mean()
