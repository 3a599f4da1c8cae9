"""Vision transformers of timm, and what of them a decoder is given."""

import pytest
import torch
from safetensors.torch import save_file

from lotus.networks import VisionTransformer
from lotus.networks.vision_tokens import prefix_attention, spread_blocks, vision_tokens

TINY = {"embed_dim": 24, "depth": 4, "num_heads": 3}
NAME = "vit_tiny_patch16_224"


def tiny(weights=None, **options):
    torch.manual_seed(0)
    return VisionTransformer(NAME, {**TINY, **options}, weights).eval()


def test_the_usual_one_is_the_small_one_with_four_registers():
    encoder = VisionTransformer()
    assert (encoder.dim, encoder.patch, encoder.depth, encoder.heads) == (384, 16, 12, 6)
    assert encoder.model.num_prefix_tokens == 5
    assert sum(weight.numel() for weight in encoder.parameters()) == pytest.approx(21.7e6, rel=0.01)


def test_images_are_standardised_and_may_have_any_multiple_of_the_patch():
    encoder = tiny()
    image = torch.rand(2, 3, 48, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen = (image - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    assert torch.allclose(encoder(image), encoder.model(seen), atol=1e-5)
    assert encoder(image).shape == (2, 24)


def test_weights_of_a_file_are_taken_and_those_of_another_are_refused(tmp_path):
    encoder = tiny()
    save_file(encoder.model.state_dict(), tmp_path / "encoder.safetensors")
    torch.manual_seed(1)
    other = VisionTransformer(NAME, TINY, tmp_path / "encoder.safetensors").eval()
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(encoder(image), other(image))
    with pytest.raises(ValueError, match=r"encoder.safetensors does not hold weights of this"):
        tiny(tmp_path / "encoder.safetensors", depth=3)
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        tiny(tmp_path / "nothing.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights at all")
    with pytest.raises(ValueError, match=r"text.safetensors does not hold"):
        tiny(tmp_path / "text.safetensors")


@pytest.mark.parametrize(
    ("name", "message"),
    [("vit_smal_patch16_224", "nearest are vit_small"), ("resnet18", "is a ResNet; a ViT")],
)
def test_what_is_no_vision_transformer_is_refused(name, message):
    with pytest.raises(ValueError, match=message if "nearest" in message else "resnet18 of timm"):
        VisionTransformer(name)


@pytest.mark.parametrize(
    ("depth", "blocks"), [(12, [3, 6, 9, 12]), (24, [6, 12, 18, 24]), (2, [1, 2]), (3, [1, 2, 3])]
)
def test_blocks_are_evenly_spaced(depth, blocks):
    assert spread_blocks(depth) == blocks


@pytest.mark.parametrize("qk_norm", [False, True])
def test_attention_is_that_of_the_block_computed_in_full(qk_norm):
    """By hooks on the weights that timm itself computes where its attention is not fused."""
    encoder = tiny(qk_norm=qk_norm)
    block = encoder.model.blocks[-1]
    with torch.no_grad():  # weights so large that attention is far from even
        block.attn.qkv.weight.mul_(20)
    seen = []
    block.attn.attn_drop.register_forward_hook(lambda *call: seen.append(call[2]))
    image = torch.rand(2, 3, 32, 48)
    tokens = vision_tokens(encoder, image)
    assert seen == []  # it is fused
    block.attn.fused_attn = False
    encoder(image)
    weights = seen[0][:, :, :5, 5:].mean(dim=2) * 6
    assert tokens.attention.shape == (2, 3, 2, 3)
    assert torch.allclose(tokens.attention.flatten(2), weights, atol=1e-5)
    assert weights.std() > 0.1


def test_tokens_are_those_of_the_blocks_and_the_feature_is_the_embedding():
    encoder = tiny()
    image = torch.rand(1, 3, 32, 48)
    outputs = {}
    for number, block in enumerate(encoder.model.blocks, start=1):
        block.register_forward_hook(lambda *call, n=number: outputs.update({n: call[2]}))
    tokens = vision_tokens(encoder, image, [1, 4])
    for found, number in zip(tokens.maps, (1, 4), strict=True):
        assert torch.equal(found.flatten(2).transpose(1, 2), outputs[number][:, 5:])
        assert found.shape == (1, 24, 2, 3)
    assert torch.allclose(tokens.feature, encoder(image), atol=1e-6)


def test_attention_sends_gradient_into_the_last_block():
    encoder = tiny()
    block = encoder.model.blocks[-1]
    prefix_attention(block, torch.rand(1, 9, 24), 5)[..., 0].sum().backward()
    assert block.attn.qkv.weight.grad[:48].abs().sum() > 0
    assert block.attn.qkv.weight.grad[48:].abs().sum() == 0
