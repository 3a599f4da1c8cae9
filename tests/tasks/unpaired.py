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


def baseline_arguments(name, manifest, runs):
    """A baseline laid over the quick distillation, made small; no teacher is given."""
    layers = [EXPERIMENTS / "quick/distill.yaml", EXPERIMENTS / f"baselines/{name}.yaml"]
    arguments = tiny_arguments("distill", manifest, runs, layers)
    return [*arguments, f"{STUDENT}.preprocessing", "lotus.transforms.PercentileRange"]
