from types import SimpleNamespace

import pytest
import torch

from data_modules.transfer import TransferDataModule


@pytest.mark.parametrize(
    ("device", "expected"),
    [("mps", torch.float32), ("cpu", torch.float64), ("cuda", torch.float64)],
)
def test_sizes_are_rounded_for_apples_gpus_alone(device, expected):
    data = TransferDataModule()
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)))
    sizes = torch.full((1, 2), 1.6, dtype=torch.float64)
    batch = {"student": {"image": torch.rand(1, 3, 4, 4), "spacing_um": sizes, "name": ["a"]}}
    moved = data.on_before_batch_transfer(batch, 0)["student"]
    assert moved["spacing_um"].dtype == expected
    assert (moved["image"].dtype, moved["name"]) == (torch.float32, ["a"])
