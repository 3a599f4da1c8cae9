"""Two processes with half of a batch each move student and centre as one with all of it."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lotus.networks import VisionTransformer
from lotus.tasks import DINOTask
from lotus.transforms import MultiCropViews, Views


def step(rank, world_size):
    """Gradients and centre after two steps on every ``world_size``-th image."""
    torch.manual_seed(0)
    shape = {"embed_dim": 12, "depth": 2, "num_heads": 3}
    encoder = VisionTransformer("vit_tiny_patch16_224", shape)
    views = MultiCropViews(global_size=32, local_size=16, local_count=1)
    task = DINOTask(encoder, prototypes=7, hidden=10, bottleneck=5, views=views).train()
    images = torch.rand(6, 3, 48, 48)
    every = views(images, torch.Generator().manual_seed(1))
    own = Views(*([view[rank::world_size] for view in group] for group in every))
    for _ in range(2):
        task.losses(own)["loss"].backward()
    found = {name: w.grad for name, w in task.named_parameters() if w.grad is not None}
    if world_size > 1:
        for gradient in found.values():
            dist.all_reduce(gradient)
            gradient /= world_size
    return {**found, "centre": task.loss.center}


def step_in_process(rank, world_size, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world_size
    )
    torch.save(step(rank, world_size), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_step_like_one(tmp_path):
    mp.spawn(step_in_process, args=(2, str(tmp_path)), nprocs=2)
    alone = step(0, 1)
    assert alone["centre"].any()
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-3, msg=name)
