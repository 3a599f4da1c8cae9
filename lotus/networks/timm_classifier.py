"""Any convolutional backbone of timm as a classifier."""

import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn

from lotus.networks import narrow_vgg  # noqa: F401  # timm knows it from then on
from lotus.networks.hub import check_hub
from lotus.networks.image_net import MEAN, STANDARD_DEVIATION, Standardise


class TimmClassifier(nn.Module):
    """A network of timm, such as VGG16 and ResNet50, in two parts: encoder and head.

    Images in [0, 1] are standardised inside, as the network's weights expect it, with and without
    those weights. The features of VGG16 are those after its last max pooling, 7×7 of 224 px.

    Args:
        name: What timm calls the network, for example ``vgg16`` or ``resnet50``; or ``vgg_narrow``
            (:mod:`lotus.networks.narrow_vgg`), for CPUs.
        classes: Number K of classes.
        in_channels: Channels of the images; weights of three channels are adapted to others.
        pretrained: Start from the weights that timm has for the name, most of ImageNet. They are
            downloaded unless the cache of the hub has them; if that fails, which takes a while
            unless ``HF_HUB_OFFLINE=1`` is set, a warning says that the weights are random. The last
            layer is new.
        weights: A file of such weights (``.pth``, ``.safetensors``) to start from instead.
        negative_slope: With it, every ReLU becomes a LeakyReLU of this slope (0.01 in Poles et al.,
            BHI 2023).
        options: Further arguments of ``timm.create_model``, for example ``mlp_ratio`` of a VGG.

    Attributes:
        weights_source: Where the weights come from, in words.

    Raises:
        ValueError: Timm has no such network or no weights for it, its last map is none (as of a
            transformer), a file of another network, or no ReLU to replace.
        FileNotFoundError: No such file.
    """

    def __init__(
        self,
        name: str,
        classes: int = 2,
        in_channels: int = 3,
        *,
        pretrained: bool = False,
        weights: Path | None = None,
        negative_slope: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            like = get_close_matches(name, timm.list_models(), n=4, cutoff=0.0)
            raise ValueError(f"timm has no network {name!r}; the nearest are {', '.join(like)}")
        self.name = name
        self.classes = classes
        self.in_channels = in_channels
        self.pretrained = pretrained
        self.weights = weights
        self.negative_slope = negative_slope
        self.options = dict(options or {})
        self.network, self.weights_source = self._create()
        settings = self.network.pretrained_cfg
        self.standardise = Standardise(
            in_channels, settings.get("mean") or MEAN, settings.get("std") or STANDARD_DEVIATION
        )
        if negative_slope is not None:
            _leak(self.network, negative_slope, name)

    def features(self, image: Tensor) -> Tensor:
        """The last feature map (B, D, H, W) of images (B, C, Y, X) in [0, 1].

        Raises:
            ValueError: The network has no maps with the channels in front.
        """
        found: Tensor = self.network.forward_features(self.standardise(image))
        if found.ndim != 4 or found.shape[1] != self.network.num_features:
            raise ValueError(
                f"{self.name} of timm gives {tuple(found.shape)} for {tuple(image.shape)}; a map "
                f"(B, {self.network.num_features}, H, W) of a convolutional network is expected"
            )
        return found

    def pyramid(self, image: Tensor) -> list[Tensor]:
        """Feature maps (B, D, H, W) of half the image's size and less, the last as `features`.

        Args:
            image: (B, C, Y, X) in [0, 1].
        """
        last, levels = self.network.forward_intermediates(self.standardise(image))
        finer = [level for level in levels if last.shape[-1] < level.shape[-1] < image.shape[-1]]
        return [*finer, last]

    @property
    def pyramid_channels(self) -> list[int]:
        """Channels D of the maps of :meth:`pyramid`."""
        levels = [level for level in self.network.feature_info if level["reduction"] > 1]
        return [*(level["num_chs"] for level in levels[:-1]), self.network.num_features]

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, K) of a feature map (B, D, H, W)."""
        logits: Tensor = self.network.forward_head(features)
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, Y, X) in [0, 1]."""
        return self.head(self.features(image))

    def _create(self) -> tuple[Any, str]:
        """The network, and where its weights come from."""
        if self.weights is not None:
            if not Path(self.weights).is_file():
                raise FileNotFoundError(f"{self.weights}: no file of weights here")
            return self._pretrained(file=str(self.weights)), f"file {self.weights}"
        if not self.pretrained:
            return self._model(num_classes=self.classes), "random"
        try:
            repository = timm.get_pretrained_cfg_value(self.name, "hf_hub_id")
            if repository is not None:
                check_hub(repository)
            network = self._pretrained()
        except OSError as error:
            detail = " ".join(str(error).split())[:160]
            warnings.warn(
                f"the weights of {self.name} are random: those of timm could not be had "
                f"({detail}); where there is no network, give `weights: FILE`",
                stacklevel=4,
            )
            return self._model(num_classes=self.classes), "random, as timm's could not be had"
        settings = network.pretrained_cfg
        return network, f"timm {settings['architecture']}.{settings.get('tag') or 'default'}"

    def _pretrained(self, **source: str) -> Any:
        """The network with weights of another task, and a new last layer.

        Made with the classes of that task: with others, timm would take what fits of a file and
        leave the rest random without a word.
        """
        network = self._model(pretrained=True, pretrained_cfg_overlay=source)
        if network.num_classes != self.classes:
            network.reset_classifier(self.classes)
        return network

    def _model(self, **arguments: Any) -> Any:
        try:
            return timm.create_model(
                self.name, in_chans=self.in_channels, **self.options, **arguments
            )
        except (RuntimeError, TypeError, KeyError) as error:
            detail = " ".join(str(error).split())[:200]
            raise ValueError(f"{self.name} of timm cannot be made: {detail}") from error


def _leak(network: nn.Module, negative_slope: float, name: str) -> None:
    """Put a LeakyReLU in place of every ReLU."""
    found = [
        (parent, key)
        for parent in network.modules()
        for key, child in parent.named_children()
        if isinstance(child, nn.ReLU)
    ]
    if not found:
        raise ValueError(f"{name} of timm has no ReLU: leave negative_slope out")
    for parent, key in found:
        setattr(parent, key, nn.LeakyReLU(negative_slope, inplace=True))
