"""The encoder of a pretraining as a file that timm, too, can load."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lotus.atomic import atomic_path
from lotus.networks.vision_transformer import VisionTransformer


def write_encoder(
    path: Path,
    encoder: VisionTransformer,
    weights: Mapping[str, Tensor],
    patients: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights of an encoder, with its architecture in the metadata.

    ``timm.create_model(metadata["architecture"], **json.loads(metadata["options"]))`` makes the
    network that takes them. ``mean`` and ``standard_deviation`` say how images in [0, 1] are shown
    to it.

    Args:
        path: The file, ``.safetensors``.
        encoder: The architecture.
        weights: Of timm's module, by its names.
        patients: Whom they know, as their checkpoint says it; None if nobody said.
    """
    metadata = {
        "format": "pt",
        "architecture": encoder.name,
        "options": json.dumps(encoder.architecture),
        "mean": json.dumps(encoder.standardise.mean.flatten().tolist()),
        "standard_deviation": json.dumps(encoder.standardise.standard_deviation.flatten().tolist()),
    }
    if patients is not None:
        metadata["patients"] = json.dumps(patients)
    with atomic_path(path) as temporary:
        save_file(
            {name: value.contiguous() for name, value in weights.items()}, temporary, metadata
        )


def patients_of(path: Path) -> dict[str, Any] | None:
    """Whom the weights in an encoder's file know; None if it does not say.

    Args:
        path: The file, wherever it was moved.

    Raises:
        SafetensorError: It is damaged.
    """
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    known: dict[str, Any] | None = json.loads(metadata.get("patients", "null"))
    return known
