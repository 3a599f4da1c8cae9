"""What the encoder of a pretraining already knows, while it is trained."""

from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from lotus.batch import Batch
from lotus.metrics.frozen_tiles import AnnotatedTokens, FrozenTiles, domain_scores, patch_scores
from lotus.metrics.rank_me import rank_me

PATCH_DICE = "val_patch_dice"
"""The score of the patch tokens, which may pick the best checkpoint."""


class FrozenProbes(pl.Callback):
    """Score the frozen encoder after every validation, by tiles of training and validation.

    The data module's ``probe_tiles(use, most)`` gives loaders of tiles of a set, each of one
    modality and either annotated or not. Whatever is fitted is fitted to tiles of training patients
    and scored on those of validation patients; every process goes through all of them. Logged, NaN
    where undefined:

    - ``val_rank_me``: effective rank of the validation tiles' embeddings, see
      :func:`lotus.metrics.rank_me.rank_me`.
    - ``val_domain_knn``, ``val_domain_linear``: share of validation tiles whose modality is told by
      the nearest embeddings, or by a linear map of the embedding. It is near 1 at once: it says
      when something is broken, not which encoder is better.
    - ``val_<modality>_patch_dice``: Dice of the classes that a linear map reads off patch tokens,
      see :func:`lotus.metrics.frozen_tiles.patch_dice`; ``val_patch_dice``, its mean over the
      modalities that are annotated.

    Args:
        tiles: At most so many tiles of each modality and set, annotated and not.
        neighbours: Nearest embeddings that vote.
        penalty: Of the linear maps, see :func:`lotus.metrics.probes.fit_linear_probe`.

    Raises:
        ValueError: A number that is not positive.
    """

    def __init__(self, *, tiles: int = 256, neighbours: int = 20, penalty: float = 1e-3) -> None:
        if min(tiles, neighbours, penalty) <= 0:
            raise ValueError(
                f"tiles is {tiles}, neighbours {neighbours}, penalty {penalty:g}; expected numbers "
                "above 0"
            )
        self.tiles = tiles
        self.neighbours = neighbours
        self.penalty = penalty

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse to pick the best checkpoint by masks that are not there.

        Raises:
            ValueError: No modality has masks both of training and of validation patients.
        """
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        savers = (each for each in callbacks if isinstance(each, Checkpoint))
        if PATCH_DICE not in {getattr(each, "monitor", None) for each in savers}:
            return
        train, val = (self._annotated(trainer, use) for use in ("train", "val"))
        if not train & val:
            raise ValueError(
                f"{PATCH_DICE} is to pick the best checkpoint, but no modality has masks both of "
                "training and of validation patients; give --monitor val_loss"
            )

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what the probes found."""
        if trainer.sanity_checking:
            return
        known, asked = (
            see_tiles(pl_module, self._loaders(trainer, use)) for use in ("train", "val")
        )
        scores = {
            "rank_me": float(rank_me(torch.cat([tiles.features.cpu() for tiles in asked]))),
            **domain_scores(known, asked, neighbours=self.neighbours, penalty=self.penalty),
            **patch_scores(known, asked, penalty=self.penalty),
        }
        # The same on every process but for rounding, by which they must not disagree.
        named = {f"val_{name}": value for name, value in scores.items()}
        pl_module.log_dict(named, sync_dist=True)

    def _loaders(self, trainer: pl.Trainer, use: str) -> Iterable[Iterable[Batch]]:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        loaders: Iterable[Iterable[Batch]] = data.probe_tiles(use, self.tiles)
        return loaders

    def _annotated(self, trainer: pl.Trainer, use: str) -> set[str]:
        """Modalities that have masks."""
        batches = [next(iter(loader)) for loader in self._loaders(trainer, use)]
        return {batch["modality"][0] for batch in batches if "mask" in batch}


def see_tiles(task: Any, loaders: Iterable[Iterable[Batch]]) -> list[FrozenTiles]:
    """Tiles as the encoder of a pretraining sees them, one entry for each batch, on its device.

    Args:
        task: Its ``tokens`` gives patch tokens and embeddings. Tiles are cut to multiples of its
            ``encoder.patch``.
        loaders: Batches of tiles.
    """
    return [_seen(task, batch) for loader in loaders for batch in loader]


def _seen(task: Any, batch: Batch) -> FrozenTiles:
    patch = task.encoder.patch
    rows, columns = (slice(side // patch * patch) for side in batch["image"].shape[2:])
    with torch.no_grad():
        found = task.tokens(batch["image"][:, :, rows, columns].to(task.device, task.dtype))
    annotated = None
    if "mask" in batch:
        tokens, mask = found.maps[-1].float(), batch["mask"][:, rows, columns].to(task.device)
        ignored = batch.get("ignored")
        if ignored is not None:
            ignored = ignored[:, rows, columns].to(task.device)
        annotated = AnnotatedTokens(tokens, mask, ignored)
    return FrozenTiles(found.feature.float(), batch["modality"], annotated)
