"""Classifiers in two parts, and where their weights come from."""

import pytest
import timm
import torch
from torch import nn
from torchvision.models import alexnet

from lotus.networks import AlexNet, GuidedClassifier, TimmClassifier
from lotus.networks.alex_net import IMAGE_NET
from lotus.networks.image_net import Standardise

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STANDARD_DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No cache, and no way to the network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")


@pytest.fixture
def saved(tmp_path):
    """A file of weights of a thousand classes and three channels, and the network they are of."""
    network = timm.create_model("test_resnet", num_classes=1000)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth", network.eval()


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_efficientnet", "test_convnext", "vgg_narrow"]
)
def test_parts_of_timm_together_give_the_network_of_standardised_images(name):
    network = TimmClassifier(name, classes=3).eval()
    image = torch.rand(2, 3, 64, 64)
    features = network.features(image)
    assert features.shape[:2] == (2, network.network.num_features)
    mean, deviation = (
        torch.tensor(network.network.pretrained_cfg[key])[:, None, None] for key in ("mean", "std")
    )
    expected = network.network((image - mean) / deviation)
    torch.testing.assert_close(network.head(features), expected)
    torch.testing.assert_close(network(image), expected)
    assert expected.shape == (2, 3)


def test_features_of_a_vgg_are_those_after_its_last_pooling():
    with torch.device("meta"):
        network = TimmClassifier("vgg11", negative_slope=0.01)
        assert network.features(torch.rand(1, 3, 224, 224)).shape == (1, 512, 7, 7)
    assert isinstance(network.network.features[-1], nn.MaxPool2d)
    slopes = [layer for layer in network.modules() if isinstance(layer, nn.LeakyReLU)]
    assert len(slopes) == 8 + 2
    assert {layer.negative_slope for layer in slopes} == {0.01}
    assert not any(type(layer) is nn.ReLU for layer in network.modules())


def test_without_attention_a_guided_classifier_is_its_backbone():
    """An attention of one everywhere leaves the features as they are."""
    backbone = TimmClassifier("test_resnet").eval()
    network = GuidedClassifier(backbone).eval()
    nn.init.zeros_(network.attention.mixing.weight)
    nn.init.constant_(network.attention.mixing.bias, 50.0)
    image = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(network(image), backbone(image))
    assert (network.classes, network.weights_source) == (2, "random")


def test_weights_of_a_file_are_taken_but_for_the_last_layer(saved):
    path, source = saved
    network = TimmClassifier("test_resnet", classes=2, weights=path)
    assert network.weights_source == f"file {path}"
    state = source.state_dict()
    for name, value in network.network.state_dict().items():
        if not name.startswith("fc."):
            assert torch.equal(value, state[name]), name
    assert network.network.fc.out_features == 2


def test_weights_of_three_channels_are_adapted_to_one(saved):
    path, source = saved
    network = TimmClassifier("test_resnet", in_channels=1, weights=path).eval()
    first = network.network.conv1[0].weight
    torch.testing.assert_close(first[:, 0], source.conv1[0].weight.sum(dim=1))
    assert network(torch.rand(1, 1, 64, 64)).shape == (1, 2)


def test_a_file_that_does_not_fit_is_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(ValueError, match="test_convnext of timm cannot be made"):
        TimmClassifier("test_convnext", weights=path)
    with pytest.raises(FileNotFoundError, match="no file of weights here"):
        TimmClassifier("test_resnet", weights=tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg61", {}, "timm has no network 'vgg61'; the nearest are vgg"),
        ("test_vit", {}, r"test_vit of timm gives \(1, \d+, 64\) for .*convolutional network"),
        ("test_convnext", {"negative_slope": 0.01}, "has no ReLU: leave negative_slope out"),
        ("test_resnet", {"options": {"mlp": 1}}, "test_resnet of timm cannot be made"),
    ],
)
def test_networks_that_cannot_be_used_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        TimmClassifier(name, **options)(torch.rand(1, 3, 160, 160))


@pytest.mark.slow
def test_without_a_network_the_weights_are_random_and_are_called_so(nowhere):
    with pytest.warns(UserWarning, match="the weights of vgg11 are random: .*could not be had"):
        network = TimmClassifier("vgg11", pretrained=True, options={"mlp_ratio": 1 / 64})
    assert network.weights_source == "random, as timm's could not be had"
    with pytest.warns(UserWarning, match=r"the weights are random: .*could not be downloaded"):
        network = AlexNet(pretrained=True)
    assert network.weights_source == "random, as torchvision's could not be had"


@pytest.mark.slow
def test_alex_net_is_that_of_torchvision_in_two_parts(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    source = alexnet(num_classes=1000)
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    monkeypatch.setattr(IMAGE_NET.value, "url", IMAGE_NET.url.replace("7be5be79", "00000000"))
    torch.save(source.state_dict(), folder / IMAGE_NET.url.rpartition("/")[2])
    network = AlexNet(classes=3, pretrained=True).eval()
    assert network.weights_source == "torchvision AlexNet.IMAGENET1K_V1"
    state = source.state_dict()
    for name, value in network.network.state_dict().items():
        if not name.startswith("classifier.6"):
            assert torch.equal(value, state[name]), name
    image = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(network(image), network.network((image - MEAN) / STANDARD_DEVIATION))
    assert network.head(network.features(image)).shape == (2, 3)


def test_alex_net_takes_other_channels():
    with torch.device("meta"):
        assert AlexNet(in_channels=1)(torch.rand(1, 1, 64, 64)).shape == (1, 2)


def test_other_channels_are_standardised_by_the_mean_of_the_means():
    image = torch.full((1, 2, 1, 1), 0.5)
    expected = (0.5 - (0.485 + 0.456 + 0.406) / 3) / ((0.229 + 0.224 + 0.225) / 3)
    torch.testing.assert_close(Standardise(2)(image), torch.full((1, 2, 1, 1), expected))


def test_alexnet_may_have_other_units_in_its_linear_layers():
    network = AlexNet(classes=3, units=8).eval()
    linear = [layer for layer in network.network.classifier if isinstance(layer, nn.Linear)]
    assert [layer.in_features for layer in linear] == [9216, 8, 8]
    assert [layer.out_features for layer in linear] == [8, 8, 3]
    # All else is as torchvision has it.
    kinds = [type(layer) for layer in network.network.classifier]
    assert kinds == [type(layer) for layer in alexnet().classifier]
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 3)


def test_the_narrow_vgg_is_one_of_four_levels_without_weights_of_its_own():
    network = TimmClassifier("vgg_narrow", negative_slope=0.01)
    assert network.features(torch.rand(1, 3, 64, 64)).shape == (1, 128, 4, 4)
    assert network.pyramid_channels == [32, 64, 128, 128]
    assert [type(layer) for layer in network.network.features[:3]] == [
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.LeakyReLU,
    ]
    with pytest.raises(ValueError, match="vgg_narrow of timm cannot be made: No pretrained weight"):
        TimmClassifier("vgg_narrow", pretrained=True)
