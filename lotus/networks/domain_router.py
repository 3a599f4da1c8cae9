"""Which domain an image is of, and whether it is of any that is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SHRINKAGE = 0.1
"""Share of a covariance that is replaced by equal variances: tiles may be fewer than dimensions."""
DEVIATIONS = 4.0
"""A tile fits a domain if it is no further than so many SD beyond the mean distance."""
FEWEST_TILES = 8
"""With fewer there is no telling what a domain looks like."""
SURE = 0.95
"""Probability below which a domain is uncertain."""


@dataclass(frozen=True)
class Routing:
    """What is known of the domain of some tiles.

    Attributes:
        probability: (B, M), of the M domains.
        distances: (B, M), how far the feature of a tile is from what is usual in a domain.
        fits: Bool (B, M), whether a tile looks like those that a domain was learnt from.
    """

    probability: Tensor
    distances: Tensor
    fits: Tensor


@dataclass(frozen=True)
class Vote:
    """What the tiles of an image say of its domain.

    Attributes:
        domain: Index of the domain.
        certainty: Mean probability of that domain over tiles.
        uncertain_tiles: Tiles of another domain, of uncertain domain, or that fit none.
        tiles: All tiles.
        uncertain: Whether half of the tiles or more are uncertain, or the image as a whole is.
    """

    domain: int
    certainty: float
    uncertain_tiles: int
    tiles: int
    uncertain: bool


class DomainRouter(nn.Module):
    """A linear classifier of domains on an encoder's feature, beside what features are usual.

    A classifier is sure of what it has never seen, too. So each domain's features are described by
    their mean and covariance, and a tile whose Mahalanobis distance is far beyond that of the
    domain's own tiles does not fit.

    Args:
        domains: Names of the M domains.
        dim: Width D of the feature.

    Raises:
        ValueError: Fewer than one domain, or a name twice.
    """

    mean: Tensor
    precision: Tensor
    limit: Tensor

    def __init__(self, domains: Sequence[str], dim: int) -> None:
        super().__init__()
        if not domains or len({*domains}) < len(domains):
            raise ValueError(f"found the domains {list(domains)}; expected names that differ")
        self.domains = tuple(domains)
        self.dim = dim
        self.classify = nn.Linear(dim, len(domains))
        self.register_buffer("mean", torch.zeros(len(domains), dim))
        self.register_buffer("precision", torch.zeros(len(domains), dim, dim))
        # Until something is known of a domain, everything fits.
        self.register_buffer("limit", torch.full((len(domains),), torch.inf))

    def forward(self, feature: Tensor) -> Tensor:
        """Logits (B, M) of features (B, D)."""
        logits: Tensor = self.classify(feature)
        return logits

    def route(self, feature: Tensor) -> Routing:
        """The domain of tiles by their features (B, D)."""
        distances = self.distances(feature)
        return Routing(
            probability=self(feature).float().softmax(dim=1),
            distances=distances,
            fits=distances <= self.limit,
        )

    def distances(self, feature: Tensor) -> Tensor:
        """Mahalanobis distances (B, M) of features (B, D) to the domains."""
        return torch.stack(
            [
                mahalanobis(feature.float(), mean, precision)
                for mean, precision in zip(self.mean, self.precision, strict=True)
            ],
            dim=1,
        )

    @torch.no_grad()
    def describe(self, domain: str, features: Tensor) -> None:
        """Learn what features of a domain are usual.

        Every other tile gives mean and covariance, those between say how far tiles usually are:
        a covariance is always near to the tiles that it was made of.

        Args:
            domain: Its name.
            features: (N, D) of its tiles; nothing is learnt from fewer than 8.
        """
        if len(features) < FEWEST_TILES:
            return
        known, others = features[::2].double(), features[1::2].double()
        mean = known.mean(dim=0)
        covariance = torch.cov(known.T)
        even = covariance.diagonal().mean().clamp_min(1e-12)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * even * torch.eye(self.dim).to(known)
        precision = torch.linalg.inv(shrunk)
        distances = mahalanobis(others, mean, precision)
        index = self.domains.index(domain)
        self.mean[index] = mean
        self.precision[index] = precision
        self.limit[index] = distances.mean() + DEVIATIONS * distances.std()

    def widen(self, domain: str, mean: float, deviation: float) -> None:
        """Let tiles of patients fit who have no part in the description; they are further away.

        Args:
            domain: Its name.
            mean: Of the distances of such tiles.
            deviation: Their standard deviation.
        """
        index = self.domains.index(domain)
        self.limit[index] = max(float(self.limit[index]), mean + DEVIATIONS * deviation)


def mahalanobis(features: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    """Distances (B,) of features (B, D) to a mean (D,) by the inverse of a covariance (D, D)."""
    away = features - mean
    return ((away @ precision) * away).sum(dim=1).clamp_min(0).sqrt()


def vote(routings: Sequence[Routing]) -> Vote:
    """The domain of an image from that of its tiles.

    Args:
        routings: Of all tiles, in any number of batches.

    Returns:
        The domain with the highest mean probability over tiles.

    Raises:
        ValueError: There is no tile.
    """
    if not routings:
        raise ValueError("no tile has been routed; an image has at least one")
    probability = torch.cat([each.probability for each in routings])
    fits = torch.cat([each.fits for each in routings])
    means = probability.mean(dim=0)
    domain = int(means.argmax())
    doubtful = (probability[:, domain] < SURE) | ~fits[:, domain]
    certainty, uncertain, tiles = float(means[domain]), int(doubtful.sum()), len(doubtful)
    return Vote(domain, certainty, uncertain, tiles, 2 * uncertain >= tiles or certainty < SURE)
