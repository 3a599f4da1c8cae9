"""What is trained: one LightningModule per file."""

from lotus.tasks.distillation import DistillationTask
from lotus.tasks.segmentation import SegmentationTask

__all__ = ["DistillationTask", "SegmentationTask"]
