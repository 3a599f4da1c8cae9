"""A step of DINO written down a second time: loss, gradients, centre, and how the teacher moves."""

import math
import sys

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from lotus.networks import VisionTransformer
from lotus.tasks import DINOTask
from lotus.tasks.dino import teacher_momentum
from lotus.transforms import MultiCropViews

PROTOTYPES = 7

SHAPE = {"embed_dim": 12, "depth": 2, "num_heads": 3}


def new_task(encoder=None, **options):
    torch.manual_seed(3)
    encoder = encoder or VisionTransformer("vit_tiny_patch16_224", SHAPE)
    views = MultiCropViews(global_size=32, local_size=16, local_count=2)
    small = {"prototypes": PROTOTYPES, "hidden": 10, "bottleneck": 5}
    task = DINOTask(encoder, views=views, **small, **options)
    # Student and teacher that differ, and prototypes that do, too.
    with torch.no_grad():
        for weight in (*task.student.parameters(), *task.student_head.parameters()):
            if weight.requires_grad:
                weight.add_(0.3 * torch.randn_like(weight))
    return task


def slow_head(head, embedding):
    """Two hidden layers with GELU, a vector of length 1, and its product with unit prototypes."""
    weights = dict(head.named_parameters())
    for layer in (0, 2, 4):
        embedding = embedding @ weights[f"layers.{layer}.weight"].T
        embedding = embedding + weights[f"layers.{layer}.bias"]
        if layer < 4:
            embedding = embedding * (1 + torch.erf(embedding / math.sqrt(2))) / 2
    embedding = embedding / embedding.square().sum().sqrt()
    rows = weights["last_layer.weight_v"]
    return torch.stack([embedding @ row / row.square().sum().sqrt() for row in rows])


def slow_loss(task, views, centre, sharpness):
    """The mean over images and pairs of different views; view by view, image by image."""
    every = [*views.global_views, *views.local_views]
    wanted = []
    for view in views.global_views:
        with torch.no_grad():
            embeddings = task.encoder(view)
            wanted.append([slow_head(task.teacher_head, each) for each in embeddings])
    given = [[slow_head(task.student_head, each) for each in task.student(view)] for view in every]
    terms = []
    for i, teacher in enumerate(wanted):
        for j, student in enumerate(given):
            if i == j:
                continue
            for said, answer in zip(teacher, student, strict=True):
                target = ((said - centre) / sharpness).exp()
                target = target / target.sum()
                guess = (answer / 0.1).exp()
                terms.append(-(target * (guess / guess.sum()).log()).sum())
    outputs = torch.stack([output for view in wanted for output in view])
    return torch.stack(terms).mean(), outputs.mean(dim=0)


@pytest.fixture
def views():
    images = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    return new_task().views(images, torch.Generator().manual_seed(2))


def test_a_step_as_written_out(views):
    task = new_task().train()
    centre = torch.linspace(-0.4, 0.5, PROTOTYPES)
    task.loss.center.copy_(centre)
    loss = task.losses(views)["loss"]
    loss.backward()
    wanted, mean = slow_loss(task, views, centre, 0.04)
    torch.testing.assert_close(loss, wanted)

    names, weights = zip(
        *((name, weight) for name, weight in task.named_parameters() if weight.requires_grad),
        strict=True,
    )
    assert all(name.startswith(("student.", "student_head.")) for name in names)
    gradients = torch.autograd.grad(wanted, weights)
    for name, weight, gradient in zip(names, weights, gradients, strict=True):
        assert gradient.any(), name
        torch.testing.assert_close(weight.grad, gradient, atol=2e-5, rtol=1e-3, msg=name)
    teachers = [*task.encoder.parameters(), *task.teacher_head.parameters()]
    assert all(weight.grad is None for weight in teachers)
    torch.testing.assert_close(task.loss.center.flatten(), 0.9 * centre + 0.1 * mean)


def test_the_teacher_never_sees_a_local_view(views):
    task = new_task()
    shown = []
    task.encoder.register_forward_pre_hook(lambda module, given: shown.append(given[0].shape))
    task.losses(views)
    assert [tuple(shape) for shape in shown] == [(6, 3, 32, 32)]


def test_without_local_views_the_student_sees_the_global_ones(views):
    task = new_task()
    only = views._replace(local_views=[])
    centre = torch.zeros(PROTOTYPES)
    torch.testing.assert_close(task.losses(only)["loss"], slow_loss(task, only, centre, 0.04)[0])


def test_evaluation_moves_nothing(views):
    task = new_task().eval()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    with torch.inference_mode():
        task.losses(views)
    after = task.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_loss_is_a_sum_in_float32_whatever_the_precision(views):
    task = new_task()
    expected = task.losses(views)["loss"]
    task.loss.center.zero_()
    with torch.autocast("cpu", torch.bfloat16):
        found = task.losses(views)["loss"]
    assert found.dtype == task.loss.center.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0)


def test_student_and_teacher_begin_alike():
    encoder = VisionTransformer("vit_tiny_patch16_224", SHAPE)
    task = DINOTask(encoder, prototypes=5, hidden=4, bottleneck=3)
    for teacher, student in ((task.encoder, task.student), (task.teacher_head, task.student_head)):
        state = student.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in teacher.state_dict().items())


def test_parts_of_the_student_are_dropped_and_none_of_the_teacher():
    encoder = VisionTransformer("vit_tiny_patch16_224", {**SHAPE, "drop_path_rate": 0.9})
    task = new_task(encoder).train()
    image = torch.rand(8, 3, 32, 32)
    assert torch.equal(task.encoder(image), task.encoder(image))
    assert not torch.equal(task.student(image), task.student(image))


class Watch(pl.Callback):
    """Keeps the weights of student and teacher after every step, and the temperatures."""

    def __init__(self):
        self.steps = []

    def on_train_batch_end(self, trainer, task, outputs, batch, batch_idx):
        both = (("encoder", "student"), ("teacher_head", "student_head"))
        self.steps.append(
            {
                kind: {
                    f"{teacher}.{name}": value.clone()
                    for teacher, student in both
                    for name, value in getattr(task, (teacher, student)[kind]).named_parameters()
                }
                for kind in (0, 1)
            }
        )


def trained(task, epochs=2):
    watch = Watch()
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, DataLoader([{"image": image} for image in images], batch_size=4))
    return watch.steps


def test_the_teacher_is_the_average_of_its_student():
    """Four steps, momentum from 0.5 to 1 by half a cosine, each from the student after its step."""
    task = new_task(momentum=0.5, optimizer=lambda weights: torch.optim.SGD(weights, lr=0.1))
    teacher = {
        f"{kind}.{name}": value.detach().clone()
        for kind in ("encoder", "teacher_head")
        for name, value in getattr(task, kind).named_parameters()
    }
    steps = trained(task)
    assert len(steps) == 4
    for number, step in enumerate(steps):
        momentum = 1 - 0.5 * (1 + math.cos(math.pi * number / 4)) / 2
        for name, value in teacher.items():
            value.mul_(momentum).add_(step[1][name], alpha=1 - momentum)
            torch.testing.assert_close(step[0][name], value, msg=name)
    assert not torch.equal(
        steps[0][1]["encoder.model.norm.bias"], teacher["encoder.model.norm.bias"]
    )


@pytest.mark.parametrize("epochs", [0, 1])
def test_prototypes_are_frozen_for_some_epochs(epochs):
    task = new_task(frozen_epochs=epochs)
    name = "last_layer.weight_v"
    start = task.student_head.get_parameter(name).detach().clone()
    steps = [step[1][f"teacher_head.{name}"] for step in trained(task)]
    moved = [not torch.equal(start, value) for value in steps]
    assert moved == [epochs == 0, epochs == 0, True, True]


def test_the_teacher_grows_less_sharp_epoch_by_epoch(views, monkeypatch):
    task = new_task(temperatures=(0.04, 0.1), temperature_epochs=3)
    for epoch, temperature in enumerate((0.04, 0.07, 0.1, 0.1)):
        task.loss.center.zero_()
        monkeypatch.setattr(DINOTask, "current_epoch", epoch)
        wanted, _ = slow_loss(task, views, torch.zeros(PROTOTYPES), temperature)
        torch.testing.assert_close(task.losses(views)["loss"], wanted)


def test_momentum_rises_to_one():
    assert teacher_momentum(0, 10, 0.996) == pytest.approx(0.996)
    assert teacher_momentum(5, 10, 0.996) == pytest.approx(0.998)
    assert teacher_momentum(10, 10, 0.996) == teacher_momentum(11, 10, 0.996) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.0}, "momentum is 1"),
        ({"momentum": -0.5}, "momentum is -0.5"),
        ({"centre_momentum": 1.0}, "centre_momentum 1"),
        ({"centre_momentum": -0.1}, "centre_momentum -0.1"),
        ({"temperatures": (0.0, 0.07)}, "expected numbers > 0"),
        ({"student_temperature": 0.0}, "expected numbers > 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        new_task(**options)


def test_without_lightly_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    with pytest.raises(ValueError, match=r"pip install 'lotus-bone\[pretraining\]'"):
        new_task()
