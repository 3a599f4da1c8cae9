"""Objects as flows of their pixels towards their centres."""

import logging
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lotus.losses import FlowLoss
from lotus.masks import without_small
from lotus.schemes.scheme import InstanceScheme, refuse_other_axes

FLOW_SCALE = 5.0
"""Networks predict flows times this, which cellpose divides by; so flow and foreground have losses
of one size.
"""

FLOW_Y, FLOW_X, FOREGROUND = 0, 1, 2


class FlowField(InstanceScheme):
    """Flows towards each object's centre and a foreground, as in Cellpose (Stringer et al., 2021).

    Three network outputs: the flow along Y, along X (times 5), and the foreground's logit. The
    true flow is the normalised gradient of heat that diffuses from the pixel nearest to an
    object's centre of mass and stays within the object. To find the objects, every foreground
    pixel follows the predicted flow, and those that end in one place are one object.

    Targets are computed on the device that the masks are on, the objects on the processor; both
    by the package cellpose (extra ``cellpose``), which finds no object of fewer than 11 pixels.
    Where an image is decoded in bands, an object that goes on for more than the halo beyond its
    band may be cut or lost: windows should be eight times as high as the objects.

    The defaults are those of Cellpose and MEDIAR.

    Args:
        minimum_size: Objects of fewer pixels are dropped.
        threshold: A pixel is foreground above this probability, in (0, 1).
        flow_error: Objects whose predicted flow differs from the flow of their own shape by
            more than this mean squared error are dropped; 0 keeps all.
        steps: Steps, of at most a pixel, that pixels follow the flow.

    Raises:
        ValueError: A value outside its range.
    """

    def __init__(
        self,
        minimum_size: int = 0,
        threshold: float = 0.5,
        flow_error: float = 0.4,
        steps: int = 200,
    ) -> None:
        if not 0.0 < threshold < 1.0:
            raise ValueError(f"threshold is {threshold:g}; expected a probability in (0, 1)")
        if flow_error < 0.0 or steps < 1:
            raise ValueError(
                f"flow_error is {flow_error:g} and steps {steps}; expected flow_error >= 0 and "
                "steps >= 1"
            )
        self.minimum_size = minimum_size
        self.threshold = threshold
        self.flow_error = flow_error
        self.steps = steps

    def channels(self, n_classes: int) -> int:
        """Always three; see :meth:`InstanceScheme.channels`."""
        if n_classes != 1:
            raise ValueError(
                f"{n_classes} foreground classes; FlowField separates the objects of exactly 1 "
                "(use ConnectedComponents for several)"
            )
        return 3

    def encode(self, mask: Tensor, instances: Tensor) -> Tensor:
        """Flow along Y and X, times 5, and foreground 0 or 1, float32 ``(B, 3, Y, X)``.

        A piece of an object that does not hang together with the piece its centre is in has no
        flow. The image's edge cuts objects: they flow to the centre of what is inside.
        """
        refuse_other_axes(instances, "(B, Y, X)")
        dynamics = _cellpose_dynamics()
        targets = []
        # A copy, because cellpose numbers the objects anew in place.
        for labels in instances.to("cpu", torch.int64, copy=True).numpy():
            # Its own number, its foreground and its two flows for every pixel.
            found = dynamics.labels_to_flows([labels], device=instances.device)[0]
            targets.append(np.concatenate((FLOW_SCALE * found[2:], found[1:2])))
        return torch.from_numpy(np.stack(targets)).to(instances.device, torch.float32)

    def default_loss(self, n_classes: int) -> nn.Module:
        """BCE of the foreground plus half the MSE of the flows."""
        return FlowLoss()

    def activate(self, logits: Tensor) -> Tensor:
        """Flows as they are and the sigmoid of the foreground."""
        logits = logits.float()
        return torch.cat((logits[:, :FOREGROUND], logits[:, FOREGROUND:].sigmoid()), dim=1)

    def foreground(self, probability: NDArray[Any]) -> NDArray[np.float32]:
        """The foreground output."""
        return np.asarray(probability[FOREGROUND], np.float32)

    def decode(self, probability: NDArray[Any]) -> NDArray[np.int32]:
        """Where pixels come to rest; see :meth:`InstanceScheme.decode`."""
        refuse_other_axes(probability, "(K, Y, X)")
        dynamics = _cellpose_dynamics()
        # PyTorch warns of sparse tensors as long as nobody says whether to check them.
        with torch.sparse.check_sparse_tensor_invariants(enable=False):  # type: ignore[no-untyped-call]
            labels = dynamics.compute_masks(
                np.asarray(probability[:FOREGROUND], np.float32),
                self.foreground(probability),
                niter=self.steps,
                cellprob_threshold=self.threshold,
                flow_threshold=self.flow_error,
                # Cellpose drops objects that fill 40 % of an image, as one in a small crop may.
                max_size_fraction=1.0,
            )
        return without_small(labels.astype(np.int32), self.minimum_size)


def _cellpose_dynamics() -> ModuleType:
    """The module of cellpose that turns masks into flows and back; no network is loaded.

    Raises:
        ValueError: Cellpose is not installed.
    """
    try:
        from cellpose import dynamics
    except ImportError as error:
        raise ValueError(
            "FlowField needs the package cellpose, which is not installed: "
            "pip install 'lotus-bone[cellpose]'"
        ) from error
    # An image without objects is nothing to warn of.
    logging.getLogger(dynamics.__name__).setLevel(logging.ERROR)
    module: ModuleType = dynamics
    return module
