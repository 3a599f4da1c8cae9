"""What every task has in common."""

from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import Metric

from lotus.runs import RunFolder
from lotus.runs.charts import Chart


class BaseTask(pl.LightningModule, ABC):
    """A training that says itself what others need to know of it.

    The command line, callbacks, engines and reports ask a task, and know none by its class: which
    score picks the best checkpoint (:attr:`monitor`), in which phase of the training
    (:attr:`phases`), what is measured (:meth:`configure_metrics`) and shown (:meth:`charts`), what
    happens around the training (:meth:`callbacks`) and after it (:meth:`after_fit`), what a
    checkpoint needs to be used without the task (:meth:`inference_record`) and what it is then
    (:attr:`inference_kind`), what the report says of the network (:meth:`summary`), and from which
    files its weights or its guidance come (:meth:`origins`).

    Args:
        optimizer: From parameters to an optimizer.
        lr_scheduler: From an optimizer to a scheduler that steps every epoch.

    Attributes:
        monitor: Name of the logged score that picks the best checkpoint.
        phases: How many phases the training has. The best checkpoint is one of the last of them.
        inference_kind: What a checkpoint is used as, and the name of its record there:
            ``segmenter``, ``volume_segmenter`` or ``classifier``.
        patients: Whom the weights know, as plain data for the checkpoints; None if nobody said.
    """

    monitor: ClassVar[str] = "val_loss"
    phases: ClassVar[int] = 1
    inference_kind: ClassVar[str] = "segmenter"

    def __init__(
        self, optimizer: OptimizerCallable, lr_scheduler: LRSchedulerCallable | None = None
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.patients: Mapping[str, Any] | None = None

    @property
    def phase(self) -> int:
        """The phase that is trained, from 1; it changes between epochs only."""
        return 1

    # Hooks are empty where most tasks have nothing to say.
    def configure_metrics(self) -> None:
        """Make the metrics that the steps update; a constructor calls it at its end."""

    def callbacks(self) -> list[pl.Callback]:
        """What goes with every training, test and prediction of this task.

        A callback that the configuration names itself takes the place of one of its class.
        """
        return []

    def charts(self) -> list[Chart]:
        """What the report shows of the curves beside losses, scores and learning rate."""
        return []

    def inference_record(self) -> dict[str, Any] | None:
        """What using the network needs besides weights, as plain data; None if that cannot be."""
        return None

    def summary(self) -> dict[str, Any]:
        """What the report says of the network, as plain data; of one that is set up."""
        return {}

    def origins(self) -> list[Path]:
        """The checkpoints that the weights come from or that guide their training.

        None of them may know a patient whom the training tests.
        """
        return []

    def after_fit(self, run: RunFolder) -> None:
        """Make what a finished training leaves besides its checkpoints; called on one process.

        Args:
            run: Its folder.
        """

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer over what is trained, and its scheduler."""
        trained = [weight for weight in self.parameters() if weight.requires_grad]
        optimizer = self.optimizer(trained)
        if self.lr_scheduler is None:
            return optimizer
        return [optimizer], [self.lr_scheduler(optimizer)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what inference needs besides weights, and whom the weights know."""
        record = self.inference_record()
        if record is not None:
            checkpoint[self.inference_kind] = record
        if self.patients is not None:
            checkpoint["patients"] = self.patients

    def log_training_loss(
        self, loss: Tensor, batch_size: int, terms: dict[str, Tensor] | None = None
    ) -> None:
        """Log the mean over an epoch of the loss, and of its terms as ``train_loss_<term>``.

        Args:
            loss: What is minimised.
            batch_size: Images that it is the mean of.
            terms: Its parts.
        """
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "batch_size": batch_size}
        self.log("train_loss", loss, prog_bar=True, sync_dist=True, **options)
        values = {f"train_loss_{name}": term.detach() for name, term in (terms or {}).items()}
        self.log_dict(values, sync_dist=True, **options)

    def log_scores(self, stage: Literal["val", "test"], scores: Metric) -> None:
        """Log what a metric of several named scores came to, and start it anew.

        Args:
            stage: ``val`` or ``test``, the first part of the names.
            scores: Its ``compute`` gives a mapping.
        """
        values = scores.compute()
        self.log_dict({f"{stage}_{name}": value.float() for name, value in values.items()})
        scores.reset()
