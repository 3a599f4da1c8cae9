import torch
from monai.networks import nets
from torch import nn

from lotus.networks import Sensor3D, UNet, VolumetricNetwork, as_slab_network


def test_a_volumetric_network_speaks_of_every_slice_in_order():
    network = VolumetricNetwork(nn.Conv3d(2, 3, kernel_size=1), slices=4)
    slab = torch.rand(2, 4, 2, 6, 5)
    logits = network(slab)
    assert logits.shape == (2, 3, 4, 6, 5)
    assert (network.slices, network.output_slices) == (4, 4)
    for number in range(4):
        expected = network.network(slab[:, number, :, None])[:, :, 0]
        torch.testing.assert_close(logits[:, :, number], expected)


def test_monai_unet_serves_as_one():
    inner = nets.UNet(3, 1, 4, channels=(4, 8, 8), strides=(2, 2))
    assert VolumetricNetwork(inner, 8).eval()(torch.rand(1, 8, 1, 16, 16)).shape == (
        1,
        4,
        8,
        16,
        16,
    )


def test_networks_of_slabs_are_taken_as_they_are():
    network = Sensor3D(filters=(4, 8))
    assert as_slab_network(network) is network
    assert (as_slab_network(network).slices, as_slab_network(network).output_slices) == (3, 1)


def test_a_network_of_images_sees_one_slice():
    network = UNet(1, 2, filters=(4, 8)).eval()
    given = as_slab_network(network)
    assert (given.slices, given.output_slices) == (1, 1)
    slab = torch.rand(3, 1, 1, 8, 8)
    torch.testing.assert_close(given(slab), network(slab[:, 0]))
