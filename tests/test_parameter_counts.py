"""Numbers of parameters in the documentation are those of the networks that are shipped."""

import re
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from lotus.networks import FeatureDiffusion, Projector, UNet
from lotus.networks.mask_rcnn import mask_rcnn_resnet50
from lotus.tasks.description import build
from tests.conftest import task_of

REPOSITORY = Path(__file__).resolve().parents[1]
EXPERIMENTS = REPOSITORY / "experiments/lotus"
STUDENT_U_NET = 1_942_577


def count(*modules: nn.Module) -> int:
    """Parameters of the modules, shared ones once."""
    return sum(weight.numel() for weight in {w for part in modules for w in part.parameters()})


def row(page: str, name: str) -> str:
    """The only row of a table in the documentation with such a cell."""
    lines = (REPOSITORY / "docs" / page).read_text(encoding="utf-8").splitlines()
    (found,) = [line for line in lines if line.startswith("|") and f"| {name} |" in line]
    return found


def networks_of(layer: str) -> list[nn.Module]:
    """What the row of a layer gives the numbers of, in that order."""
    config = yaml.safe_load((EXPERIMENTS / f"baselines/{layer}.yaml").read_text(encoding="utf-8"))
    network = config["model"]["init_args"]["network"]
    if layer == "dynunet":
        sizes = (512, 96)
        return [build({**network, "init_args": {"patch_size": size}}) for size in sizes]
    if layer == "mask_rcnn":
        return [mask_rcnn_resnet50(num_classes=91)]
    if layer == "mediar":
        mediar = build(network)
        return [mediar, mediar.encoder]
    return [build(network)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "layer",
    [
        *("unetplusplus", "u2net", "u2net_small", "swin_unet", "swin_unetr", "dynunet"),
        *("mediar", "mask_rcnn"),
    ],
)
def test_baselines_have_the_millions_of_their_row(layer):
    written = re.findall(r"([\d.]+) M\b", row("baselines.md", f"`{layer}`"))
    found = [
        f"{count(network) / 1e6:.{len(text.partition('.')[2])}f}"
        for text, network in zip(written, networks_of(layer), strict=True)
    ]
    assert written == found


@pytest.mark.slow
def test_baselines_of_two_modalities_add_what_their_rows_say():
    layers = ("distill", "quick/distill")
    ummkd, maml = (
        task_of(
            [
                text
                for name in (*layers, f"baselines/{method}")
                for text in ("--config", str(EXPERIMENTS / f"{name}.yaml"))
            ]
        )
        for method in ("ummkd", "maml")
    )
    assert row("baselines.md", "parameters (U-Net of 1.94 M)")
    assert round(STUDENT_U_NET / 1e6, 2) == 1.94
    assert count(ummkd) - STUDENT_U_NET == 2944
    assert "(+2944)" in row("baselines.md", "`ummkd`")
    assert count(maml) - 2 * STUDENT_U_NET == 18_593
    assert "(18 593 with" in row("baselines.md", "`maml`")


@pytest.mark.parametrize("recipe", ["sensor3d", "unet", "unet3d"])
def test_networks_of_porosity_have_the_millions_of_their_row(recipe):
    path = REPOSITORY / f"experiments/porosity/{recipe}.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    with torch.device("meta"):
        found = count(build(config["model"]["init_args"]["network"])) / 1e6
    (written,) = re.findall(r"([\d.]+) M\b", row("porosity.md", f"`porosity/{recipe}.yaml`"))
    assert written == f"{found:.{len(written.partition('.')[2])}f}"


def test_parts_of_a_distillation_have_the_numbers_of_its_table():
    network = UNet(in_channels=3, out_channels=1, filters=(16, 32, 64, 128, 256))
    diffusion, projector = FeatureDiffusion(16), Projector(16, 16)
    # What is trained; the parts' names as the table has them.
    found = {
        "student, U-Net 3 → 16-32-64-128-256 → 1": count(network),
        "projector P, 1×1 convolutions 16 → 32 → 16": count(projector),
        "denoiser Φ, two bottlenecks": count(diffusion.denoiser),
        "noise adapter": count(diffusion.adapter),
        "trained in total": count(network, projector, diffusion),
    }
    assert found["student, U-Net 3 → 16-32-64-128-256 → 1"] == STUDENT_U_NET
    for name, number in found.items():
        assert f"| {number:,} |" in row("distillation.md", name), name
