"""One encoder with a decoder for masks and an attention that they guide."""

import pytest
import torch

from lotus.networks import JointClassifier, TimmClassifier
from lotus.networks.mask_guided_attention import attention_target
from lotus.tasks.description import build, describe

CHANNELS = (8, 8, 8, 4, 4)


@pytest.fixture
def network():
    return JointClassifier(TimmClassifier("test_resnet"), CHANNELS).eval()


@pytest.mark.parametrize(
    "name", ["vgg11", "vgg_narrow", "resnet18", "test_efficientnet", "test_convnext"]
)
def test_the_pyramid_has_the_channels_that_it_says(name):
    with torch.device("meta"):
        backbone = TimmClassifier(name)
        image = torch.rand(1, 3, 96, 96)
        maps = backbone.pyramid(image)
        assert [level.shape[1] for level in maps] == backbone.pyramid_channels
        assert maps[-1].shape == backbone.features(image).shape
        sides = [level.shape[-1] for level in maps]
        assert sides == sorted(set(sides), reverse=True)
        assert max(sides) <= 48


@pytest.mark.parametrize("size", [(64, 64), (70, 90)])
def test_masks_have_the_size_of_the_image_and_classes_are_those_of_forward(network, size):
    image = torch.rand(2, 3, *size)
    found = network.joint(image)
    assert found.segmentation.shape == (2, 1, *size)
    torch.testing.assert_close(found.logits, network(image))
    by_mask = JointClassifier(network.backbone, CHANNELS, multiplier="mask").eval()
    torch.testing.assert_close(by_mask.joint(image).logits, by_mask(image))


def test_known_masks_guide_and_the_decoders_own_elsewhere(network):
    image = torch.rand(2, 3, 64, 64)
    mask = torch.zeros(2, 64, 64, dtype=torch.int64)
    mask[:, :32, :32] = 2
    ignored = torch.zeros(2, 64, 64, dtype=torch.bool)
    ignored[1] = True
    with torch.no_grad():  # Half of what the decoder says of the second image is foreground.
        network.segmentation_head.bias -= network.joint(image).segmentation[1].median()
    found = network.joint(image, mask, ignored)
    expected = torch.stack([(mask[0] != 0).float()[None], (found.segmentation[1] > 0).float()])
    assert expected[1].any()
    torch.testing.assert_close(found.guided.target, attention_target(expected, (2, 2)))


def test_neither_class_nor_attention_teaches_the_decoder(network):
    found = network.joint(torch.rand(2, 3, 64, 64))
    (found.logits.sum() + found.guided.attention.sum() - found.guided.target.sum()).backward()
    assert all(weight.grad is None for weight in network.decoder.parameters())
    assert all(weight.grad is None for weight in network.segmentation_head.parameters())
    assert network.attention.mixing.weight.grad is not None


def test_it_can_be_described_and_built(network):
    again = build(describe(network))
    again.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(again.eval()(image), network(image))


def test_a_decoder_with_other_levels_is_refused():
    with pytest.raises(ValueError, match="has 2 levels, the encoder of test_resnet has 5"):
        JointClassifier(TimmClassifier("test_resnet"), (8, 4))
