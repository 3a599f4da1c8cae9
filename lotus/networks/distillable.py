"""Features and logits of any segmentation network that ends in a convolution."""

from torch import Tensor, nn


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
        Features (B, D, Y, X) and logits (B, K, Y, X). Under deep supervision, the finest logits.

    Raises:
        ValueError: The head is never reached, or the logits do not come straight from it.
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
    logits = output[0] if isinstance(output, list | tuple) else output
    if not caught or logits.shape[-2:] != caught[-1].shape[-2:]:
        raise ValueError(
            f"the last convolution of {type(network).__name__} does not give its logits: "
            "give the network `features(image)` and `head(features)`"
        )
    return caught[-1], logits
