"""What the tests of tasks on unpaired data share."""

from pathlib import Path

import torch

from tests.conftest import STUDENT, tiny_arguments

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments/lotus"


def random_batch(seed, size=16):
    generator = torch.Generator().manual_seed(seed)
    instances = (torch.rand(2, size, size, generator=generator) > 0.6).int()
    return {
        "image": torch.rand(2, 3, size, size, generator=generator),
        "mask": instances.long(),
        "instances": instances,
    }


def keep_log(task):
    """The task in training mode; what it logs is found in ``task.logged``."""
    task.logged = {}
    task.log = lambda name, value, **_: task.logged.update({name: value})
    task.log_dict = lambda values, **_: task.logged.update(values)
    return task.train()


def names_shown(task):
    """What the task's charts show of what was logged."""
    return {name for chart in task.charts() for name in (*chart.curves, chart.deviation)}


def check_gradients(expected, found):
    """Compare gradients by name of weight; None is none at all.

    Rounding is that of the largest gradient of a part of the network.
    """
    assert expected.keys() == found.keys()
    largest = {}
    for name, gradient in expected.items():
        if gradient is not None:
            part = tuple(name.split(".")[:2])
            largest[part] = max(float(gradient.abs().max()), largest.get(part, 0))
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None, f"{name} has a gradient"
            continue
        error = (found[name] - gradient).abs().max() / largest[tuple(name.split(".")[:2])]
        assert error < 1e-3, f"{name}: {error:.1e} of the largest"


def baseline_arguments(name, manifest, runs):
    """A baseline laid over the quick distillation, made small; no teacher is given."""
    layers = [EXPERIMENTS / "quick/distill.yaml", EXPERIMENTS / f"baselines/{name}.yaml"]
    arguments = tiny_arguments("distill", manifest, runs, layers)
    return [*arguments, f"{STUDENT}.preprocessing", "lotus.transforms.PercentileRange"]
