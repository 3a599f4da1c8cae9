"""One encoder that segments and classifies at once, each guiding the other."""

from collections.abc import Sequence

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from lotus.networks.classifier import JointOutput
from lotus.networks.mask_guided_attention import MaskGuidedAttention, Multiplier
from lotus.networks.timm_classifier import TimmClassifier


class JointClassifier(nn.Module):
    """A classifier with mask-guided attention whose masks come from a decoder on its own encoder.

    The future work of Poles et al., BHI 2023. The decoder is that of the U-Net of
    segmentation_models_pytorch; what it finds is cut off from the gradient before it guides, so
    that the attention follows the masks and not the masks the attention.

    Args:
        backbone: Encoder and head of the classifier.
        decoder_channels: Of the decoder's levels, coarsest first, one for each level of the
            encoder.
        multiplier: What the features are multiplied by; see
            :class:`lotus.networks.MaskGuidedAttention`.

    Raises:
        ValueError: Another number of levels than the encoder has.
    """

    def __init__(
        self,
        backbone: TimmClassifier,
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
        multiplier: Multiplier = "attention",
    ) -> None:
        super().__init__()
        levels = backbone.pyramid_channels
        if len(levels) != len(decoder_channels):
            raise ValueError(
                f"decoder_channels has {len(decoder_channels)} levels, the encoder of "
                f"{backbone.name} has {len(levels)}: give one number for each"
            )
        self.backbone = backbone
        self.decoder_channels = list(decoder_channels)
        self.multiplier = multiplier
        self.attention = MaskGuidedAttention(multiplier)
        self.decoder = UnetDecoder(
            (backbone.in_channels, *levels), self.decoder_channels, n_blocks=len(levels)
        )
        self.segmentation_head = nn.Conv2d(self.decoder_channels[-1], 1, 3, padding=1)

    @property
    def classes(self) -> int:
        """Number K of classes."""
        return self.backbone.classes

    @property
    def weights_source(self) -> str:
        """Where the backbone's weights come from; those of decoder and attention are random."""
        return self.backbone.weights_source

    def features(self, image: Tensor) -> Tensor:
        """The last feature map (B, D, H, W) before the attention."""
        return self.backbone.features(image)

    def head(self, features: Tensor) -> Tensor:
        """Logits (B, K) of an attended feature map (B, D, H, W)."""
        return self.backbone.head(features)

    def joint(
        self, image: Tensor, mask: Tensor | None = None, ignored: Tensor | None = None
    ) -> JointOutput:
        """Both answers, and the attention with its target.

        Args:
            image: (B, C, Y, X) in [0, 1].
            mask: (B, Y, X), true foreground where it is not 0, which guides in place of what the
                decoder finds.
            ignored: Bool (B, Y, X), where the truth is not known.
        """
        levels = self.backbone.pyramid(image)
        segmentation = self.segmentation_head(self.decoder([image, *levels]))
        guide = (segmentation.detach() > 0).float()
        if mask is not None:
            known = mask.new_ones(mask.shape).bool() if ignored is None else ~ignored
            guide = (mask[:, None] != 0).float().where(known[:, None], guide)
        guided = self.attention(levels[-1], guide)
        return JointOutput(self.head(guided.features), segmentation, guided)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, Y, X) in [0, 1]."""
        if self.multiplier == "mask":
            return self.joint(image).logits
        return self.head(self.attention(self.features(image)).features)
