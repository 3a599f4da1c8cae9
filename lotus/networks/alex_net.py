"""AlexNet as a classifier: timm has none, torchvision has."""

import warnings
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torchvision.models import AlexNet_Weights, alexnet

from lotus.networks.image_net import Standardise

IMAGE_NET = AlexNet_Weights.IMAGENET1K_V1
UNITS = 4096


class AlexNet(nn.Module):
    """Torchvision's AlexNet (Krizhevsky, 2014) in two parts: encoder and head.

    Images in [0, 1] are standardised inside by ImageNet's mean and standard deviation, with and
    without pre-trained weights. Images have at least 63 px a side.

    Args:
        classes: Number K of classes.
        in_channels: Channels of the images; with another number than three the first layer is
            random.
        pretrained: Start from torchvision's weights of ImageNet, all but the last layer. They are
            downloaded unless torch's cache has them; if that fails, a warning says that the weights
            are random.
        units: Of the two hidden linear layers, 4096 in the paper; with another number those layers
            are random.

    Attributes:
        weights_source: Where the weights come from, in words.
    """

    def __init__(
        self,
        classes: int = 2,
        in_channels: int = 3,
        *,
        pretrained: bool = False,
        units: int = UNITS,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.in_channels = in_channels
        self.pretrained = pretrained
        self.units = units
        self.network = alexnet(weights=None, num_classes=classes)
        if units != UNITS:
            _make_linear_layers(self.network.classifier, units)
        if in_channels != 3:
            first = self.network.features[0]
            self.network.features[0] = nn.Conv2d(
                in_channels, first.out_channels, first.kernel_size, first.stride, first.padding
            )
        self.standardise = Standardise(in_channels)
        self.weights_source = self._start_from_image_net() if pretrained else "random"

    def features(self, image: Tensor) -> Tensor:
        """The feature map (B, 256, H, W) after the last max pooling."""
        found: Tensor = self.network.features(self.standardise(image))
        return found

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, K) of a feature map (B, 256, H, W)."""
        logits: Tensor = self.network.classifier(self.network.avgpool(features).flatten(1))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, Y, X) in [0, 1]."""
        return self.head(self.features(image))

    def _start_from_image_net(self) -> str:
        """Copy the weights whose shapes fit."""
        try:
            state = IMAGE_NET.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            warnings.warn(
                f"the weights are random: {IMAGE_NET.url} could not be downloaded ({error}); where "
                "there is no network, put that file into the folder checkpoints of "
                "torch.hub.get_dir()",
                stacklevel=3,
            )
            return "random, as torchvision's could not be had"
        own = self.network.state_dict()
        fitting = {name: value for name, value in state.items() if value.shape == own[name].shape}
        self.network.load_state_dict(fitting, strict=False)
        return f"torchvision AlexNet.{IMAGE_NET.name}"


def _make_linear_layers(classifier: nn.Sequential, units: int) -> None:
    """Put linear layers with another number of units in the place of all."""
    places = [place for place, layer in enumerate(classifier) if isinstance(layer, nn.Linear)]
    linear = [cast("nn.Linear", classifier[place]) for place in places]
    sizes = [linear[0].in_features, units, units, linear[-1].out_features]
    for place, (before, after) in zip(places, pairwise(sizes), strict=True):
        classifier[place] = nn.Linear(before, after)
