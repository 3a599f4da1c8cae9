"""SwinUNETR for images of any size."""

from monai.networks import nets
from torch import Tensor, nn

from lotus.networks.padding import pad_to_multiple


class SwinUNETR(nn.Module):
    """SwinUNETR (Hatamizadeh et al., BrainLes 2021): Swin encoder, convolutional decoder; MONAI's.

    Images are padded inside to sides that are multiples of 32, which MONAI's network needs, and
    at least 64, since InstanceNorm refuses a map of one pixel; logits are cropped back.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels K of the logits.
        filters: Channels of the finest level, a multiple of 12; 48 is the published network.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 1, *, filters: int = 48) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.filters = filters
        self.network = nets.SwinUNETR(
            in_channels=in_channels,
            out_channels=out_channels,
            feature_size=filters,
            spatial_dims=2,
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, Y, X) of an image (B, C, Y, X)."""
        height, width = image.shape[-2:]
        logits: Tensor = self.network(pad_to_multiple(image, 32, minimum=64))
        return logits[..., :height, :width]
