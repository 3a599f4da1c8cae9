"""How often ROIs are given their own domain, by what a frozen encoder says of their tiles.

``python -m benchmarks.routing MANIFEST --domains fluorescence histology [--weights FILE]``: a
router is fitted to the tiles of the training patients, told by those of the validation patients how
far tiles may be from what is usual, and asked about the ROIs of the test patients, as in
`lotus segment`. Without weights the encoder is the random one of the quick recipes.
"""

import argparse
import functools
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from data_modules import TileDataModule, ViewsDataModule
from data_modules.manifest import SPLIT_NAMES, Split
from lotus.networks import VisionTransformer
from lotus.networks.domain_router import DomainRouter, vote

QUICK = {"embed_dim": 96, "depth": 4, "num_heads": 3}
BATCH = 64
STEPS = 200
Tiles = tuple[Tensor, list[str], list[str]]
"""Features (N, D) of tiles, the domain of each and the name of its ROI."""


@torch.inference_mode()
def features_of(data: ViewsDataModule, split: Split, encoder: VisionTransformer) -> Tiles:
    """What the encoder says of all tiles of a set."""
    tiles = data.tiles(split)
    samples = [tiles[number] for number in range(len(tiles))]
    images = torch.stack([torch.as_tensor(sample["image"]) for sample in samples]).float()
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    starts = range(0, len(images), BATCH)
    features = torch.cat([encoder(images[start : start + BATCH]) for start in starts])
    return features, [s["modality"] for s in samples], [s["name"] for s in samples]


def fitted(train: Tiles, validation: Tiles, domains: list[str]) -> DomainRouter:
    """A router of features, as the heads' training fits it: every domain counts alike."""
    features, names, _ = train
    router = DomainRouter(domains, features.shape[1])
    target = torch.tensor([domains.index(name) for name in names])
    weight = 1.0 / target.bincount(minlength=len(domains)).float()
    optimizer = torch.optim.AdamW(router.parameters(), lr=1e-2)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.autograd.backward(F.cross_entropy(router(features.clone()), target, weight))
        optimizer.step()
    for index, domain in enumerate(domains):
        router.describe(domain, features[target == index])
        own = torch.tensor([name == domain for name in validation[1]])
        away = router.distances(validation[0][own])[:, index]
        router.widen(domain, float(away.mean()), float(away.std(correction=0)))
    return router


def main() -> int:
    """Print the routing of the test ROIs of each domain."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--domains", nargs="+", default=["fluorescence", "trichrome"])
    parser.add_argument("--weights", type=Path, help="of a pretrained encoder (default: random)")
    parser.add_argument("--region", type=int, default=192, help="twice a tile (%(default)s px)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    make = functools.partial(
        TileDataModule,
        arguments.manifest,
        class_names=["any"],
        in_channels=3,
        region=arguments.region,
        seed=arguments.seed,
    )
    data = ViewsDataModule({name: make(name) for name in arguments.domains})
    encoder = VisionTransformer("vit_tiny_patch16_224", QUICK, arguments.weights).eval()
    train, validation, test = (features_of(data, split, encoder) for split in SPLIT_NAMES)
    router = fitted(train, validation, arguments.domains)
    rois: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, key in enumerate(zip(test[1], test[2], strict=True)):
        rois[key].append(number)
    print("| domain | test ROIs | given their domain | uncertain | tiles | of them right |")
    print("|---|---|---|---|---|---|")
    for index, domain in enumerate(arguments.domains):
        own = [numbers for (name, _), numbers in rois.items() if name == domain]
        with torch.inference_mode():
            routings = [router.route(test[0][numbers]) for numbers in own]
        votes = [vote([each]) for each in routings]
        right = sum(int((each.probability.argmax(dim=1) == index).sum()) for each in routings)
        print(
            f"| {domain} | {len(own)} | {sum(each.domain == index for each in votes)} "
            f"| {sum(each.uncertain for each in votes)} | {sum(map(len, own))} | {right} |"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
