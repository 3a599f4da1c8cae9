"""Networks over the slices of a volume, and others in their place."""

from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class SlabNetwork(Protocol):
    """A network that takes a slab of neighbouring slices.

    Attributes:
        slices: T, how many.
        output_slices: How many of them it segments: 1, the middle one, or all T.
    """

    slices: int
    output_slices: int

    def __call__(self, slab: Tensor) -> Tensor:
        """Logits (B, K, Y, X) of the middle slice of slabs (B, T, C, Y, X).

        Where all slices are segmented, (B, K, T, Y, X).
        """


class VolumetricNetwork(nn.Module):
    """A network with three-dimensional convolutions, which segments every slice of a slab.

    Args:
        network: ``forward(image (B, C, Z, Y, X)) -> logits (B, K, Z, Y, X)``, such as MONAI's UNet
            with ``spatial_dims: 3``.
        slices: T; as often as the network halves Z it is to be even.
    """

    def __init__(self, network: nn.Module, slices: int = 16) -> None:
        super().__init__()
        self.network = network
        self.slices = slices

    @property
    def output_slices(self) -> int:
        """All slices."""
        return self.slices

    def forward(self, slab: Tensor) -> Tensor:
        """Logits (B, K, T, Y, X) of a slab (B, T, C, Y, X)."""
        logits: Tensor = self.network(slab.transpose(1, 2))
        return logits


class _SliceBySlice:
    """A network of images as one of slabs of a single slice."""

    slices = 1
    output_slices = 1

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, slab: Tensor) -> Tensor:
        logits: Tensor = self._network(slab[:, 0])
        return logits


def as_slab_network(network: nn.Module) -> SlabNetwork:
    """A network as one that takes slabs.

    Args:
        network: A :class:`SlabNetwork`, or ``forward(image (B, C, Y, X)) -> logits (B, K, Y, X)``,
            which sees one slice at a time.
    """
    if isinstance(network, SlabNetwork):
        return cast("SlabNetwork", network)
    return _SliceBySlice(network)


def store_channels_last(network: nn.Module) -> None:
    """Store the weights of convolutions over images channels last, twice as fast on a CPU.

    Args:
        network: It is changed in place, and gives the same.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)
