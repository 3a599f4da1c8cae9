"""How many dimensions a set of embeddings really uses."""

import torch
from torch import Tensor


def rank_me(embeddings: Tensor) -> Tensor:
    """RankMe, the effective rank of embeddings: 1 if all lie on a line through the origin.

    The exponential of the entropy of the singular values σ of the matrix of embeddings, taken as
    shares p = σ / Σσ (Garrido et al., RankMe, ICML 2023, equation 1, with 0 log 0 = 0 in place of
    the paper's small constant inside p). As in the paper, embeddings are not centred.

    Args:
        embeddings: (N, D), one row each, of any real type; computed in float64.

    Returns:
        float64 (), from 1 to min(N, D); NaN without embeddings, if all of them are zero, or if one
        is not finite.

    Example:
        >>> import torch
        >>> from lotus.metrics.rank_me import rank_me
        >>> [round(rank_me(each).item(), 6) for each in (torch.eye(3), torch.ones(5, 3))]
        [3.0, 1.0]
    """
    values = embeddings.double()
    if not values.any() or not values.isfinite().all():
        return torch.tensor(torch.nan, dtype=torch.float64, device=values.device)
    singular = torch.linalg.svdvals(values)
    shares: Tensor = singular / singular.sum()
    entropy: Tensor = torch.special.entr(shares).sum()
    return entropy.exp()
