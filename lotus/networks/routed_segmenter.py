"""One encoder, a router and a head for each domain."""

from typing import cast

import torch
from torch import Tensor, nn

from lotus.networks.domain_router import DomainRouter, Routing
from lotus.networks.token_decoder import ImageHead, TokenDecoder
from lotus.networks.vision_tokens import VisionTokens, spread_blocks, vision_tokens
from lotus.networks.vision_transformer import VisionTransformer


class RoutedSegmenter(nn.Module):
    """Segments images of several domains, each with classes of its own.

    Args:
        encoder: Sees images of all domains.
        heads: A head for each domain, by its name; ``classes`` besides background.
        blocks: Blocks of the encoder, from 1, whose tokens the heads get; None: four evenly spaced.

    Raises:
        ValueError: A head is made for another encoder, or there is no such block.
    """

    def __init__(
        self,
        encoder: VisionTransformer,
        heads: dict[str, TokenDecoder | ImageHead],
        blocks: list[int] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.blocks = blocks
        self.router = DomainRouter(list(heads), encoder.dim)
        chosen = spread_blocks(encoder.depth) if blocks is None else blocks
        if encoder.depth < 2 or not all(1 <= number <= encoder.depth for number in chosen):
            raise ValueError(
                f"{encoder.name} has {encoder.depth} blocks; expected at least 2, and tokens of "
                f"blocks from 1 to that, got {chosen}"
            )
        for name, head in heads.items():
            if isinstance(head, TokenDecoder):
                _check_head(name, head, encoder, len(chosen))
        self.heads = nn.ModuleDict(heads)

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the domains."""
        return self.router.domains

    @property
    def channels(self) -> dict[str, slice]:
        """Which channels of what :meth:`forward` gives are of which domain."""
        found, start = {}, 0
        for name in self.domains:
            stop = start + cast("int", self.heads[name].classes) + 1
            found[name] = slice(start, stop)
            start = stop
        return found

    def tokens(self, image: Tensor) -> VisionTokens:
        """What the encoder knows of images (B, 3, Y, X) in [0, 1]."""
        return vision_tokens(self.encoder, image, self.blocks)

    def forward(self, image: Tensor) -> tuple[Tensor, Routing]:
        """Probabilities (B, ΣK, Y, X) by every head, one after the other, and the domain.

        The encoder is most of the work, so tiles are given to all heads, and the image as a whole
        is given its domain afterwards.
        """
        tokens = self.tokens(image)
        found = [self.heads[name](tokens).float().softmax(dim=1) for name in self.domains]
        return torch.cat(found, dim=1), self.router.route(tokens.feature)


def _check_head(name: str, head: TokenDecoder, encoder: VisionTransformer, blocks: int) -> None:
    found = {"dim": head.dim, "patch": head.patch, "blocks": head.blocks}
    needed = {"dim": encoder.dim, "patch": encoder.patch, "blocks": blocks}
    if head.attention:
        found["attention"], needed["attention"] = head.attention, encoder.heads
    if found != needed:
        raise ValueError(
            f"the head of {name} is made for {found}, but {encoder.name} gives {needed}: set them "
            "to that"
        )
