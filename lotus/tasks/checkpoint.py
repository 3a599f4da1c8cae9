"""What a checkpoint tells besides weights, and reading it without running its code."""

import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pytorch_lightning as pl
import torch
from torch import Tensor

from lotus.tasks.description import describe, with_public_paths
from lotus.windows import OVERLAP, WINDOW

PRETRAINED = {
    "encoder_weights": None,
    "weights": None,
    "weights_backbone": None,
    "pretrained": False,
}
"""Arguments by which common networks fetch pre-trained weights, and their value for none."""

USES = {
    "segmenter": "it finds objects in images; use `lotus segment IMAGE --output FOLDER`",
    "roi_segmenter": "it makes class maps of ROIs; use `lotus segment ROIS --output FOLDER`",
    "volume_segmenter": "it labels volumes; use `lotus segment VOLUME --output NAME.ome.zarr`",
    "classifier": "it gives groups, no masks; use `lotus predict`, or `lotus explain` for maps",
    "encoder": "it gives features alone; train heads on the .safetensors file of its run folder",
}
"""What the checkpoints of each kind are for; the names are those of the records in them."""


def without_pretraining(network: dict[str, Any]) -> dict[str, Any]:
    """A network's description that fetches no weights: a checkpoint brings its own.

    Nor do the networks fetch any that it is made of.
    """
    arguments = {
        name: without_pretraining(value) if _is_object(value) else value
        for name, value in (network.get("init_args") or {}).items()
    }
    fetched = {name: PRETRAINED[name] for name in arguments if name in PRETRAINED}
    return {**network, "init_args": {**arguments, **fetched}}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and "class_path" in value


def network_description(task: pl.LightningModule) -> dict[str, Any]:
    """The network of a task as plain data, which fetches no weights.

    Args:
        task: Its attribute ``network`` is described.

    Raises:
        ValueError: The network neither came from a configuration nor keeps its arguments.
    """
    given = task.hparams.get("network")
    return without_pretraining(given if isinstance(given, dict) else describe(task.network))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents, on the CPU, loaded as data only.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a checkpoint, or one that holds code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}: give a .ckpt file of a lotus run")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, BadZipFile, OSError, ValueError) as error:
        detail = " ".join(str(error).split())[:160]
        raise ValueError(
            f"{path} is not a readable checkpoint ({detail}); remove it or give another"
        ) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise ValueError(f"{path} is not a Lightning checkpoint: it has no state_dict")
    return checkpoint


def check_architecture(task: pl.LightningModule, path: Path) -> None:
    """Refuse a checkpoint whose weights are not those of a task.

    Args:
        task: What would load them.
        path: The checkpoint. A distillation's does not hold the teacher.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a checkpoint, or of another task or architecture.
    """
    found = _shapes(read_checkpoint(path)["state_dict"])
    expected = _shapes(task.state_dict())
    names = {*found, *expected}
    different = sorted(name for name in names if found.get(name) != expected.get(name))
    if different:
        name = different[0]
        raise ValueError(
            f"{path} is of another architecture than the configuration: {len(different)} of "
            f"{len(names)} weights differ, first {name} ({found.get(name, 'absent')} in the file, "
            f"{expected.get(name, 'absent')} expected); use the configuration it was trained with"
        )


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(value.shape) for name, value in state.items() if not name.startswith("teacher.")
    }


def state_of(checkpoint: dict[str, Any], prefix: str) -> dict[str, Tensor]:
    """The weights of one submodule, by its prefix, with the prefix taken off.

    Raises:
        ValueError: There are none.
    """
    state = {
        name.removeprefix(prefix): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    if not state:
        raise ValueError(f"the checkpoint has no weights under {prefix!r}: not a lotus task's")
    return state


def segmenter_of(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """The record that a task's ``inference_record`` left in a checkpoint.

    One of version 0.1 says nothing of windows and precision; those of `lotus segment` then hold.
    Nor does it speak of resampling: there was none.

    Raises:
        ValueError: There is none, as in the checkpoint of a classifier.
    """
    record = _record_of(checkpoint, path, "segmenter")
    earlier = {"window": WINDOW, "overlap": OVERLAP, "precision": "32", "resample": False}
    return earlier | record


def refuse_without_preprocessing(record: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint from which nobody can tell how to show its network an image.

    Args:
        record: Of :func:`segmenter_of` or :func:`roi_segmenter_of`.
        path: The checkpoint's file.

    Raises:
        ValueError: It does not say how images are preprocessed.
    """
    if record["preprocessing"] is None:
        raise ValueError(
            f"{path} does not say how its images were preprocessed: it was saved without a data "
            "module; train it with `lotus fit`"
        )


def volume_segmenter_of(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """The record that a task of volumes left in a checkpoint.

    Raises:
        ValueError: There is none, as in the checkpoint of a segmenter of images.
    """
    return _record_of(checkpoint, path, "volume_segmenter")


def roi_segmenter_of(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """The record that a task of several domains left in a checkpoint.

    Raises:
        ValueError: There is none, as in the checkpoint of a segmenter of objects.
    """
    return _record_of(checkpoint, path, "roi_segmenter")


def classifier_of(checkpoint: dict[str, Any], path: Path) -> dict[str, Any]:
    """The record that a classification task's ``inference_record`` left in a checkpoint.

    Raises:
        ValueError: There is none, as in the checkpoint of a segmenter.
    """
    return _record_of(checkpoint, path, "classifier")


def _record_of(checkpoint: dict[str, Any], path: Path, kind: str) -> dict[str, Any]:
    record = checkpoint.get(kind)
    if isinstance(record, dict):
        current: dict[str, Any] = with_public_paths(record)
        return current
    for other, use in USES.items():
        if isinstance(checkpoint.get(other), dict):
            raise ValueError(f"{path} is a {other}'s, not a {kind}'s: {use}")
    raise ValueError(f"{path} was not written by a lotus task: it has no {kind} record")
