"""Heads of several domains on one encoder."""

import pytest
import torch

from lotus.networks import UNet, VisionTransformer
from lotus.networks.routed_segmenter import RoutedSegmenter
from lotus.networks.token_decoder import ImageHead, TokenDecoder

OPTIONS = {"embed_dim": 24, "depth": 4, "num_heads": 3}
HEAD = {"dim": 24, "attention": 3, "width": 16, "stem": 8}


def network(head=None, **options):
    torch.manual_seed(0)
    encoder = VisionTransformer("vit_tiny_patch16_224", {**OPTIONS, **options})
    given = {**HEAD, **(head or {})}
    heads = {"fluorescence": TokenDecoder(3, **given), "trichrome": TokenDecoder(2, **given)}
    return RoutedSegmenter(encoder, heads)


@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
@pytest.mark.parametrize("patch", [8, 16])
def test_every_head_gives_probabilities_of_its_classes(size, patch):
    routed = network({"patch": patch}, patch_size=patch).eval()
    probabilities, routing = routed(torch.rand(2, 3, *size))
    assert routed.channels == {"fluorescence": slice(0, 4), "trichrome": slice(4, 7)}
    assert probabilities.shape == (2, 7, *size)
    for channels in routed.channels.values():
        assert torch.allclose(probabilities[:, channels].sum(dim=1), torch.ones(2, *size))
    assert routing.probability.shape == routing.fits.shape == (2, 2)


def reaches(head, part):
    """Whether a part of what the encoder knows changes the logits, by gradient."""
    routed = network(head)
    tokens = routed.tokens(torch.rand(1, 3, 32, 32))
    watched = {"image": tokens.image, "attention": tokens.attention, "map": tokens.maps[0]}
    leaf = watched[part].detach().requires_grad_()
    changed = {
        "image": leaf if part == "image" else tokens.image.detach(),
        "attention": leaf if part == "attention" else tokens.attention.detach(),
        "maps": [leaf if part == "map" else tokens.maps[0].detach(), *tokens.maps[1:]],
    }
    logits = routed.heads["trichrome"](type(tokens)(**changed, feature=tokens.feature))
    (logits.square().sum() + 0 * leaf.sum()).backward()
    return bool(leaf.grad.abs().sum() > 0)


@pytest.mark.parametrize(
    ("head", "part", "expected"),
    [
        ({}, "image", True),
        ({}, "attention", True),
        ({}, "map", True),
        ({"stem": 0}, "image", False),
        ({"attention": 0}, "attention", False),
    ],
)
def test_what_the_decoder_sees(head, part, expected):
    assert reaches(head, part) is expected


def test_the_stem_sees_what_patches_do_not():
    """A pixel's own logits follow it, and one far away has no part in them: there is no encoder."""
    routed = network({"attention": 0}).eval()
    tokens = routed.tokens(torch.rand(1, 3, 96, 96))
    image = tokens.image.clone().requires_grad_()
    still = type(tokens)(image, [m.detach() for m in tokens.maps], tokens.attention, tokens.feature)
    logits = routed.heads["trichrome"](still)
    logits[0, :, 48, 48].square().sum().backward()
    nearby = image.grad[0, :, 40:57, 40:57].abs().max()
    assert nearby > 0
    # Group normalisation alone carries anything from far away.
    assert nearby > 20 * image.grad[0, :, :16, :16].abs().max()


def test_the_baseline_looks_at_the_image_alone():
    encoder = VisionTransformer("vit_tiny_patch16_224", OPTIONS)
    unet = UNet(out_channels=3, filters=[4, 8])
    routed = RoutedSegmenter(encoder, {"trichrome": ImageHead(2, unet)}).eval()
    image = torch.rand(1, 3, 32, 32)
    assert torch.allclose(routed(image)[0], unet(image).softmax(dim=1))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"dim": 32}, "'dim': 32.*gives.*'dim': 24"),
        ({"attention": 4}, "'attention': 4.*gives.*'attention': 3"),
        ({"patch": 8}, "'patch': 8.*gives.*'patch': 16"),
        ({"blocks": 3}, "'blocks': 3.*gives.*'blocks': 4"),
        ({"patch": 6}, "power of two"),
        ({"width": 12}, "multiple of 8"),
    ],
)
def test_heads_of_another_encoder_are_refused(head, message):
    with pytest.raises(ValueError, match=message):
        network(head)


def test_there_are_such_blocks():
    encoder = VisionTransformer("vit_tiny_patch16_224", OPTIONS)
    with pytest.raises(ValueError, match=r"4 blocks.*got \[2, 5\]"):
        RoutedSegmenter(encoder, {"trichrome": TokenDecoder(2, **HEAD, blocks=2)}, [2, 5])
