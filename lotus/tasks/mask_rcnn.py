"""Objects found as boxes with masks: Mask R-CNN."""

from typing import Any

import torch
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn

from lotus.batch import Batch, Prediction
from lotus.schemes.detections import (
    class_map,
    detection_target,
    foreground_probability,
    label_map,
)
from lotus.tasks.instances import InstanceTask, as_scored
from lotus.tasks.native_grid import as_seen, at_native_size


class MaskRCNNTask(InstanceTask):
    """Train a detector on images and objects of one modality (Mask R-CNN, He et al., ICCV 2017).

    Images go through the network whole, because objects that windows cut cannot be blended; so
    memory bounds the size of an image. Mixed precision is off inside.
    There is no validation loss, as torchvision's detectors give losses in training mode only;
    scores are those of all tasks. A detector's losses are not per pixel, so in training pixels to
    be ignored are painted with the mean of the others: there is nothing to be seen.

    Args:
        network: A detector in the manner of torchvision's Mask R-CNN, that is, one that maps a list
            of images and targets to a dict of losses in training mode, and images to ``scores``,
            ``labels`` and ``masks`` in evaluation mode; e.g.
            ``lotus.networks.mask_rcnn.mask_rcnn_resnet50``.
        class_names: Foreground classes, in the order of the mask's values from 1.
        optimizer: From parameters to an optimizer; that of torchvision's tutorial by default.
        minimum_score: Detections below this score are not in the label map, in [0, 1].
        **kwargs: Those of :class:`InstanceTask`.

    Raises:
        ValueError: A score outside [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        optimizer: OptimizerCallable = lambda parameters: torch.optim.SGD(
            parameters, lr=5e-3, momentum=0.9, weight_decay=5e-4
        ),
        minimum_score: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, class_names, optimizer, **kwargs)
        self.save_hyperparameters()
        if not 0.0 <= minimum_score <= 1.0:
            raise ValueError(f"minimum_score is {minimum_score:g}; expected a score in [0, 1]")
        self.minimum_score = minimum_score

    def forward(self, image: Tensor) -> list[dict[str, Tensor]]:
        """Detections of each image of (B, C, Y, X), in evaluation mode.

        Returns:
            Per image ``boxes`` (N, 4), ``labels`` (N,), ``scores`` (N,), ``masks`` (N, 1, Y, X).
        """
        with self._single_precision():
            detections: list[dict[str, Tensor]] = self.network(list(image))
        return detections

    def setup(self, stage: str) -> None:
        """Check that the network tells as many classes apart as there are."""
        found = self.network.get_submodule("roi_heads.box_predictor.cls_score").out_features
        expected = len(self.class_names) + 1
        if found != expected:
            raise ValueError(
                f"the network has {found} classes, but {len(self.class_names)} class(es) and the "
                f"background are {expected}: set num_classes to that"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The sum of the detector's losses of one batch."""
        targets = [
            detection_target(mask, instances)
            for mask, instances in zip(batch["mask"], batch["instances"], strict=True)
        ]
        with self._single_precision():
            losses: dict[str, Tensor] = self.network(list(_painted(batch)), targets)
        loss = torch.stack(list(losses.values())).sum()
        size = len(targets)
        self.log_training_loss(loss, size)
        for name, value in losses.items():
            value = value.detach()
            self.log(f"train_{name}", value, on_step=False, on_epoch=True, batch_size=size)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Scores of one image at native size."""
        found = as_scored(self.predict_step(batch, batch_idx), batch)
        self.val_scores.update(found["labels"], batch["instances"][0].cpu().numpy())
        return found

    def test_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Scores of one image at native size."""
        found = as_scored(self.predict_step(batch, batch_idx), batch)
        self.test_scores.update(found["labels"], batch["instances"][0].cpu().numpy())
        return found

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Label map, foreground probability and class map of one image at native size."""
        if len(batch["image"]) != 1:
            raise ValueError(
                f"images are scored one at a time, got a batch of {len(batch['image'])}"
            )
        detections = self(as_seen(batch)["image"])[0]
        masks, scores = detections["masks"][:, 0], detections["scores"]
        kept = scores >= self.minimum_score
        found: Prediction = {
            "labels": label_map(masks[kept], scores[kept]),
            "probability": foreground_probability(masks, scores),
            "classes": class_map(masks[kept], scores[kept], detections["labels"][kept]),
        }
        return at_native_size(found, batch)

    def _single_precision(self) -> torch.autocast:
        """Boxes take the type of the features, and bfloat16 has steps of 2 pixels from 256 on."""
        return torch.autocast(self.device.type, enabled=False)


def _painted(batch: Batch) -> Tensor:
    """The images (B, C, Y, X), where they are to be ignored with the mean of the rest."""
    image = batch["image"]
    if "ignored" not in batch:
        return image
    known = ~batch["ignored"][:, None]
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1)
    return torch.where(known, image, mean)
