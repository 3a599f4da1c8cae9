"""The student of a distillation, without what only its training needed."""

import inspect
from pathlib import Path

import torch

from lotus.atomic import atomic_path
from lotus.tasks.base import BaseTask
from lotus.tasks.checkpoint import read_checkpoint, segmenter_of, state_of
from lotus.tasks.description import public_path
from lotus.tasks.segmentation import SegmentationTask


def export_student(checkpoint: Path, output: Path) -> None:
    """Write the student of a distillation as a checkpoint of a plain SegmentationTask.

    Projector, denoiser, noise adapter and the state of the training are left out.

    Args:
        checkpoint: A checkpoint of a DistillationTask.
        output: The file to write.
    """
    contents = read_checkpoint(checkpoint)
    names = {"_instantiator"}
    for kind in SegmentationTask.__mro__:
        if issubclass(kind, BaseTask):
            names.update(inspect.signature(kind.__init__).parameters)
    hyper_parameters = {
        name: value for name, value in contents["hyper_parameters"].items() if name in names
    }
    student = {
        "epoch": contents["epoch"],
        "global_step": contents["global_step"],
        "pytorch-lightning_version": contents["pytorch-lightning_version"],
        "state_dict": {
            f"network.{name}": value for name, value in state_of(contents, "network.").items()
        },
        "hyper_parameters": {**hyper_parameters, "_class_path": public_path(SegmentationTask)},
        "segmenter": segmenter_of(contents, checkpoint),
    }
    if "patients" in contents:
        student["patients"] = contents["patients"]
    with atomic_path(output) as path:
        torch.save(student, path)
