"""Vision transformers of timm as encoders of images."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from lotus.networks.image_net import Standardise

STANDARD = "vit_small_patch16_224"
"""ViT-S/16, the encoder of both domains."""
USUAL = {"reg_tokens": 4, "dynamic_img_size": True, "num_classes": 0}
"""Arguments of ``timm.create_model``, unless others are given."""


class VisionTransformer(nn.Module):
    """A vision transformer of timm without a classifier, for images of any multiple of its patch.

    Images in [0, 1] are standardised inside with ImageNet's mean and standard deviation, whatever
    the weights, so that a file of weights alone says how its images are to be shown.

    Args:
        name: What timm calls the transformer.
        options: Further arguments of ``timm.create_model``, which go before the usual ones: four
            register tokens, and positions that are interpolated for images of another size.
        weights: A ``.safetensors`` file of such a transformer to start from; random without.

    Attributes:
        model: The module of timm.
        architecture: With the name, what ``timm.create_model`` made it of.
        dim: Width D of its tokens.
        patch: Side of a patch in pixels.
        depth: Number of blocks.
        heads: Attention heads of a block.

    Raises:
        ValueError: Timm has no such transformer, it does not take the options, or the weights are
            those of another.
        FileNotFoundError: No such file of weights.
    """

    def __init__(
        self,
        name: str = STANDARD,
        options: Mapping[str, Any] | None = None,
        weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.options = dict(options or {})
        self.weights = weights
        self.architecture: dict[str, Any] = {**USUAL, **self.options}
        self.model = _create(name, self.architecture)
        self.dim: int = self.model.num_features
        self.patch: int = self.model.patch_embed.patch_size[0]
        self.depth = len(self.model.blocks)
        self.heads: int = self.model.blocks[-1].attn.num_heads
        self.standardise = Standardise(3)
        if weights is not None:
            _load(self.model, Path(weights), name)

    def forward(self, image: Tensor) -> Tensor:
        """Embeddings (B, D) of images (B, 3, Y, X) in [0, 1]."""
        embedding: Tensor = self.model(self.standardise(image))
        return embedding


def _create(name: str, options: Mapping[str, Any]) -> Any:
    import timm  # A task that may take such an encoder starts without it.

    if not timm.is_model(name):
        like = get_close_matches(name, timm.list_models("vit_*"), n=4, cutoff=0.0)
        raise ValueError(f"timm has no network {name!r}; the nearest are {', '.join(like)}")
    try:
        model: Any = timm.create_model(name, **options)
    except (RuntimeError, TypeError, KeyError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ValueError(f"{name} of timm cannot be made: {detail}") from error
    if not isinstance(model, timm.models.VisionTransformer):
        raise ValueError(f"{name} of timm is a {type(model).__name__}; a ViT is expected")
    return model


def _load(model: nn.Module, path: Path, name: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no file of weights here")
    metadata: dict[str, str] = {}
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path} does not hold weights of this {name}: {_said_of(metadata) or detail}"
        ) from error


def _said_of(metadata: Mapping[str, str]) -> str:
    """Which network the weights of a pretraining are of; empty where their file does not say."""
    if "architecture" not in metadata:
        return ""
    options = json.loads(metadata.get("options", "{}"))
    given = [f"{key}={value}" for key, value in options.items() if USUAL.get(key) != value]
    return "they are those of " + " with ".join(
        filter(None, [metadata["architecture"], ", ".join(given)])
    )
