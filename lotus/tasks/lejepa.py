"""LeJEPA: views that agree in embeddings that fill an isotropic Gaussian."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lotus.losses.lejepa import LeJEPALoss
from lotus.networks.vision_transformer import VisionTransformer
from lotus.runs.charts import Chart
from lotus.tasks.pretraining import PretrainingTask
from lotus.transforms.views import Views


class LeJEPATask(PretrainingTask):
    """Pretrain an encoder by LeJEPA (Balestriero & LeCun, 2025): no teacher, no stopped gradient.

    Logged beside the loss: ``sigreg``, its mean statistic T; ``invariance``; and
    ``sigreg_per_image``, T/N, which is about 1.05/N for a Gaussian, 0.402 for embeddings that have
    collapsed, and does not depend on the batch size N otherwise.

    Args:
        encoder: What is trained.
        embedding: Width of the embeddings that the loss sees, 64 to 512.
        hidden: Width of the two hidden layers of the projector in front of it.
        loss: With λ and the number of directions; those of the paper by default.
        **kwargs: Those of :class:`lotus.tasks.pretraining.PretrainingTask`.
    """

    def __init__(
        self,
        encoder: VisionTransformer,
        embedding: int = 128,
        hidden: int = 2048,
        loss: LeJEPALoss | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        self.save_hyperparameters()
        from torchvision.ops import MLP  # Other tasks start without torchvision.

        # Validation normalises by its own batches, too: the mean of a few patients is not that of
        # all, and would count as if embeddings had collapsed around it.
        self.projector: nn.Module = MLP(
            encoder.dim,
            [hidden, hidden, embedding],
            norm_layer=partial(nn.BatchNorm1d, track_running_stats=False),
            dropout=0.0,
        )
        self.loss = loss or LeJEPALoss()

    def losses(self, views: Views) -> dict[str, Tensor]:
        """Loss and terms; the directions are those of the step, in evaluation always the same."""
        features = [self.embed(group) for group in views if group]
        embeddings = self._projected(torch.cat(features))
        step = self.global_step if self.training else 0
        terms: dict[str, Tensor] = self.loss(embeddings, len(views.global_views), step)
        together = self.training and self._trainer is not None
        count = embeddings.shape[1] * (self.trainer.world_size if together else 1)
        return terms | {"sigreg_per_image": terms["sigreg"] / count}

    def charts(self) -> list[Chart]:
        """Terms of the loss, T/N, and those of every pretraining."""
        stages = ("train", "val")
        return [
            Chart(
                "Terms of the loss",
                {f"{stage}_{name}": f"{name}, {stage}" for stage in stages for name in _TERMS},
                "value",
                "SIGReg is about 1.05 for a Gaussian.",
            ),
            Chart(
                "SIGReg per image",
                {f"{stage}_sigreg_per_image": stage for stage in stages},
                "T/N",
                "0.402: all embeddings are the same.",
            ),
            *super().charts(),
        ]

    def _projected(self, features: Tensor) -> Tensor:
        """Features (V, N, D') projected, views and images together in the batch norm."""
        projected: Tensor = self.projector(features.flatten(0, 1))
        return projected.view(*features.shape[:2], -1)


_TERMS = ("sigreg", "invariance")
