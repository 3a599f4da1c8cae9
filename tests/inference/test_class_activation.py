from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from lotus.inference.class_activation import ClassActivation, map_layers
from lotus.networks import AlexNet, GuidedClassifier, TimmClassifier


class Small(nn.Sequential):
    """Two convolutions that work in place, and a head that uses where things are."""

    weights_source = "random"

    def __init__(self, classes=3):
        first, second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 5, 3, stride=2, padding=1)
        layers = OrderedDict(
            first=first,
            act=nn.LeakyReLU(0.1, inplace=True),
            second=second,
            last=nn.ReLU(inplace=True),
            flat=nn.Flatten(),
            out=nn.Linear(5 * 16, classes),
        )
        super().__init__(layers)
        self.classes = classes
        self.eval()

    def features(self, image):
        return part(self, 0, 4)(image)

    def head(self, features):
        return part(self, 4, 6)(features)


def part(network, start, stop):
    return nn.Sequential(*list(network.children())[start:stop])


@pytest.fixture
def images():
    return torch.rand(6, 2, 8, 8)


def slow_grad_cam(until, after, image, index):
    """The equations of Selvaraju et al. for one image, in loops; derivatives by differences."""
    with torch.no_grad():
        features = until(image[None]).double()[0]
        depth, rows, columns = features.shape
        heat = np.zeros((rows, columns))
        for channel in range(depth):
            weight = 0.0
            for y in range(rows):
                for x in range(columns):
                    logits = []
                    for sign in (1, -1):
                        moved = features.clone()
                        moved[channel, y, x] += sign * 1e-6
                        logits.append(float(after(moved[None])[0, index]))
                    weight += (logits[0] - logits[1]) / 2e-6
            heat += weight / (rows * columns) * features[channel].numpy()
    return np.maximum(heat, 0.0)


def test_the_map_is_that_of_the_equations_on_any_layer(images):
    network = Small()
    doubled = Small().double()
    doubled.load_state_dict(network.state_dict())
    for module in doubled.modules():
        module.inplace = False
    classes = torch.tensor([0, 2, 1, 2, 0, 0])
    for layer, depth in (("second", 3), ("last", 4), ("first", 1)):
        found = ClassActivation(network, layer, images[:1])(images, classes)
        assert found[:3].any()
        for number in range(3):
            expected = slow_grad_cam(
                part(doubled, 0, depth),
                part(doubled, depth, 6),
                images[number].double(),
                int(classes[number]),
            )
            np.testing.assert_allclose(found[number, 0], expected, rtol=1e-4, atol=1e-6)


def test_a_map_does_not_depend_on_the_classes_of_its_batch(images):
    activation = ClassActivation(Small(), None, images[:1])
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    together = activation(images, classes)
    alone = [activation(images[n : n + 1], classes[n : n + 1]) for n in range(6)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert not torch.allclose(together, activation(images, classes.flip(0)))


def test_an_unknown_layer_is_refused_with_the_names_there_are(images):
    with pytest.raises(ValueError, match=r"no layer 'third' with a map; there are first, act, se"):
        ClassActivation(Small(), "third", images[:1])
    with pytest.raises(ValueError, match=r"no layer 'out' with a map; there are first"):
        ClassActivation(Small(), "out", images[:1])
    flat = nn.Sequential(nn.Flatten(), nn.Linear(128, 2))
    with pytest.raises(ValueError, match="Sequential has no layer that puts out a map of several"):
        ClassActivation(flat, None, images[:1])


def test_a_layer_that_is_passed_twice_is_no_layer_to_take():
    shared = nn.Conv2d(2, 2, 1)
    network = nn.Sequential(nn.Conv2d(2, 2, 1), shared, shared, nn.Flatten(), nn.Linear(128, 2))
    assert map_layers(network, torch.rand(1, 2, 8, 8)) == ["0"]
    assert not shared._forward_hooks


def test_by_default_it_is_the_map_that_the_head_reads():
    plain = TimmClassifier("resnet10t").eval()
    image = torch.rand(1, 3, 64, 64)
    assert map_layers(plain, image)[-1] == "network.layer4"
    guided = GuidedClassifier(TimmClassifier("resnet10t")).eval()
    activation = ClassActivation(guided, None, image)
    assert activation.layer == "attended"
    found = activation(image, torch.tensor([1]))
    features = guided.guided(image)[1].features.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(guided.head(features)[0, 1], features)
    expected = (gradient.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True).relu()
    torch.testing.assert_close(found, expected.detach())


def test_masks_reach_a_network_that_multiplies_by_them(images):
    guided = GuidedClassifier(Small(), multiplier="mask").eval()
    with torch.no_grad():
        guided.backbone.out.weight.abs_()
    guide = torch.zeros(6, 1, 8, 8)
    guide[:, :, :2, :2] = 1.0
    activation = ClassActivation(guided, None, images[:1], guide=guide[:1])
    found = activation(images, torch.ones(6, dtype=torch.int64), guide=guide)
    features = guided.features(images)
    assert found.shape == (6, 1, 4, 4)
    other = activation(images, torch.ones(6, dtype=torch.int64), guide=guide.flip(2))
    assert not torch.allclose(found, other)
    weights = guided.backbone.out.weight[1].detach().view(5, 4, 4).mean((1, 2))
    half = (weights[None, :, None, None] * features.detach()).sum(1, keepdim=True) / 2
    expected = half.clone()
    expected[:, :, 0, 0] *= 2
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_alex_net_can_be_explained():
    network = AlexNet().eval()
    image = torch.rand(1, 3, 64, 64)
    activation = ClassActivation(network, "network.features.11", image)
    assert activation(image, torch.tensor([0])).shape == (1, 1, 3, 3)
