"""Where the time of `lotus explain` goes: the share that is spent in the network.

``python -m benchmarks.explain [--network vgg16 --side 224 --patches 4 --device auto]``

The network's time is that of its forward passes and of GradCAM's backward passes, its share that of
explaining and drawing; patches lie in memory, and no picture is written. A second measurement puts
perturbed patches through the network one by one, as the peer.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lotus.batch import PatchBatch
from lotus.inference.class_activation import ClassActivation
from lotus.inference.classifier import TrainedClassifier
from lotus.inference.explanation import ExplanationSettings, explain
from lotus.inference.segmenter import device_named
from lotus.networks import GuidedClassifier, TimmClassifier
from lotus.reports.explanation import heat_overlay
from lotus.transforms import DtypeRange


class Clock:
    """Adds up the seconds in which a function is inside."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self._device = device
        self._depth = 0

    def now(self) -> float:
        """Seconds, once the device has finished."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed; a call inside another one counts once."""

        def timed(*arguments: Any, **options: Any) -> Any:
            begun, self._depth = self.now(), self._depth + 1
            try:
                return function(*arguments, **options)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += self.now() - begun

        return timed


def batches(side: int, patches: int) -> Iterator[PatchBatch]:
    """Random patches in one batch."""
    names = [f"s@{number},0" for number in range(patches)]
    yield {
        "image": torch.rand(patches, 1, side, side).expand(-1, 3, -1, -1).contiguous(),
        "label": torch.zeros(patches, dtype=torch.int64),
        "spacing_um": torch.ones(patches, 2),
        "name": names,
        "slice": names,
        "patient": names,
        "group": ["healthy"] * patches,
    }


def mask_of(name: str) -> NDArray[np.bool_]:
    """A lacuna in the middle of a patch of 55 px."""
    mask = np.zeros((55, 55), bool)
    mask[22:32, 20:36] = True
    return mask


def measure(
    classifier: TrainedClassifier, settings: ExplanationSettings, side: int, patches: int
) -> tuple[float, float]:
    """Seconds per patch, and the share of them that is spent in the network."""
    clock = Clock(classifier.device)
    network, forward = classifier.network, classifier.network.forward
    called = ClassActivation.__call__
    network.forward = clock.around(forward)
    ClassActivation.__call__ = clock.around(called)  # type: ignore[method-assign]
    try:
        begun = clock.now()
        for patch in explain(classifier, batches(side, patches), mask_of, settings):
            heat_overlay(patch.image, patch.heat, patch.mask)
        whole = clock.now() - begun
    finally:
        network.forward = forward
        ClassActivation.__call__ = called  # type: ignore[method-assign]
    return whole / patches, clock.seconds / whole


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="vgg16", help="of timm (%(default)s)")
    parser.add_argument("--side", type=int, default=224, help="of a patch in px (%(default)s)")
    parser.add_argument("--patches", type=int, default=4, help="%(default)s")
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    device = device_named(arguments.device)
    torch.manual_seed(0)
    network = GuidedClassifier(TimmClassifier(arguments.network))
    network.to(device).to(memory_format=torch.channels_last).eval()
    classifier = TrainedClassifier(
        network=network,
        preprocessing=DtypeRange(),
        class_names=["healthy", "osteoporotic"],
        in_channels=3,
        resize=arguments.side,
        spacing_um=None,
        weights_source="random",
        device=device,
    )
    settings = ExplanationSettings()
    measure(classifier, settings, arguments.side, 1)
    for name, own in (("together", settings), ("one by one", replace(settings, batch_size=1))):
        seconds, share = measure(classifier, own, arguments.side, arguments.patches)
        print(
            f"{arguments.network}, {arguments.side} px, {device}, perturbed patches {name}: "
            f"{seconds:.3f} s per patch, {share:.1%} of it in the network"
        )


if __name__ == "__main__":
    main()
