from collections import OrderedDict

import pytest
import torch
from monai.networks.nets import AttentionUnet, BasicUNet, BasicUNetPlusPlus
from monai.networks.nets import UNet as MonaiUNet
from torch import nn

from lotus.networks import UNet, check_distillable, features_and_logits, segmentation_head


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
    check_distillable(network, 3)
    torch.testing.assert_close(logits, network(image))
    torch.testing.assert_close(segmentation_head(network)(features), logits)


FEATURES = (4, 4, 4, 4, 4, 4)


def supervised(deep):
    return BasicUNetPlusPlus(2, 3, 2, features=FEATURES, deep_supervision=deep)


def test_a_list_of_one_output_is_that_output():
    network = supervised(deep=False).eval()
    image = torch.rand(1, 3, 32, 32)
    features, logits = features_and_logits(network, image)
    torch.testing.assert_close(logits, network(image)[0])
    torch.testing.assert_close(segmentation_head(network)(features), logits)


class Added(nn.Sequential):
    """Has features and a head, and logits of something more."""

    def __init__(self):
        super().__init__(OrderedDict(features=nn.Conv2d(3, 4, 1), head=nn.Conv2d(4, 2, 1)))

    def forward(self, image):
        return super().forward(image) + image[:, :2]


class Unreached(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

    def forward(self, image):
        return self.first(image)


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (MonaiUNet(2, 3, 2, (4, 8), (2,), num_res_units=2), "values that differ by up to"),
        (supervised(deep=True), "values that differ by up to"),
        (Added(), "values that differ by up to"),
        (nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(scale_factor=2)), "logits are .1, 2, 128"),
        (Unreached(), "is not reached"),
    ],
    ids=["residual units", "deep supervision", "a sum", "upsampled", "not reached"],
)
def test_features_of_other_logits_are_refused(network, found):
    network.train()
    with pytest.raises(ValueError, match=f"is not the head of its .*{found}") as error:
        check_distillable(network, 3)
    assert type(network).__name__ in str(error.value)


def test_checking_leaves_everything_as_it_was():
    network = UNet(filters=(4, 8)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    check_distillable(network, 3)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_without_convolution_is_refused():
    with pytest.raises(ValueError, match="Flatten has no 2-D convolution"):
        segmentation_head(nn.Flatten())
