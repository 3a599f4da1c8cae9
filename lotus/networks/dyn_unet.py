"""The U-Net that nnU-Net would plan."""

from monai.networks import nets
from torch import Tensor, nn

from lotus.networks.padding import pad_to_multiple

SMALLEST_MAP = 4
MOST_FILTERS = 512


class DynUNet(nn.Module):
    """MONAI's DynUNet with the topology that nnU-Net plans for two-dimensional patches.

    Isensee et al., Nature Methods 2021: 3x3 convolutions, InstanceNorm and leaky ReLU, twice per
    level; strided convolutions halve the map while at least 4 pixels remain; 32 filters, doubled
    from level to level up to 512. All decoder levels but the coarsest are supervised at their
    own resolution. Images whose sides do not fit are padded inside and cropped back.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels K of the logits.
        patch_size: Side of the training crops in pixels, which decides the number of levels: 8 for
            512 pixels, 5 for 96.
        filters: Channels of the finest level.

    Raises:
        ValueError: A patch below 32 pixels, which is too small for deep supervision.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        patch_size: int = 512,
        filters: int = 32,
    ) -> None:
        super().__init__()
        if patch_size < 32:
            raise ValueError(f"DynUNet needs a patch_size of at least 32, got {patch_size}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.patch_size = patch_size
        self.filters = filters
        halvings = (patch_size // SMALLEST_MAP).bit_length() - 1
        self.multiple = 2**halvings
        self.network = nets.DynUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=[3] * (halvings + 1),
            strides=[1] + [2] * halvings,
            upsample_kernel_size=[2] * halvings,
            filters=[min(filters * 2**level, MOST_FILTERS) for level in range(halvings + 1)],
            deep_supervision=True,
            deep_supr_num=halvings - 2,
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits (B, K, Y, X), (B, K, Y/2, X/2), ... of an image (B, C, Y, X), finest first."""
        height, width = image.shape[-2:]
        # InstanceNorm refuses a map of one pixel at the bottom.
        padded = pad_to_multiple(image, self.multiple, minimum=2 * self.multiple)
        # MONAI's own forward up-samples and stacks the coarse outputs instead.
        finest = self.network.output_block(self.network.skip_layers(padded))
        coarse = list(self.network.heads)
        # MONAI keeps them, and with them the graph of the step: a copy of the network would fail.
        # Its layers share the list itself.
        self.network.heads[:] = [padded.new_empty(0) for _ in coarse]
        return [
            logits[..., : -(-height // 2**level), : -(-width // 2**level)]
            for level, logits in enumerate([finest, *coarse])
        ]
