import pytest
import torch
from monai.networks.nets import AttentionUnet, BasicUNet, BasicUNetPlusPlus
from torch import nn

from lotus.networks import UNet, features_and_logits, segmentation_head


@pytest.mark.parametrize(
    "network",
    [
        UNet(filters=(4, 8)),
        BasicUNet(spatial_dims=2, in_channels=3, out_channels=2, features=(4, 4, 4, 4, 4, 4)),
        AttentionUnet(2, 3, 2, channels=(4, 8), strides=(2,)),
    ],
    ids=lambda network: type(network).__name__,
)
def test_head_applied_to_features_gives_the_logits(network):
    network.eval()
    image = torch.rand(2, 3, 32, 32)
    features, logits = features_and_logits(network, image)
    torch.testing.assert_close(logits, network(image))
    torch.testing.assert_close(segmentation_head(network)(features), logits)


def test_deep_supervision_gives_the_finest_logits():
    network = BasicUNetPlusPlus(
        spatial_dims=2, in_channels=3, out_channels=2, features=(4, 4, 4, 4, 4, 4)
    ).eval()
    features, logits = features_and_logits(network, torch.rand(1, 3, 32, 32))
    assert features.shape[-2:] == logits.shape[-2:] == (32, 32)


def test_a_network_without_convolution_is_refused():
    with pytest.raises(ValueError, match="Flatten has no 2-D convolution"):
        segmentation_head(nn.Flatten())


def test_a_last_convolution_that_is_not_the_head_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(scale_factor=2))
    with pytest.raises(ValueError, match="does not give its logits"):
        features_and_logits(network, torch.rand(1, 3, 8, 8))
