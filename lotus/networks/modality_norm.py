"""One network for two modalities: shared convolutions, normalisation layers of their own."""

from copy import deepcopy
from typing import Any

from torch import nn

NORM_LAYERS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)


def with_own_norm_layers(network: nn.Module) -> nn.Module:
    """A second stream through a network: the same weights, but its own normalisation layers.

    Convolutions of both streams hold the same parameters, so that a gradient through either
    trains both. Scale, shift and running statistics of the normalisation start as copies and go
    their own way (UMMKD, Dou et al., IEEE TMI 2020). The network itself is left as it is:
    it stays the plain network of the first modality.

    Args:
        network: Any network with normalisation layers.

    Returns:
        A network of the same class.

    Raises:
        ValueError: Nothing in the network normalises, both streams would be one and the same.
    """
    own = {
        id(weight)
        for module in network.modules()
        if isinstance(module, NORM_LAYERS)
        for weight in module.parameters()
    }
    if not own:
        raise ValueError(
            f"{type(network).__name__} has no normalisation layer with weights; modalities that "
            "share convolutions need one, e.g. BatchNorm as in lotus.networks.UNet"
        )
    # What is noted here counts as copied already, and is used as it is.
    shared: dict[int, Any] = {
        id(weight): weight for weight in network.parameters() if id(weight) not in own
    }
    return deepcopy(network, shared)
