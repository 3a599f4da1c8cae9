"""Why a classifier says what it says of patches: maps, and how good they are."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lotus.batch import PatchBatch
from lotus.inference.class_activation import ClassActivation
from lotus.inference.classifier import TrainedClassifier
from lotus.inference.perturbation import deleted, grid_of, imputed, inserted
from lotus.metrics.explanation import area_under, energy_inside, peak_hits, removal_order

Explained = Literal["predicted", "true"]
"""The class that is explained: the most probable one, or the patient's group."""

FAITHFULNESS = ("deletion", "insertion", "road")


@dataclass(frozen=True)
class ExplanationSettings:
    """How patches are explained.

    Attributes:
        layer: Name of the layer; None: the last one with a map.
        explained: Which class.
        steps: Points of the deletion and of the insertion curve, besides their first.
        percentages: Shares of pixels, in (0, 100), that ROAD removes.
        batch_size: Perturbed images that go through the network at once.
        seed: Decides between equal values of a map, and the noise of ROAD.

    Raises:
        ValueError: A number out of range.
    """

    layer: str | None = None
    explained: Explained = "predicted"
    steps: int = 10
    percentages: tuple[int, ...] = (10, 30, 50, 70, 90)
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        """Make sure that all numbers are in their range."""
        if min(self.steps, self.batch_size) < 1:
            raise ValueError(
                f"{self.steps} steps of {self.batch_size} images at once; at least 1 is expected"
            )
        if not self.percentages or not all(0 < share < 100 for share in self.percentages):
            raise ValueError(
                f"percentages are {', '.join(map(str, self.percentages)) or 'none'}; expected "
                "some between 0 and 100"
            )


@dataclass(frozen=True)
class ExplainedPatch:
    """A patch, what the network looked at, and how good a map that is.

    Attributes:
        row: Texts and scores by the names of their columns; NaN where a score is undefined.
        image: float32 (Y, X, C) in [0, 1], as the network saw it.
        heat: float32 (Y, X), the map enlarged to the image, at least 0.
        mask: bool (Y', X'), the annotated objects in the pixels of the slice; None without any.
    """

    row: dict[str, Any]
    image: NDArray[np.float32]
    heat: NDArray[np.float32]
    mask: NDArray[np.bool_] | None


def explain(
    classifier: TrainedClassifier,
    batches: Iterable[PatchBatch],
    mask_of: Callable[[str], NDArray[np.bool_] | None],
    settings: ExplanationSettings,
) -> Iterator[ExplainedPatch]:
    """Explain patches one after the other.

    What is found of a patch depends on it and the settings alone, not on its batch.

    Args:
        classifier: The network.
        batches: The patches, with guides where the network needs them.
        mask_of: From the name of a patch to its annotated objects.
        settings: How.

    Raises:
        ValueError: The network has no such layer.
    """
    network, device = classifier.network, classifier.device
    activation: ClassActivation | None = None
    for batch in batches:
        images = batch["image"].to(device)
        options = {"guide": batch["guide"].to(device)} if "guide" in batch else {}
        if activation is None:
            first = {name: value[:1] for name, value in options.items()}
            activation = ClassActivation(network, settings.layer, images[:1], **first)
        with torch.inference_mode():
            probabilities = network(images, **options).float().softmax(dim=1).cpu()
        classes = probabilities.argmax(dim=1)
        if settings.explained == "true":
            classes = batch["label"].cpu()
        maps = activation(images, classes.to(device), **options)
        for number, (name, index) in enumerate(zip(batch["name"], classes.tolist(), strict=True)):
            own = {key: value[number : number + 1] for key, value in options.items()}
            probability_of = partial(_probabilities, network, index, settings.batch_size, own)
            probability = float(probabilities[number, index])
            image, found, mask = images[number], maps[number], mask_of(name)
            generator = np.random.default_rng([settings.seed, crc32(name.encode())])
            row = {
                **{key: batch[key][number] for key in ("name", "slice", "patient", "group")},
                "explained": classifier.class_names[index],
                "probability": probability,
                **plausibility(found, mask),
                **faithfulness(probability_of, probability, image, found, settings, generator),
            }
            pixels = image.permute(1, 2, 0).cpu().numpy()
            yield ExplainedPatch(row, pixels, _enlarged(found, pixels.shape[:2]), mask)


def plausibility(found: Tensor, mask: NDArray[np.bool_] | None) -> dict[str, float]:
    """Whether a map lies on annotated objects.

    Args:
        found: The map (1, H, W) in the pixels of its layer; enlarged to those of the slice, in
            which objects are.
        mask: The objects (Y, X); None where nobody annotated them.

    Returns:
        ``lacunae``, the share of area that they cover, which is what chance gives; ``pointing`` and
        ``energy``. NaN where they are undefined.
    """
    if mask is None:
        return dict.fromkeys(("lacunae", "pointing", "energy"), float("nan"))
    heat = _enlarged(found, mask.shape)
    return {
        "lacunae": float(mask.mean()),
        "pointing": peak_hits(heat, mask),
        "energy": energy_inside(heat, mask),
    }


def faithfulness(
    probability_of: Callable[[Tensor], NDArray[np.float64]],
    probability: float,
    image: Tensor,
    found: Tensor,
    settings: ExplanationSettings,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Whether the network needs what a map shows.

    Deletion puts the mean of the patch in the place of pixels, insertion starts from a blurred
    patch, ROAD imputes (:mod:`lotus.inference.perturbation`).

    Args:
        probability_of: From images (N, C, Y, X) to the probabilities (N,) of the explained class.
        probability: That of the image.
        image: (C, Y, X).
        found: The map (1, H, W) in the pixels of its layer.
        settings: Steps and percentages.
        generator: Of the order of equal values, and the noise.

    Returns:
        ``deletion`` and ``insertion``, areas in [0, 1]; ``road_most_P`` and ``road_least_P``, the
        probability once P % of the pixels of the highest, or lowest, values are imputed; ``road``,
        the mean of least minus most over all P, 0 by chance. NaN for a map that is 0 everywhere.
    """
    heat = _enlarged(found, grid_of(image))
    shares = settings.percentages
    names = [f"road_{end}_{share}" for end in ("most", "least") for share in shares]
    if not heat.any():
        return dict.fromkeys((*FAITHFULNESS, *names), float("nan"))
    order = removal_order(heat, generator)
    images = (
        deleted(image, order, settings.steps),
        inserted(image, order, settings.steps),
        imputed(image, order, shares, generator),
        imputed(image, order.size - 1 - order, shares, generator),
    )
    values = probability_of(torch.cat(images))
    deletion, insertion, most, least = np.split(values, np.cumsum([*map(len, images[:-1])]))
    return {
        "deletion": area_under([probability, *deletion]),
        "insertion": area_under([*insertion, probability]),
        "road": float((least - most).mean()),
        **dict(zip(names, np.concatenate((most, least)).tolist(), strict=True)),
    }


def _probabilities(
    network: nn.Module, index: int, batch_size: int, options: dict[str, Tensor], images: Tensor
) -> NDArray[np.float64]:
    found = []
    with torch.inference_mode():
        for part in torch.split(images, batch_size):
            same = {name: value.expand(len(part), -1, -1, -1) for name, value in options.items()}
            part = part.contiguous(memory_format=torch.channels_last)
            found.append(network(part, **same).float().softmax(dim=1)[:, index].double().cpu())
    return torch.cat(found).numpy()


def _enlarged(found: Tensor, sides: tuple[int, ...]) -> NDArray[np.float32]:
    """A map (1, H, W) in other pixels of the same field."""
    large = interpolate(found[None], (sides[0], sides[1]), mode="bilinear", align_corners=False)
    return np.asarray(large[0, 0].cpu().numpy(), np.float32)
