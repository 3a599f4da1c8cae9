"""Sensor3D: a U-Net over neighbouring slices that convolutional LSTMs connect."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from lotus.networks.conv_lstm import BidirectionalConvLSTM
from lotus.networks.padding import pad_to_multiple
from lotus.networks.unet import UNet

Readout = Literal["final_sum", "centre"]


class Sensor3D(nn.Module):
    """The middle slice of a slab, segmented with what its neighbours show.

    Novikov et al., "Deep Sequential Segmentation of Organs in Volumetric Medical Scans", IEEE TMI
    2019: every slice goes through one U-Net; a bidirectional ConvLSTM connects the slices at the
    end of its contraction, and another before the last 1x1 convolution gives the features of the
    middle slice. The U-Net is :class:`lotus.networks.UNet`. With four classes and one channel there
    are 11.5 million parameters, 46.0 million from 64 filters on.

    Args:
        in_channels: Channels C of a slice.
        out_channels: Channels K of the logits.
        filters: Feature channels of each level, finest first.
        slices: T, odd.
        readout: What of the second ConvLSTM is read. ``final_sum``: where its two directions end,
            at opposite slices, as in the paper; ``centre``: where they meet, at the middle slice.

    Raises:
        ValueError: An even number of slices, or filters that :class:`~lotus.networks.UNet` refuses.
    """

    output_slices = 1

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 4,
        *,
        filters: Sequence[int] = (32, 64, 128, 256),
        slices: int = 3,
        readout: Readout = "final_sum",
    ) -> None:
        super().__init__()
        if slices < 1 or slices % 2 == 0:
            raise ValueError(f"Sensor3D has a middle slice: slices is {slices}; expected 1, 3, ...")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.filters = list(filters)
        self.slices = slices
        self.readout = readout
        self.unet = UNet(in_channels, out_channels, filters=filters)
        self.bottom = BidirectionalConvLSTM(filters[-1], filters[-1])
        self.top = BidirectionalConvLSTM(filters[0], filters[0])

    @property
    def head(self) -> nn.Conv2d:
        """The 1x1 convolution from features to logits."""
        return self.unet.head

    def features(self, slab: Tensor) -> Tensor:
        """Features of the middle slice before the head.

        Args:
            slab: (B, T, C, Y, X) float.

        Returns:
            (B, D, Y, X) with D = ``filters[0]``.
        """
        height, width = slab.shape[-2:]
        maps = self.unet.encode(pad_to_multiple(slab.flatten(0, 1), self.unet.multiple))
        connected = self.bottom(self._as_slabs(maps[-1])).flatten(0, 1)
        found = self._as_slabs(self.unet.decode([*maps[:-1], connected]))
        middle = self.slices // 2
        reaching = (middle + 1, middle) if self.readout == "centre" else (self.slices, 0)
        features = self.top.last(found[:, : reaching[0]], found[:, reaching[1] :])
        return features[..., :height, :width]

    def forward(self, slab: Tensor) -> Tensor:
        """Logits (B, K, Y, X) of the middle slice of a slab (B, T, C, Y, X)."""
        logits: Tensor = self.head(self.features(slab))
        return logits

    def _as_slabs(self, maps: Tensor) -> Tensor:
        """Maps (B T, D, Y, X) as (B, T, D, Y, X)."""
        return maps.reshape(-1, self.slices, *maps.shape[1:])
