"""A VGG with few channels, known to timm as ``vgg_narrow``."""

from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vgg import VGG
from torch import nn

LAYERS = [16, 16, "M", 32, 32, "M", 64, 64, "M", 128, 128, "M"]

# Timm looks for a variable of this name where a network is registered.
default_cfgs = generate_default_cfgs(
    {"vgg_narrow.untrained": {"mean": IMAGENET_DEFAULT_MEAN, "std": IMAGENET_DEFAULT_STD}}
)


@register_model  # type: ignore[untyped-decorator]  # timm is not typed
def vgg_narrow(pretrained: bool = False, **kwargs: Any) -> VGG:
    """VGG (Simonyan & Zisserman, 2015) in eight layers of 16 to 128 channels, with BatchNorm.

    Two CPU cores train it in minutes, from random weights; there are no others. Its last map has a
    sixteenth of the image's size. The linear layers have a sixteenth of VGG's units.

    Args:
        pretrained: Refused, as timm refuses it of every network without weights.
        **kwargs: Those of timm's VGG.
    """
    arguments = {"norm_layer": nn.BatchNorm2d, "mlp_ratio": 1 / 16} | kwargs
    model: VGG = build_model_with_cfg(
        VGG,
        "vgg_narrow",
        pretrained,
        model_cfg=LAYERS,
        feature_cfg={"flatten_sequential": True, "out_indices": (0, 1, 2, 3, 4)},
        **arguments,
    )
    return model
