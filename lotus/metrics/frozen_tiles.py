"""What is read off the embeddings and patch tokens of a frozen encoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, nan

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from lotus.metrics.functional import confusion_matrix, confusion_scores
from lotus.metrics.probes import LinearProbe, cell_shares, fit_linear_probe, neighbour_votes

CELLS = 4
"""Cells along a side of a patch, whose classes are told apart: seams of bone are thin."""


@dataclass(frozen=True)
class AnnotatedTokens:
    """Patch tokens of tiles of one modality, and the classes of the pixels under them.

    Attributes:
        tokens: float32 (B, D, h, w).
        mask: int64 (B, Y, X), 0 is background; Y and X are the same multiple of h and w.
        ignored: bool (B, Y, X), where the annotation says nothing; None where it is whole.
    """

    tokens: Tensor
    mask: Tensor
    ignored: Tensor | None = None

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return self.mask.shape[1] // self.tokens.shape[2]

    @property
    def cells(self) -> int:
        """Cells along the side of a patch."""
        return gcd(self.patch, CELLS)


@dataclass(frozen=True)
class FrozenTiles:
    """A batch of tiles as a frozen encoder sees them.

    Attributes:
        features: float32 (B, D), embeddings.
        modality: Of each tile; one for all where they are annotated.
        annotated: Their patch tokens; None without annotation.
    """

    features: Tensor
    modality: list[str]
    annotated: AnnotatedTokens | None = None


def domain_scores(
    known: Sequence[FrozenTiles],
    asked: Sequence[FrozenTiles],
    *,
    neighbours: int = 20,
    penalty: float = 1e-3,
) -> dict[str, float]:
    """How well the modality of tiles is read off their embeddings.

    Args:
        known: Tiles of training patients.
        asked: Tiles of validation patients.
        neighbours: Nearest embeddings that vote, see :func:`lotus.metrics.probes.neighbour_votes`.
        penalty: Of the linear map, see :func:`lotus.metrics.probes.fit_linear_probe`.

    Returns:
        ``domain_knn`` and ``domain_linear``, the shares of tiles asked for that are told rightly;
        NaN where all known tiles are of one modality, or an embedding is not finite.
    """
    names = sorted({name for tiles in (*known, *asked) for name in tiles.modality})
    features, labels = _embeddings(known, names)
    queries, wanted = _embeddings(asked, names)
    if len({*labels.tolist()}) < 2 or not (features.isfinite().all() and queries.isfinite().all()):
        return {"domain_knn": nan, "domain_linear": nan}
    votes = neighbour_votes(features, labels, queries, classes=len(names), neighbours=neighbours)
    probe = fit_linear_probe(features, F.one_hot(labels, len(names)).float(), penalty=penalty)
    said = {"domain_knn": votes, "domain_linear": probe(queries)}
    return {
        name: float((each.argmax(dim=1) == wanted).float().mean()) for name, each in said.items()
    }


def patch_scores(
    known: Sequence[FrozenTiles], asked: Sequence[FrozenTiles], *, penalty: float = 1e-3
) -> dict[str, float]:
    """How well the classes of pixels are read off patch tokens, modality by modality.

    Args:
        known: Tiles of training patients.
        asked: Tiles of validation patients.
        penalty: Of the linear maps, see :func:`patch_dice`.

    Returns:
        ``<modality>_patch_dice`` of every modality, NaN where one of both sets has no annotated
        tile of it, and ``patch_dice``, the mean of those that are defined.
    """
    dice = {}
    for name in sorted({name for tiles in (*known, *asked) for name in tiles.modality}):
        fitted, scored = _annotated(known, name), _annotated(asked, name)
        dice[name] = patch_dice(fitted, scored, penalty=penalty) if fitted and scored else nan
    defined = [value for value in dice.values() if not np.isnan(value)]
    mean = float(np.mean(defined)) if defined else nan
    return {f"{name}_patch_dice": value for name, value in dice.items()} | {"patch_dice": mean}


def patch_dice(
    known: Sequence[AnnotatedTokens], asked: Sequence[AnnotatedTokens], *, penalty: float = 1e-3
) -> float:
    """Mean Dice of the classes that a linear map reads off patch tokens.

    The map gives logits of the classes in each cell of a grid within the patch; they are
    interpolated to pixels.

    Args:
        known: What the map is fitted to.
        asked: What it is scored on.
        penalty: Of the map, see :func:`lotus.metrics.probes.fit_linear_probe`.

    Returns:
        The mean over the classes that the masks asked for have or are given, background left out,
        of all their pixels together; NaN where there is none, or a token is not finite.
    """
    if not all(bool(tiles.tokens.isfinite().all()) for tiles in (*known, *asked)):
        return nan
    classes = 1 + max(int(tiles.mask.max()) for tiles in (*known, *asked))
    patches = [_patches(tiles, classes) for tiles in known]
    tokens, shares = (torch.cat(each) for each in zip(*patches, strict=True))
    probe = fit_linear_probe(tokens, shares, penalty=penalty)
    counts = np.zeros((classes, classes), np.int64)
    for tiles in asked:
        given = _logits(tiles, probe).argmax(dim=1).cpu()
        ignored = None if tiles.ignored is None else tiles.ignored.cpu()
        counts += confusion_matrix(given, tiles.mask.cpu(), classes - 1, ignored)
    return confusion_scores(counts, [str(number) for number in range(1, classes)])["dice"]


def _embeddings(batches: Sequence[FrozenTiles], names: list[str]) -> tuple[Tensor, Tensor]:
    features = torch.cat([tiles.features for tiles in batches])
    labels = [names.index(name) for tiles in batches for name in tiles.modality]
    return features, torch.tensor(labels, device=features.device)


def _annotated(batches: Sequence[FrozenTiles], modality: str) -> list[AnnotatedTokens]:
    own = [tiles.annotated for tiles in batches if tiles.modality[0] == modality]
    return [tiles for tiles in own if tiles is not None]


def _patches(tiles: AnnotatedTokens, classes: int) -> tuple[Tensor, Tensor]:
    """Tokens (N, D) of all patches, and the shares (N, cells², K) of the classes in their cells."""
    cell, cells = tiles.patch // tiles.cells, tiles.cells
    shares = cell_shares(tiles.mask, cell, classes=classes, ignored=tiles.ignored)
    return (
        rearrange(tiles.tokens, "b d h w -> (b h w) d"),
        rearrange(shares, "b (h i) (w j) k -> (b h w) (i j) k", i=cells, j=cells),
    )


def _logits(tiles: AnnotatedTokens, probe: LinearProbe) -> Tensor:
    """Logits (B, K, Y, X) of all pixels."""
    count, _, height, _ = tiles.tokens.shape
    found = probe(rearrange(tiles.tokens, "b d h w -> (b h w) d"))
    places = {"b": count, "h": height, "i": tiles.cells}
    coarse = rearrange(found, "(b h w) (i j) k -> b k (h i) (w j)", **places)
    return F.interpolate(coarse, size=tiles.mask.shape[1:], mode="bilinear")
