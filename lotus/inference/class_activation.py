"""Where a classifier looks: GradCAM on any of its layers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from monai.visualize import GradCAM
from torch import Tensor, nn


class ClassActivation:
    """GradCAM (Selvaraju et al., ICCV 2017), as MONAI computes it, of a whole batch at once.

    The map is ReLU(Σ_c w_c f_c) of the layer's output f, where w_c is the mean over all pixels of
    the derivative of the logit of a class by f_c. It is neither stretched nor enlarged.

    The network is changed: layers no longer work in place, which hooks do not go together with, and
    its weights no longer ask for gradients.

    Args:
        network: From images (B, C, Y, X) to logits (B, K), in evaluation mode.
        layer: Name of the layer, as ``network.named_modules`` has it; None: the last one that puts
            out a map, which is what the head of a classifier reads.
        image: One image (1, C, Y, X) to find the layers with.
        options: Further arguments of the network, such as ``guide``.

    Attributes:
        layer: Name of the layer.

    Raises:
        ValueError: There is no such layer, or none that could be taken; names those that there are.
    """

    def __init__(
        self, network: nn.Module, layer: str | None, image: Tensor, **options: Tensor
    ) -> None:
        for module in network.modules():
            if "inplace" in vars(module):
                vars(module)["inplace"] = False
        network.requires_grad_(False)
        names = map_layers(network, image, **options)
        if not names:
            raise ValueError(
                f"{type(network).__name__} has no layer that puts out a map of several pixels for "
                f"images of {image.shape[-2]} x {image.shape[-1]} px: nothing can be explained"
            )
        if layer is not None and layer not in names:
            raise ValueError(f"no layer {layer!r} with a map; there are {', '.join(names)}")
        self.layer = layer or names[-1]
        self._cam = GradCAM(network, self.layer)

    def __call__(self, images: Tensor, classes: Tensor, **options: Tensor) -> Tensor:
        """The maps of images, each for a class of its own.

        Args:
            images: (B, C, Y, X).
            classes: int64 (B,).
            options: Further arguments of the network, each (B, ...).

        Returns:
            float32 (B, 1, H, W), at least 0, in the pixels of the layer.
        """
        maps: dict[int, Tensor] = {}
        # MONAI sums the logits of all classes of a batch, so that each image would be explained for
        # the classes of the others too: a batch has one class.
        for index in sorted(set(classes.tolist())):
            members = (classes == index).nonzero()[:, 0]
            own = images[members].detach().requires_grad_()
            given: Mapping[str, Any] = {name: value[members] for name, value in options.items()}
            found = self._cam.compute_map(own, class_idx=index, **given).detach().float()
            maps |= zip(members.tolist(), found, strict=True)
        return torch.stack([maps[number] for number in range(len(images))])


def map_layers(network: nn.Module, image: Tensor, **options: Tensor) -> list[str]:
    """The layers that GradCAM can be computed on.

    Args:
        network: From images to logits.
        image: (1, C, Y, X).
        options: Further arguments of the network.

    Returns:
        The names of those that put out one map (1, D, H, W) of several channels and pixels and are
        passed once, in the order in which they end.
    """
    passed: Counter[str] = Counter()
    found: dict[str, None] = {}

    def remember(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            passed[name] += 1
            is_map = isinstance(output, Tensor) and output.ndim == 4
            if is_map and output.shape[1] > 1 and output.shape[2] * output.shape[3] > 1:
                found[name] = None

        return hook

    named: Iterable[tuple[str, nn.Module]] = ((n, m) for n, m in network.named_modules() if n)
    hooks = [module.register_forward_hook(remember(name)) for name, module in named]
    try:
        with torch.inference_mode():
            network(image, **options)
    finally:
        for hook in hooks:
            hook.remove()
    return [name for name in found if passed[name] == 1]
