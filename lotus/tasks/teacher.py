"""The frozen teacher of a distillation."""

from pathlib import Path

from torch import nn

from lotus.networks import segmentation_head
from lotus.tasks.checkpoint import read_checkpoint, segmenter_of
from lotus.tasks.description import build
from lotus.tasks.segmentation import SegmentationTask, start_from


def load_teacher(checkpoint: Path, student: SegmentationTask) -> nn.Module:
    """The frozen network of a checkpoint, checked against the student that it will teach.

    Raises:
        FileNotFoundError: No such checkpoint.
        ValueError: Channels, classes or feature widths do not fit.
    """
    record = segmenter_of(read_checkpoint(checkpoint), checkpoint)
    teacher: nn.Module = build(record["network"])
    start_from(teacher, checkpoint)
    for what, found, expected in (
        ("input channels", record["in_channels"], student.in_channels),
        ("classes", len(record["class_names"]), len(student.class_names)),
        (
            "output channels",
            segmentation_head(teacher).out_channels,
            segmentation_head(student.network).out_channels,
        ),
        (
            "feature channels before the head",
            segmentation_head(teacher).in_channels,
            segmentation_head(student.network).in_channels,
        ),
    ):
        if found != expected:
            raise ValueError(
                f"the teacher {checkpoint} does not fit the student: {what} {found} against "
                f"{expected}; train both with the same network and classes"
            )
    return teacher.eval().requires_grad_(False)
