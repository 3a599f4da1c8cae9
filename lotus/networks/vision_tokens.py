"""What the blocks of a vision transformer know of an image, for a decoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lotus.networks.vision_transformer import VisionTransformer


@dataclass(frozen=True)
class VisionTokens:
    """An image as a vision transformer sees it.

    Attributes:
        image: (B, C, Y, X) in [0, 1].
        maps: Patch tokens (B, D, Y / patch, X / patch) of several blocks, the first block first.
        attention: (B, heads, Y / patch, X / patch), how much the class and register tokens look at
            each patch in the last block; 1 on average over patches if they looked at nothing else.
        feature: (B, D), the embedding.
    """

    image: Tensor
    maps: list[Tensor]
    attention: Tensor
    feature: Tensor


def spread_blocks(depth: int) -> list[int]:
    """Numbers of four blocks, from 1, evenly spaced to the last: 3, 6, 9, 12 of twelve.

    Args:
        depth: Number of blocks; below four, all of them are taken.
    """
    return sorted({max(1, round(depth * part / 4)) for part in (1, 2, 3, 4)})


def vision_tokens(
    encoder: VisionTransformer, image: Tensor, blocks: Sequence[int] | None = None
) -> VisionTokens:
    """Put an image through an encoder once, and keep what is on the way.

    Args:
        encoder: At least two blocks.
        image: (B, 3, Y, X) in [0, 1], sides multiples of the patch.
        blocks: Numbers of blocks from 1, ascending; None takes :func:`spread_blocks`.
    """
    model = encoder.model
    chosen = spread_blocks(encoder.depth) if blocks is None else list(blocks)
    wanted = sorted({*(number - 1 for number in chosen), encoder.depth - 2})
    last, found = model.forward_intermediates(
        encoder.standardise(image), indices=wanted, return_prefix_tokens=True
    )
    by_block = dict(zip(wanted, found, strict=True))
    before, prefix = by_block[encoder.depth - 2]
    tokens = torch.cat((prefix, before.flatten(2).transpose(1, 2)), dim=1)
    attention = prefix_attention(model.blocks[-1], tokens, prefix.shape[1])
    return VisionTokens(
        image=image,
        maps=[by_block[number - 1][0] for number in chosen],
        attention=attention.reshape(*attention.shape[:2], *before.shape[-2:]),
        feature=model.forward_head(last),
    )


def prefix_attention(block: Any, tokens: Tensor, prefixes: int) -> Tensor:
    """How much the first tokens look at the others in a block, from what goes into it.

    softmax(q Kᵀ / √d) of these few queries alone: the block itself goes on computing all of them
    by fused attention, which gives no such matrix.

    Args:
        block: Of a transformer of timm.
        tokens: (B, N, D), its input.
        prefixes: How many tokens come before those of patches.

    Returns:
        (B, heads, N - prefixes), the mean over prefixes, times the number of patches.
    """
    attention = block.attn
    normed = block.norm1(tokens)
    query, key, _ = attention.qkv(normed).unflatten(-1, (3, attention.num_heads, -1)).unbind(2)
    query = attention.q_norm(query[:, :prefixes].transpose(1, 2))
    key = attention.k_norm(key.transpose(1, 2))
    weights: Tensor = (attention.scale * query @ key.transpose(-2, -1)).float().softmax(dim=-1)
    patches = weights[..., prefixes:]
    return patches.mean(dim=2) * patches.shape[-1]
