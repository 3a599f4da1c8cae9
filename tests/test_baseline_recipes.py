"""What the layers of baselines make of loss, optimizer and schedule, by hand."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from lotus.tasks import SegmentationTask
from tests.conftest import parsed, task_of

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments/lotus"
TINY_SWIN = {"channels": "8", "depths": "[1, 2]", "heads": "[1, 2]"}
TINY_DYN_UNET = {"filters": "2"}
TINY_U2NET = {"encoder_filters": str([[2, 4]] * 6), "decoder_filters": str([[2, 4]] * 5)}


def fit_arguments(*layers, network):
    return [
        *(text for name in layers for text in ("--config", str(EXPERIMENTS / f"{name}.yaml"))),
        *(f"--model.init_args.network.init_args.{name}={value}" for name, value in network.items()),
    ]


def student_with(name, network) -> SegmentationTask:
    layers = ("student", "quick/student", f"baselines/{name}")
    return task_of(fit_arguments(*layers, network=network))


def batch_of(size=8):
    instances = (torch.rand(2, size, size, generator=torch.Generator().manual_seed(0)) > 0.7).int()
    return {"mask": instances.long(), "instances": instances}


def random_logits(number, size=8):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 1, size, size, generator=generator) for _ in range(number)]


def cross_entropy(logits, batch):
    return binary_cross_entropy(logits.sigmoid()[:, 0], batch["mask"].float())


def soft_dice_loss(logits, batch):
    """The mean over images, each with MONAI's 1e-5 against division by zero."""
    found, truth = logits.sigmoid()[:, 0], batch["mask"].float()
    overlap, total = (found * truth).sum((1, 2)), found.sum((1, 2)) + truth.sum((1, 2))
    return (1 - (2 * overlap + 1e-5) / (total + 1e-5)).mean()


def test_loss_of_swin_unet_is_four_parts_cross_entropy_and_six_dice():
    task, batch = student_with("swin_unet", TINY_SWIN), batch_of()
    (logits,) = random_logits(1)
    expected = 0.4 * cross_entropy(logits, batch) + 0.6 * soft_dice_loss(logits, batch)
    torch.testing.assert_close(task.segmentation_loss(logits, batch), expected)


@pytest.mark.parametrize("name", ["u2net", "u2net_small"])
def test_loss_of_u2net_is_the_mean_of_seven_cross_entropies(name):
    task, batch = student_with(name, TINY_U2NET), batch_of()
    assert len(task.network.train()(torch.rand(2, 3, 32, 32))) == 7
    outputs = random_logits(7)
    expected = torch.stack([cross_entropy(logits, batch) for logits in outputs]).mean()
    torch.testing.assert_close(task.segmentation_loss(outputs, batch), expected)


def test_loss_of_dynunet_halves_the_weight_of_each_coarser_output():
    task, batch = student_with("dynunet", TINY_DYN_UNET), batch_of()
    losses = [cross_entropy(o, batch) + soft_dice_loss(o, batch) for o in random_logits(3)]
    expected = (4 * losses[0] + 2 * losses[1] + losses[2]) / 7
    torch.testing.assert_close(task.segmentation_loss(random_logits(3), batch), expected)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quick", "paper", "brief"])
def test_dynunet_is_planned_for_the_crops_and_epochs_of_the_preset(preset):
    layers = ("student", f"{preset}/student", "baselines/dynunet", f"{preset}/dynunet")
    arguments = fit_arguments(*layers, network=TINY_DYN_UNET)
    config, _ = parsed(arguments)
    epochs = config.trainer.max_epochs
    assert config.trainer.gradient_clip_val == 12
    task = task_of(arguments)
    assert task.network.patch_size == config.data.init_args.patch_size

    (optimizer,), (scheduler,) = task.configure_optimizers()
    assert isinstance(optimizer, torch.optim.SGD)
    settings = {"lr": 0.01, "momentum": 0.99, "nesterov": True, "weight_decay": 3e-5}
    assert {name: optimizer.defaults[name] for name in settings} == settings
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    # nnU-Net's PolyLRScheduler: the last epoch still learns.
    assert rates == pytest.approx([0.01 * (1 - epoch / epochs) ** 0.9 for epoch in range(epochs)])
    assert rates[-1] > 0


SEVERAL = [
    "--model.init_args.class_names=[a, b]",
    "--model.init_args.network.init_args.out_channels=3",
]
# As docs/baselines.md has it for the layers with a loss of their own.
SOFTMAX = [
    *(
        "--model.init_args.loss.init_args.sigmoid=false",
        "--model.init_args.loss.init_args.softmax=true",
    ),
    "--model.init_args.loss.init_args.to_onehot_y=true",
    "--model.init_args.loss.init_args.include_background=false",
]
USUAL = {
    "unetplusplus": {"filters": "[4, 4, 4, 4, 4]"},
    "swin_unetr": {"filters": "12"},
    "dynunet": {"patch_size": "32", "filters": "2"},
}
OWN = {"u2net": TINY_U2NET, "u2net_small": TINY_U2NET, "swin_unet": TINY_SWIN}


def several_classes(name, *more):
    network = (USUAL | OWN)[name]
    layers = ("student", "quick/student", f"baselines/{name}")
    return task_of([*fit_arguments(*layers, network=network), *SEVERAL, *more])


@pytest.mark.slow
@pytest.mark.parametrize("name", USUAL)
def test_several_classes_need_outputs_alone_where_the_loss_is_the_usual_one(name):
    several_classes(name).setup("fit")


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_several_classes_need_a_softmax_where_a_layer_has_its_own_loss(name):
    with pytest.raises(ValueError, match=r"DiceCELoss .* does not take 3 output\(s\) for 2 class"):
        several_classes(name).setup("fit")
    several_classes(name, *SOFTMAX).setup("fit")
    several_classes(name, "--model.init_args.loss=null").setup("fit")


OUTPUTS = {"unetplusplus": 4, "swin_unetr": 1}


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUTS)
def test_usual_loss_is_the_mean_over_the_outputs_of_dice_plus_cross_entropy(name):
    task, batch = student_with(name, USUAL[name]), batch_of()
    outputs = task.network.train()(torch.rand(2, 3, 32, 32))
    assert (len(outputs) if isinstance(outputs, list) else 1) == OUTPUTS[name]
    logits = random_logits(OUTPUTS[name])
    terms = [cross_entropy(output, batch) + soft_dice_loss(output, batch) for output in logits]
    found = task.segmentation_loss(logits if len(logits) > 1 else logits[0], batch)
    torch.testing.assert_close(found, torch.stack(terms).mean())


TINY_MEDIAR = {
    **{"encoder_name": "mit_b0", "decoder_channels": "[8, 8, 8, 8, 8]"},
    "decoder_pab_channels": "4",
}
# As docs/baselines.md has them; Adam's are the preset's.
OPTIMIZERS = {
    "unetplusplus": (torch.optim.Adam, {"lr": 3e-3, "weight_decay": 1e-7}),
    "u2net": (torch.optim.Adam, {"lr": 3e-3, "weight_decay": 1e-7}),
    "u2net_small": (torch.optim.Adam, {"lr": 3e-3, "weight_decay": 1e-7}),
    "swin_unet": (torch.optim.AdamW, {"lr": 5e-4, "weight_decay": 0.05}),
    "swin_unetr": (torch.optim.AdamW, {"lr": 1e-4, "weight_decay": 1e-5}),
    "mediar": (torch.optim.AdamW, {"lr": 5e-5, "weight_decay": 0.01}),
    "mask_rcnn": (torch.optim.SGD, {"lr": 5e-3, "momentum": 0.9, "weight_decay": 5e-4}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_those_of_the_docs(name):
    kind, settings = OPTIMIZERS[name]
    networks = {**USUAL, **OWN, "mediar": TINY_MEDIAR, "mask_rcnn": {}}
    found = student_with(name, networks[name]).configure_optimizers()
    optimizer = found[0][0] if isinstance(found, tuple) else found
    assert type(optimizer) is kind
    assert {setting: optimizer.defaults[setting] for setting in settings} == settings
    assert isinstance(found, tuple) == (name == "mediar"), "MEDIAR alone has a schedule of its own"


@pytest.mark.slow
def test_mediar_is_trained_as_published():
    """AdamW from 5e-5 along a cosine of 100 epochs to 1e-7; BCE plus half the error of flows."""
    task = student_with("mediar", TINY_MEDIAR)
    (optimizer,), (scheduler,) = task.configure_optimizers()
    rates = []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    cosine = [(1 + math.cos(math.pi * epoch / 100)) / 2 for epoch in range(101)]
    assert rates == pytest.approx([1e-7 + (5e-5 - 1e-7) * height for height in cosine])

    instances = torch.zeros(2, 24, 24, dtype=torch.int32)
    instances[:, 4:20, 6:22] = 1
    batch = {"mask": instances.long(), "instances": instances}
    logits = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    target = task.instances.encode(batch["mask"], instances)  # flows times 5, and the foreground
    entropy = binary_cross_entropy(logits[:, 2].sigmoid(), (instances > 0).float())
    expected = entropy + (logits[:, :2] - target[:, :2]).square().mean() / 2
    torch.testing.assert_close(task.segmentation_loss(logits, batch), expected)
