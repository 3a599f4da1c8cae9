"""Networks that give an image a class, and one whose attention a mask guides."""

from typing import NamedTuple, Protocol, cast, runtime_checkable

from torch import Tensor, nn

from lotus.networks.mask_guided_attention import (
    GuidedFeatures,
    MaskGuidedAttention,
    Multiplier,
)


@runtime_checkable
class Classifier(Protocol):
    """A network in two parts: an encoder, and a head that reads its last map.

    Attributes:
        classes: Number K of classes.
        weights_source: Where its weights were taken from before it was trained here, in words.
    """

    classes: int
    weights_source: str

    def features(self, image: Tensor) -> Tensor:
        """The last feature map (B, D, H, W) of images (B, C, Y, X)."""

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, K) of a feature map (B, D, H, W)."""

    def __call__(self, image: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, Y, X) in [0, 1]."""


class JointOutput(NamedTuple):
    """What a joint network says of a batch.

    Attributes:
        logits: float (B, K) of the classes.
        segmentation: float (B, 1, Y, X), logit of the foreground in every pixel.
        guided: What the attention made of the last feature map.
    """

    logits: Tensor
    segmentation: Tensor
    guided: GuidedFeatures


@runtime_checkable
class SegmentingClassifier(Classifier, Protocol):
    """A classifier that segments as well, such as :class:`lotus.networks.JointClassifier`."""

    def joint(
        self, image: Tensor, mask: Tensor | None = None, ignored: Tensor | None = None
    ) -> JointOutput:
        """Classes, masks and attention of a batch.

        Args:
            image: (B, C, Y, X) in [0, 1].
            mask: (B, Y, X), true foreground where it is not 0, which guides the attention.
            ignored: Bool (B, Y, X), where the truth is not known.
        """


class GuidedClassifier(nn.Module):
    """A classifier with mask-guided attention between its encoder and its head.

    Args:
        backbone: The classifier.
        multiplier: What the features are multiplied by; see :class:`MaskGuidedAttention`.

    Raises:
        ValueError: A backbone without ``features`` and ``head``.
    """

    def __init__(self, backbone: nn.Module, multiplier: Multiplier = "attention") -> None:
        super().__init__()
        self.backbone = backbone
        self.multiplier = multiplier
        self.attention = MaskGuidedAttention(multiplier)
        # The map that the head reads as the output of a layer, for what looks at layers.
        self.attended = nn.Identity()
        as_classifier(backbone)

    @property
    def classes(self) -> int:
        """Number K of classes."""
        return as_classifier(self.backbone).classes

    @property
    def weights_source(self) -> str:
        """Where the backbone's weights come from; the attention's are random."""
        return as_classifier(self.backbone).weights_source

    def features(self, image: Tensor) -> Tensor:
        """The feature map (B, D, H, W) before the attention."""
        return as_classifier(self.backbone).features(image)

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, K) of an attended feature map (B, D, H, W)."""
        return as_classifier(self.backbone).head(features)

    def guided(self, image: Tensor, guide: Tensor | None = None) -> tuple[Tensor, GuidedFeatures]:
        """Logits (B, K), and what the attention made of the features.

        Args:
            image: (B, C, Y, X) in [0, 1].
            guide: (B, 1, Y', X') in [0, 1], a mask of the same field in any resolution.
        """
        found = self.attention(self.features(image), guide)
        return self.head(self.attended(found.features)), found

    def forward(self, image: Tensor, guide: Tensor | None = None) -> Tensor:
        """Logits (B, K) of images (B, C, Y, X); arguments as :meth:`guided` has them."""
        return self.guided(image, guide)[0]


def as_classifier(network: nn.Module) -> Classifier:
    """A network as the classifier that it is.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(network, Classifier):
        raise ValueError(
            f"{type(network).__name__} is no classifier with features(image), head(features), "
            "classes and weights_source: take lotus.networks.TimmClassifier, "
            "lotus.networks.AlexNet or lotus.networks.GuidedClassifier"
        )
    return cast("Classifier", network)
