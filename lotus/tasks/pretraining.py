"""What trainings of an encoder on unlabelled images have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor

from lotus.batch import Batch
from lotus.networks.vision_tokens import VisionTokens, vision_tokens
from lotus.networks.vision_transformer import VisionTransformer
from lotus.runs import RunFolder
from lotus.runs.charts import Chart
from lotus.tasks.checkpoint import read_checkpoint, state_of
from lotus.tasks.encoder_file import write_encoder
from lotus.tasks.warm_up import WarmUpTask
from lotus.transforms.views import MultiCropViews, Views


class PretrainingTask(WarmUpTask, ABC):
    """Train an encoder on several views of each image, without labels.

    Validation and test look at views that are the same every time. After every validation the
    frozen encoder is scored (:class:`lotus.callbacks.FrozenProbes`). The loss picks the best
    checkpoint; where there are masks, ``val_patch_dice`` can. A finished training leaves the
    encoder of its best checkpoint as :attr:`lotus.runs.RunFolder.encoder`.

    Args:
        encoder: What is trained.
        views: Makes the views of a batch; two global and six local ones by default.
        optimizer: From parameters to an optimizer.
        **kwargs: Those of :class:`lotus.tasks.warm_up.WarmUpTask`.
    """

    monitor: ClassVar[str] = "val_loss"
    inference_kind: ClassVar[str] = "encoder"

    def __init__(
        self,
        encoder: VisionTransformer,
        views: MultiCropViews | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.AdamW(
            parameters, lr=5e-4, weight_decay=5e-2
        ),
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, **kwargs)
        self.encoder = encoder
        self.views = views or MultiCropViews()

    @abstractmethod
    def losses(self, views: Views) -> dict[str, Tensor]:
        """What is minimised, as ``loss``, and what else is logged.

        Args:
            views: Of one batch.
        """

    def embed(self, views: Sequence[Tensor]) -> Tensor:
        """The encoder's embeddings (V, B, D) of V views (B, 3, Y, X) of one size."""
        return torch.stack(self.forward(torch.cat([*views])).chunk(len(views)))

    def forward(self, image: Tensor) -> Tensor:
        """Embeddings (B, D) of images (B, 3, Y, X) in [0, 1]."""
        embeddings: Tensor = self.encoder(image)
        return embeddings

    def tokens(self, image: Tensor) -> VisionTokens:
        """What the encoder makes of images (B, 3, Y, X) in [0, 1]: embeddings, and patch tokens."""
        return vision_tokens(self.encoder, image, [self.encoder.depth])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of new views of one batch."""
        terms = self.losses(self.views(batch["image"]))
        loss = terms.pop("loss")
        count = len(batch["image"])
        self.log_training_loss(loss, count)
        self._log("train", terms, count)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss of the fixed views of one batch."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss of the fixed views of one batch."""
        self._evaluate("test", batch, batch_idx)

    def callbacks(self) -> list[pl.Callback]:
        """Scores of the frozen encoder after every validation."""
        from lotus.callbacks import FrozenProbes  # Not needed to build a task.

        return [FrozenProbes()]

    def charts(self) -> list[Chart]:
        """What is read off the frozen encoder, and its rank."""
        domain = {"val_domain_knn": "nearest neighbours", "val_domain_linear": "linear"}
        return [
            Chart(
                "Classes read off patch tokens",
                {"val_patch_dice": "mean over domains"},
                "Dice",
                "A linear map of frozen tokens, fitted to training patients.",
            ),
            Chart("Domain read off embeddings", domain, "share", "Validation tiles told rightly."),
            Chart("RankMe", {"val_rank_me": "validation tiles"}, "rank", "Falls if they collapse."),
        ]

    def summary(self) -> dict[str, Any]:
        """Encoder, where it began, and its number of weights."""
        return {
            "encoder": self.encoder.name,
            "encoder_weights": str(self.encoder.weights or "random"),
            "parameters": sum(weight.numel() for weight in self.encoder.parameters()),
        }

    def origins(self) -> list[Path]:
        """The file that the encoder goes on from, if there is one."""
        return [] if self.encoder.weights is None else [Path(self.encoder.weights)]

    def inference_record(self) -> dict[str, Any]:
        """The encoder's architecture, as the encoder's file has it."""
        return {"architecture": self.encoder.name, "options": self.encoder.architecture}

    def after_fit(self, run: RunFolder) -> None:
        """Leave the encoder of the best checkpoint, as timm's weights."""
        checkpoint = read_checkpoint(run.best)
        weights = state_of(checkpoint, "encoder.model.")
        write_encoder(run.encoder, self.encoder, weights, checkpoint.get("patients"))

    def _evaluate(self, stage: Literal["val", "test"], batch: Batch, batch_idx: int) -> None:
        generator = torch.Generator().manual_seed(batch_idx)
        terms = self.losses(self.views(batch["image"], generator))
        self._log(stage, terms, len(batch["image"]))

    def _log(self, stage: str, terms: dict[str, Tensor], count: int) -> None:
        values = {f"{stage}_{name}": term.detach() for name, term in terms.items()}
        self.log_dict(values, on_step=False, on_epoch=True, sync_dist=True, batch_size=count)
