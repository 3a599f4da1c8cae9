"""What validating an image costs, beside MONAI's sliding window with the same windows.

``python -m benchmarks.validation``: both put the project's U-Net on every window, blend, find the
objects and take the loss; ours mirrors images at their border, blends probabilities beside logits
and finds objects in bands, as `lotus segment` does. Processor time of one thread, alternating; the
ratio of each pair is taken, then the median.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from scipy.ndimage import gaussian_filter, label
from torch import Tensor, nn

from lotus.batch import Batch
from lotus.networks import UNet
from lotus.schemes import BoundaryWatershed, ConnectedComponents, InstanceScheme
from lotus.tasks import SegmentationTask

REPEATS = 9


class Blobs(nn.Module):
    """Finds what is bright, at the price of a U-Net."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.unet = UNet(3, out_channels)
        self.out_channels = out_channels

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, Y, X): foreground, or background, interior and boundary."""
        depth = 20 * (image.mean(1, keepdim=True) - 0.55)
        if self.out_channels == 3:
            depth = torch.cat((-depth, depth - 1, 1 - depth.abs()), dim=1)
        logits: Tensor = depth + 1e-6 * self.unet(image)
        return logits


def batch_of(side: int) -> Batch:
    """A smooth random image of ``side`` pixels and the blobs in it."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(side, side)), 4)
    grey = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    instances = torch.from_numpy(label(grey > 0.55)[0].astype(np.int32))[None]
    image = torch.from_numpy(grey).expand(1, 3, -1, -1).contiguous()
    return {"image": image, "instances": instances, "mask": (instances > 0).long()}  # type: ignore[typeddict-item]


def with_monai(task: SegmentationTask, batch: Batch, window: int) -> None:
    """The same with MONAI's inferer: zeros at the border, logits blended, objects found at once."""
    inferer = SlidingWindowInferer((window, window), 1, overlap=0.25, mode="gaussian")
    logits = inferer(batch["image"], task.forward)
    task.val_loss.update(task.segmentation_loss(logits, batch))
    labels = task.instances.decode(task.instances.activate(logits)[0].numpy())
    task.val_scores.update(labels, batch["instances"][0].numpy())


def seconds(run: Callable[[], object]) -> float:
    """Processor time."""
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(side: int, window: int, scheme: InstanceScheme) -> None:
    """Print the median of the ratios."""
    network = Blobs(scheme.channels(1))
    task = SegmentationTask(network, ["blob"], instances=scheme, window=window).eval()
    task.setup("validate")
    batch = batch_of(side)
    with torch.inference_mode():
        pairs = [
            (
                seconds(lambda: task.validation_step(batch, 0)),
                seconds(lambda: with_monai(task, batch, window)),
            )
            for _ in range(REPEATS + 1)
        ]
    ours, theirs = np.median(pairs[1:], axis=0)
    ratios = [a / b for a, b in pairs[1:]]
    print(
        f"{side} px, windows of {window} px, {type(scheme).__name__}: {ours:.3f} s, with MONAI "
        f"{theirs:.3f} s, ratio {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def main() -> None:
    """Images of one window, of less than one and of several."""
    torch.set_num_threads(1)
    for scheme in (ConnectedComponents(), BoundaryWatershed()):
        for side, window in ((256, 256), (256, 512), (520, 512), (1000, 512)):
            compare(side, window, scheme)


if __name__ == "__main__":
    main()
