"""Segmentation of several domains by one encoder, a router and a head for each."""

from collections import deque
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric

from lotus.batch import Batch, Parts, RoiPrediction
from lotus.losses import loss_of_known_pixels
from lotus.metrics.regions import RegionScores, as_compared
from lotus.networks.routed_segmenter import RoutedSegmenter
from lotus.networks.vision_tokens import VisionTokens
from lotus.runs.charts import Chart
from lotus.tasks.checkpoint import network_description
from lotus.tasks.description import describe
from lotus.tasks.native_grid import as_seen, at_own_size
from lotus.tasks.precision import inference_precision
from lotus.tasks.routed_roi import Tiling, roi_grid, segment_roi
from lotus.tasks.warm_up import WarmUpTask
from lotus.transforms.tiles import TILE
from lotus.windows import window_grid, windows_at_once

MOST_FEATURES = 1024
"""Of each domain: the last training tiles, from which the router learns what is usual."""


class DualDomainTask(WarmUpTask):
    """Train the router and the heads of all domains on one encoder.

    The loss is the mean over domains of each head's, plus the router's cross-entropy. The router
    sees the feature without sending gradient into the encoder. In validation, test and prediction,
    ROIs go through the network as in `lotus segment`: all their tiles, the head of the domain that
    they vote for, their blending. A ROI that was given another domain is scored as it is: classes
    that the true domain has not are background.

    Args:
        network: Encoder and heads.
        class_names: Foreground classes of each domain, in the order of the mask's values from 1.
        fine_tuned: Whether the encoder is trained, too; otherwise it stays as it came.
        loss: Called with logits (B, K, Y, X) and target (B, 1, Y, X); soft Dice plus cross-entropy,
            1:1, by default.
        optimizer: From parameters to an optimizer.
        tile: Side of the tiles in pixels, a multiple of 32, when ROIs are segmented.
        tiling: How they lie: overlapped and blended, or quadrants side by side.
        **kwargs: Those of :class:`lotus.tasks.warm_up.WarmUpTask`.

    Raises:
        ValueError: Heads and classes do not fit, or the tile is no multiple of 32.
    """

    monitor: ClassVar[str] = "val_dice"
    inference_kind: ClassVar[str] = "roi_segmenter"

    def __init__(
        self,
        network: RoutedSegmenter,
        class_names: dict[str, list[str]],
        fine_tuned: bool = False,
        loss: nn.Module | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.AdamW(
            parameters, lr=5e-4, weight_decay=5e-2
        ),
        tile: int = TILE,
        tiling: Tiling = "overlapped",
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, **kwargs)
        window_grid((1, 1), tile, 0.0)
        found = {name: getattr(head, "classes", 0) for name, head in network.heads.items()}
        if found != {name: len(classes) for name, classes in class_names.items()}:
            raise ValueError(
                f"the heads have {found} classes, but class_names are {class_names}: give every "
                "domain a head with as many classes as it has names"
            )
        self.save_hyperparameters()
        self.network = network
        self.class_names = {name: class_names[name] for name in network.domains}
        self.fine_tuned = fine_tuned
        self.loss = loss or _dice_cross_entropy()
        self.tile = tile
        self.tiling: Tiling = tiling
        network.encoder.requires_grad_(fine_tuned)
        self._features: dict[str, deque[Tensor]] = {}
        self.configure_metrics()

    def configure_metrics(self) -> None:
        """Scores of each domain, and how often its ROIs are given it."""
        names = self.class_names.items()
        for stage in ("val", "test"):
            scores = nn.ModuleDict({name: RegionScores(classes) for name, classes in names})
            routed = nn.ModuleDict({name: MeanMetric() for name in self.class_names})
            setattr(self, f"{stage}_scores", scores)
            setattr(self, f"{stage}_routed", routed)
        # Of the validation tiles to their own domain, and their squares.
        kinds = ("distance", "square")
        self.distances = nn.ModuleDict(
            {name: nn.ModuleDict({kind: MeanMetric() for kind in kinds}) for name, _ in names}
        )

    def callbacks(self) -> list[pl.Callback]:
        """Class maps of the tested ROIs in the run folder, and their scores."""
        # Pictures and tables are not needed to build a task.
        from lotus.callbacks import ClassMapWriter

        return [ClassMapWriter()]

    def charts(self) -> list[Chart]:
        """Dice and routing of the domains, and the terms of the loss."""
        names = {name: name for name in self.class_names}
        dice = {f"val_{name}_dice_macro": name for name in names}
        routed = {f"val_{name}_routed": name for name in names}
        terms = {f"train_loss_{name}": name for name in (*names, "router")}
        return [
            Chart("Dice of the domains", dice, "Dice", "Mean over classes, then over ROIs."),
            Chart("Routing", routed, "share", "ROIs that were given their own domain."),
            Chart("Loss terms", terms, "value", "Of each domain's head, and of the router."),
        ]

    def summary(self) -> dict[str, Any]:
        """Encoder, its origin, and how many weights are trained."""
        weights = list(self.network.parameters())
        encoder = self.network.encoder
        return {
            "encoder": encoder.name,
            "encoder_weights": str(encoder.weights or "random"),
            "fine_tuned": self.fine_tuned,
            "parameters": sum(weight.numel() for weight in weights),
            "trained_parameters": sum(w.numel() for w in weights if w.requires_grad),
        }

    def origins(self) -> list[Path]:
        """The file that the encoder came from, if there is one."""
        weights = self.network.encoder.weights
        return [] if weights is None else [Path(weights)]

    def inference_record(self) -> dict[str, Any]:
        """Everything but weights that is needed to segment a ROI.

        Raises:
            ValueError: The network neither came from a configuration nor keeps its arguments.
        """
        trainer = self._trainer
        data = None if trainer is None else getattr(trainer, "datamodule", None)
        return {
            "network": network_description(self),
            "class_names": {name: list(classes) for name, classes in self.class_names.items()},
            "preprocessing": describe(getattr(data, "preprocessing", None)),
            "spacing_um": describe(getattr(data, "spacing_um", None)),
            "resample": bool(getattr(data, "resamples", False)),
            "tile": self.tile,
            "tiling": self.tiling,
            "precision": self._precision,
        }

    def train(self, mode: bool = True) -> "DualDomainTask":
        """Training mode for everything but an encoder that stays as it came."""
        super().train(mode)
        if not self.fine_tuned:
            self.network.encoder.eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, Any]:
        """As :meth:`lotus.networks.RoutedSegmenter.forward`."""
        found: tuple[Tensor, Any] = self.network(image)
        return found

    def training_step(self, batch: Parts, batch_idx: int) -> Tensor:
        """Loss of one batch ``{domain: batch}``."""
        terms, features = {}, []
        for name in self.class_names:
            tokens = self._tokens(batch[name]["image"])
            features.append(tokens.feature.detach().float())
            terms[name] = self._segmentation_loss(self.network.heads[name](tokens), batch[name])
            self._features.setdefault(name, deque(maxlen=MOST_FEATURES)).extend(features[-1].cpu())
        mean = torch.stack(list(terms.values())).mean()
        terms["router"] = self._router_loss(features)
        loss = mean + terms["router"]
        self.log_training_loss(loss, sum(len(feature) for feature in features), terms)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Tell the router what features of each domain are usual."""
        for name, features in self._features.items():
            own = torch.stack(list(features)).to(self.device)
            gathered = self.all_gather(own)
            known = torch.as_tensor(gathered).reshape(-1, own.shape[1])
            self.network.router.describe(name, known)

    def validation_step(self, batch: Batch, batch_idx: int) -> RoiPrediction:
        """Scores of one ROI at native size, and how far its tiles are from those of training."""
        found = self._evaluate(batch, "val")
        domain = batch["modality"][0]
        away = torch.from_numpy(found["distances"][:, self.network.domains.index(domain)]).double()
        self._distance(domain, "distance").update(away)
        self._distance(domain, "square").update(away.square())
        return found

    def test_step(self, batch: Batch, batch_idx: int) -> RoiPrediction:
        """Scores of one ROI at native size."""
        return self._evaluate(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> RoiPrediction:
        """Class map of one ROI at native size."""
        if len(batch["image"]) != 1:
            raise ValueError(f"ROIs are segmented one at a time, got {len(batch['image'])}")
        pixels = as_seen(batch)["image"][0].float().cpu().numpy()
        size = (pixels.shape[1], pixels.shape[2])
        return segment_roi(
            self.network,
            pixels,
            roi_grid(size, self.tile, self.tiling),
            in_channels=3,
            batch_size=windows_at_once(self.device),
            bfloat16=self._precision == "bf16",
            back=lambda found: at_own_size(found, batch),
        )

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the validation ROIs; what is as far as their tiles fits, too."""
        self._log("val")
        for name in self._features:
            mean, square = (
                float(self._distance(name, kind).compute()) for kind in ("distance", "square")
            )
            self.network.router.widen(name, mean, max(square - mean**2, 0.0) ** 0.5)
        for each in self.distances.modules():
            if isinstance(each, MeanMetric):
                each.reset()

    def on_test_epoch_end(self) -> None:
        """Log the scores of the test ROIs."""
        self._log("test")

    @property
    def _precision(self) -> str:
        """What the trainer's tests compute in."""
        return "32" if self._trainer is None else inference_precision(self.trainer)

    def _distance(self, domain: str, kind: str) -> MeanMetric:
        return cast("MeanMetric", cast("nn.ModuleDict", self.distances[domain])[kind])

    def _tokens(self, image: Tensor) -> VisionTokens:
        with torch.set_grad_enabled(self.fine_tuned and torch.is_grad_enabled()):
            return self.network.tokens(image)

    def _segmentation_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return loss_of_known_pixels(
            self.loss, logits.float(), batch["mask"][:, None], batch.get("ignored")
        )

    def _router_loss(self, features: list[Tensor]) -> Tensor:
        """Cross-entropy, every domain alike however many tiles it has in the batch."""
        terms = [
            F.cross_entropy(
                self.network.router(feature).float(),
                torch.full((len(feature),), index, device=feature.device),
            )
            for index, feature in enumerate(features)
        ]
        return torch.stack(terms).mean()

    def _evaluate(self, batch: Batch, stage: Literal["val", "test"]) -> RoiPrediction:
        domain = batch["modality"][0]
        if domain not in self.class_names:
            raise ValueError(
                f"{batch['name'][0]} is of {domain}; this network knows "
                f"{', '.join(self.class_names)}"
            )
        found = self.predict_step(batch, 0)
        given, true = as_compared(found, batch, self.class_names)
        getattr(self, f"{stage}_scores")[domain].update(given, true)
        getattr(self, f"{stage}_routed")[domain].update(float(found["domain"] == domain))
        return found

    def _log(self, stage: Literal["val", "test"]) -> None:
        """Every domain's scores, and the mean over domains of their macro Dice as ``dice``."""
        dice = []
        for name, scores in getattr(self, f"{stage}_scores").items():
            values = scores.compute()
            dice.append(values["dice_macro"].float())
            named = {f"{stage}_{name}_{key}": value.float() for key, value in values.items()}
            self.log_dict(named)
            scores.reset()
        for name, routed in getattr(self, f"{stage}_routed").items():
            self.log(f"{stage}_{name}_routed", routed.compute())
            routed.reset()
        self.log(f"{stage}_dice", torch.stack(dice).nanmean())


def _dice_cross_entropy() -> nn.Module:
    from monai.losses import DiceCELoss  # MONAI is loaded where a configuration needs it.

    loss: nn.Module = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False)
    return loss
