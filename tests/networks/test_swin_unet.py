import pytest
import torch
from timm.models.swin_transformer import PatchMerging
from torch import nn

from lotus.networks import SwinUNet
from lotus.networks.swin_unet import PatchExpanding, expand_patches

TINY = {"channels": 8, "depths": (2, 2), "heads": (1, 2), "window": 4}


def test_published_size():
    count = sum(weight.numel() for weight in SwinUNet().parameters())
    assert round(count / 1e6) == 27


@pytest.mark.parametrize("size", [(64, 64), (20, 37), (5, 9), (1, 1)])
def test_any_size_gives_logits_of_that_size(size):
    network = SwinUNet(in_channels=1, out_channels=3, **TINY).eval()
    logits = network(torch.rand(2, 1, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


def test_head_of_features_is_forward():
    network = SwinUNet(out_channels=2, **TINY).eval()
    image = torch.rand(1, 3, 40, 40)
    features = network.features(image)
    assert features.shape == (1, 8, 40, 40)
    torch.testing.assert_close(network.head(features), network(image))


def test_channels_become_neighbours_by_hand():
    # One token of 2x2 pixels: the offset along X varies slowest, then that along Y.
    token = torch.tensor([0.0, 1, 2, 3]).view(1, 1, 1, 4)
    assert expand_patches(token, 2)[0, ..., 0].tolist() == [[0, 2], [1, 3]]


def test_expanding_undoes_what_merging_collects():
    merge = PatchMerging(5)
    merge.norm, merge.reduction = nn.Identity(), nn.Identity()
    image = torch.rand(2, 6, 8, 5)
    torch.testing.assert_close(expand_patches(merge(image), 2), image)


def test_fourfold_expansion_keeps_pixels_apart():
    expand = PatchExpanding(8, 8, 4)
    tokens = torch.rand(1, 3, 3, 8)
    changed = tokens.clone()
    changed[0, 1, 2] += torch.rand(8)
    different = (expand(tokens) != expand(changed)).any(dim=-1)[0]
    expected = torch.zeros(12, 12, dtype=torch.bool)
    expected[4:8, 8:12] = True
    assert torch.equal(different, expected)


def test_windows_are_shifted_in_every_second_block():
    network = SwinUNet(**TINY)
    for level in [*network.encoder, *network.decoder]:
        assert [block.shift_size for block in level] == [(0, 0), (2, 2)]


def test_shifted_windows_do_not_join_opposite_borders():
    # Without the mask, rolling brings the first row beside the last.
    network = SwinUNet(channels=8, depths=(2, 2), heads=(1, 2), window=4).eval()
    block = network.encoder[0][1]
    tokens = torch.rand(1, 16, 16, 8)
    changed = tokens.clone()
    changed[:, 0] += torch.rand(8)
    difference = (block(tokens) - block(changed)).abs().amax(dim=(0, 2, 3))
    assert (difference[:2] > 0).all()
    assert (difference[2:] == 0).all()


def test_gradient_reaches_every_weight():
    network = SwinUNet(**TINY)
    network(torch.rand(2, 3, 64, 64)).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    "arguments",
    [{"heads": (3, 2)}, {"heads": (1, 2, 4)}, {"depths": (2,), "heads": (1,)}],
)
def test_impossible_shapes_are_refused(arguments):
    with pytest.raises(ValueError, match="heads that divide the channels"):
        SwinUNet(**(TINY | arguments))
