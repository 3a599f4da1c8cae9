"""UNet++ as a segmentation network with deep supervision."""

from collections.abc import Sequence

from monai.networks.nets import BasicUNetPlusPlus
from torch import Tensor, nn

from lotus.networks.padding import pad_to_multiple


class UNetPlusPlus(nn.Module):
    """UNet++ (Zhou et al., DLMIA 2018): a U-Net whose skips are nested, dense convolutions.

    MONAI's network with the published filters and, as in this project's U-Net, BatchNorm and ReLU.
    MONAI lists the outputs of the nodes X(0,1) to X(0,4) in this order; here the one that has seen
    all levels, X(0,4), comes first, since that is the one inference keeps. All have full
    resolution. Images whose sides are no multiple of 16 are padded inside and cropped back.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels K of the logits.
        filters: Feature channels of the five levels, finest first.

    Raises:
        ValueError: Not five levels, or a channel count below one.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        filters: Sequence[int] = (32, 64, 128, 256, 512),
    ) -> None:
        super().__init__()
        if len(filters) != 5 or min(in_channels, out_channels, *filters) < 1:
            raise ValueError(
                f"UNetPlusPlus needs five levels and positive channel counts, got in_channels="
                f"{in_channels}, out_channels={out_channels}, filters={tuple(filters)}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.filters = list(filters)
        self.network = BasicUNetPlusPlus(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=out_channels,
            features=(*filters, filters[0]),
            deep_supervision=True,
            act="relu",
            norm="batch",
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits (B, K, Y, X) of X(0,4), X(0,3), X(0,2), X(0,1) of an image (B, C, Y, X)."""
        height, width = image.shape[-2:]
        outputs = self.network(pad_to_multiple(image, 16))
        return [logits[..., :height, :width] for logits in reversed(outputs)]
