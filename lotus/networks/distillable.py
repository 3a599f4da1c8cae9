"""Features and logits of any segmentation network that ends in a convolution."""

from typing import Any

import torch
from torch import Tensor, nn

TOLERANCE = 1e-3
"""Of values that one convolution gave twice, relative to the largest."""


def segmentation_head(network: nn.Module) -> nn.Conv2d:
    """The convolution that turns the last features into logits.

    It is ``network.head`` where the network has one, otherwise the last convolution in the order
    of registration, which is the head of MONAI's U-Net family.

    Raises:
        ValueError: There is no two-dimensional convolution in the network.
    """
    head = getattr(network, "head", None)
    if isinstance(head, nn.Conv2d):
        return head
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        raise ValueError(
            f"{type(network).__name__} has no 2-D convolution: a distillable network ends in a "
            "convolution, or has `features(image)` and `head(features)`"
        )
    return convolutions[-1]


def features_and_logits(network: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """Run a network once and return what goes into its head and what comes out of it.

    Args:
        network: A segmentation network.
        image: (B, C, Y, X) float.

    Returns:
        Features (B, D, Y, X) and logits (B, K, Y, X). Under deep supervision, the first logits.
        That they belong together is what :func:`check_distillable` makes sure of.

    Raises:
        ValueError: The head is never reached.
    """
    head = segmentation_head(network)
    own_features = getattr(network, "features", None)
    if callable(own_features) and head is getattr(network, "head", None):
        features: Tensor = own_features(image)
        return features, head(features)
    caught: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        output = network(image)
    finally:
        handle.remove()
    if not caught:
        raise ValueError(_not_the_head(network, "is not reached"))
    return caught[-1], _first(output)


def check_distillable(network: nn.Module, in_channels: int) -> None:
    """Refuse a network whose head does not turn its features into its logits.

    Shapes do not tell: the last convolution may be a residual one whose output is added to
    another, or the head of another output than the first. So an image of noise goes through.

    Args:
        network: A segmentation network; its mode is kept.
        in_channels: Channels of its images.

    Raises:
        ValueError: The logits are not those of the features.
    """
    image = torch.rand(1, in_channels, 64, 64, generator=torch.Generator().manual_seed(0))
    image = image.to(next(network.parameters()).device)
    was_training = network.training
    network.eval()
    with torch.no_grad():
        features, _ = features_and_logits(network, image)
        from_features = segmentation_head(network)(features)
        logits = _first(network(image))
    network.train(was_training)
    if from_features.shape != logits.shape:
        found = f"gives {tuple(from_features.shape)} where the logits are {tuple(logits.shape)}"
        raise ValueError(_not_the_head(network, found))
    difference, scale = (from_features - logits).abs().max(), logits.abs().max()
    if difference > TOLERANCE * scale:
        found = f"gives values that differ by up to {difference:.2g} from the logits"
        raise ValueError(_not_the_head(network, found))


def _first(output: Any) -> Tensor:
    logits: Tensor = output[0] if isinstance(output, list | tuple) else output
    return logits


def _not_the_head(network: nn.Module, found: str) -> str:
    return (
        f"the last convolution of {type(network).__name__} is not the head of its (first) output: "
        f"it {found}; give the network `features(image)` and `head(features)`, or leave out what "
        "comes after that convolution, such as deep supervision or residual units"
    )
