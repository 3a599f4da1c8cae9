"""How the losses of several aims of one training are added."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class FixedWeights(nn.Module):
    """Σ wᵢ Lᵢ with weights that are given.

    Args:
        weights: Of the terms by name, >= 0; those that are not named have 1.

    Raises:
        ValueError: A negative weight.

    Example:
        >>> import torch
        >>> from lotus.losses import FixedWeights
        >>> terms = {"class": torch.tensor(2.0), "segmentation": torch.tensor(1.0)}
        >>> FixedWeights({"segmentation": 0.5})(terms)
        tensor(2.5000)
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.weights = dict(weights or {})
        for name, weight in self.weights.items():
            if weight < 0:
                raise ValueError(f"expected weights >= 0, got {weight} for {name}")

    def forward(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms of a batch; a scalar."""
        weighted = [self.weights.get(name, 1.0) * term for name, term in terms.items()]
        return torch.stack(weighted).sum()


class UncertaintyWeights(nn.Module):
    """Σ exp(-sᵢ) Lᵢ + sᵢ / 2 with learnt sᵢ = log σᵢ² (Kendall et al., CVPR 2018, eq. 10).

    Each term is taken for the negative log-likelihood of a softmax or sigmoid with the noise σᵢ. A
    term that a batch lacks leaves its sᵢ alone.

    Args:
        names: Of the terms.

    Raises:
        ValueError: No name.

    Example:
        >>> import torch
        >>> from lotus.losses import UncertaintyWeights
        >>> UncertaintyWeights(["class"])({"class": torch.tensor(2.0)}).item()  # s is 0 at first
        2.0
    """

    def __init__(self, names: Sequence[str] = ("class", "segmentation")) -> None:
        super().__init__()
        if not names:
            raise ValueError("expected the name of a term at least")
        self.names = list(names)
        self.log_variances = nn.Parameter(torch.zeros(len(self.names)))

    def forward(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms of a batch; a scalar.

        Raises:
            ValueError: A term that was not named.
        """
        strange = sorted(terms.keys() - set(self.names))
        if strange:
            raise ValueError(f"no weight for the term {strange[0]}; there is {self.names}")
        weighted = [
            torch.exp(-log_variance) * terms[name] + log_variance / 2
            for name, log_variance in zip(self.names, self.log_variances, strict=True)
            if name in terms
        ]
        return torch.stack(weighted).sum()
