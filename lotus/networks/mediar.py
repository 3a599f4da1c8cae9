"""The network of MEDIAR."""

from collections.abc import Sequence

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from lotus.networks.padding import pad_to_multiple

REDUCTION = 32
"""How many pixels one place of the coarsest features stands for."""


class MEDIARFormer(nn.Module):
    """SegFormer encoder, MAnet decoder and two heads (Lee et al., NeurIPS 2022 cell challenge).

    The decoder's ReLUs are Mish, as in the authors' network. The flow and the foreground have a
    head each: convolution, Mish, BatchNorm, convolution. Made for
    :class:`lotus.schemes.FlowField`. Images whose sides are no multiples of 32 are padded inside
    and cropped back.

    Args:
        encoder_name: ``mit_b0`` ... ``mit_b5`` (the paper), or any other encoder of
            segmentation-models-pytorch.
        encoder_weights: Weights that segmentation-models-pytorch downloads for the encoder, e.g.
            ``imagenet`` (the paper); none by default.
        decoder_channels: Channels of the decoder's five stages, deepest first.
        decoder_pab_channels: Channels of the position-wise attention at the bottleneck.
        in_channels: Channels of the image; SegFormer encoders take 3 only.
    """

    def __init__(
        self,
        encoder_name: str = "mit_b5",
        encoder_weights: str | None = None,
        *,
        decoder_channels: Sequence[int] = (1024, 512, 256, 128, 64),
        decoder_pab_channels: int = 256,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.encoder_name = encoder_name
        self.encoder_weights = encoder_weights
        self.decoder_channels = list(decoder_channels)
        self.decoder_pab_channels = decoder_pab_channels
        self.in_channels = in_channels
        network = smp.MAnet(
            encoder_name=encoder_name,
            encoder_weights=encoder_weights,
            decoder_channels=self.decoder_channels,
            decoder_pab_channels=decoder_pab_channels,
            in_channels=in_channels,
        )
        self.encoder, self.decoder = network.encoder, network.decoder
        _relu_to_mish(self.encoder)
        _relu_to_mish(self.decoder)
        self.flow_head = _head(self.decoder_channels[-1], 2)
        self.foreground_head = _head(self.decoder_channels[-1], 1)

    def forward(self, image: Tensor) -> Tensor:
        """Flow along Y, flow along X and foreground logit.

        Args:
            image: (B, C, Y, X) float.

        Returns:
            (B, 3, Y, X).
        """
        height, width = image.shape[-2:]
        features = self.decoder(self.encoder(pad_to_multiple(image, REDUCTION)))
        output = torch.cat((self.flow_head(features), self.foreground_head(features)), dim=1)
        return output[..., :height, :width]


def _head(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels // 2, kernel_size=3, padding=1),
        nn.Mish(inplace=True),
        nn.BatchNorm2d(in_channels // 2),
        nn.Conv2d(in_channels // 2, out_channels, kernel_size=3, padding=1),
    )


def _relu_to_mish(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, nn.Mish(inplace=True))
        else:
            _relu_to_mish(child)
