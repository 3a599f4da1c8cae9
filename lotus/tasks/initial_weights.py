"""Weights of a training with other classes, all but those of the head."""

from collections.abc import Sequence
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor, nn

from lotus.tasks.checkpoint import read_checkpoint, state_of, volume_segmenter_of


def start_from_classes(
    network: nn.Module, checkpoint: Path, class_names: Sequence[str]
) -> list[str]:
    """Copy the weights of a checkpoint into a network that may have other classes.

    Where the classes are the same, in the same order, all weights are kept. Otherwise the head, the
    last layer with weights, stays as it was made, and a line says so.

    Args:
        network: Gets the weights.
        checkpoint: Of a :class:`lotus.tasks.SlabSegmentationTask`.
        class_names: Foreground classes of the network.

    Returns:
        Names of the weights that were not kept; none where the classes are the same.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such a checkpoint, or a network that differs in more than the head.
    """
    contents = read_checkpoint(checkpoint)
    known = volume_segmenter_of(contents, checkpoint)["class_names"]
    state = state_of(contents, "network.")
    head = head_names(network) if list(class_names) != list(known) else set()
    kept = {name: value for name, value in state.items() if name not in head}
    _check_shapes(network, kept, checkpoint, head)
    network.load_state_dict(kept, strict=False)
    if head:
        rank_zero_warn(
            f"weights of {checkpoint} kept, but for the head ({', '.join(sorted(head))}), which is "
            f"made anew: classes {', '.join(class_names)} instead of {', '.join(known)}"
        )
    return sorted(head)


def head_names(network: nn.Module) -> set[str]:
    """Names of the weights of a network's last layer: its ``head``, else the last to be registered.

    Args:
        network: Any that ends in a layer with weights.
    """
    head = getattr(network, "head", None)
    layers = [module for module in network.modules() if list(module.parameters(recurse=False))]
    last = head if isinstance(head, nn.Module) else layers[-1]
    own = {id(weight) for weight in last.parameters()}
    return {name for name, weight in network.named_parameters() if id(weight) in own}


def _check_shapes(
    network: nn.Module, kept: dict[str, Tensor], checkpoint: Path, head: set[str]
) -> None:
    expected = {n: tuple(v.shape) for n, v in network.state_dict().items() if n not in head}
    found = {name: tuple(value.shape) for name, value in kept.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"{checkpoint} holds another architecture than {type(network).__name__}: {name} is "
                f"{found.get(name, 'absent')} in the file, {expected.get(name, 'absent')} expected"
            )
