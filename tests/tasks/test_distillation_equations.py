"""One whole step of the distillation against equations 1-6, term by term and weight by weight."""

import inspect
import re
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader

from lotus.losses import ClassAlignment, PixelAlignment
from lotus.networks import UNet
from lotus.tasks import DistillationTask, SegmentationTask
from tests.tasks import equations
from tests.tasks.expected_step import QUANTILES, TEMPERATURE, WEIGHTS, ExpectedStep
from tests.tasks.unpaired import check_gradients, keep_log, names_shown


class Draws(TorchFunctionMode):
    """Keeps the noise and the timesteps that are drawn inside."""

    def __init__(self):
        super().__init__()
        self.noise, self.timesteps = [], []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.randn_like:
            self.noise.append(result.double())
        elif func is torch.randint:
            self.timesteps.append(result)
        return result


class WatchedTask(DistillationTask):
    """Keeps what its only step draws and what gradient it gives."""

    def training_step(self, batch, batch_idx):
        with Draws() as self.draws:
            return super().training_step(batch, batch_idx)

    def on_after_backward(self):
        self.gradients = {name: weight.grad for name, weight in self.named_parameters()}


class Batches(pl.LightningDataModule):
    """The same unpaired batches in every epoch."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def train_dataloader(self):
        return DataLoader(self.batches, batch_size=None)


def network_of(classes):
    return UNet(out_channels=1 if classes == 1 else classes + 1, filters=(4, 8))


def names_of(classes):
    return ["lacuna", "vessel"][:classes]


def write_teacher(path, classes):
    """The checkpoint of a teacher that normalises by statistics unlike those of any batch."""
    task = SegmentationTask(network_of(classes), names_of(classes))
    for module in task.network.modules():
        module.momentum = 0.9
    task.network.train()(2 * torch.rand(4, 3, 16, 16))
    checkpoint = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return path


def unpaired_batch(classes, seed):
    """Two images of each modality; one of the teacher's lacks the last class."""
    generator = torch.Generator().manual_seed(seed)
    parts = {}
    for role, brightness in (("student", 1.0), ("teacher", 3.0)):
        image = brightness * torch.rand(2, 3, 8, 8, generator=generator)
        mask = torch.randint(0, classes + 1, (2, 8, 8), generator=generator)
        if role == "teacher":
            mask[1].clamp_(max=classes - 1)
        parts[role] = {"image": image, "mask": mask, "instances": (mask > 0).int()}
    return parts


def fit(task, batches, steps=1, epochs=1):
    """Train on the first of the batches; what was logged in the end."""
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        limit_train_batches=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, Batches(batches))
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def make_task(path, classes, **arguments):
    torch.manual_seed(0)
    weights = {f"lambda_{name}": value for name, value in WEIGHTS.items()}
    teacher = write_teacher(path / "teacher.ckpt", classes)
    task = WatchedTask(
        network=network_of(classes),
        class_names=names_of(classes),
        teacher=teacher,
        **(weights | arguments),
    )
    if task.diffusion is not None:
        with torch.no_grad():  # γ differs from 1 - γ, and from image to image
            task.diffusion.adapter.weight.weight *= 20
            task.diffusion.adapter.weight.bias += 1
    return task


def check_step(task, classes, phase):
    """Compare all that one step logs and all the gradient that it gives."""
    batches = [unpaired_batch(classes, seed) for seed in (1, 2)]
    expected = ExpectedStep(task, batches, phase)
    logged = fit(task.train(), batches)
    terms = expected.terms(task.draws)
    for name, term in terms.items():
        assert logged[f"train_loss_{name}"] == pytest.approx(float(term), rel=1e-3), name
        weighted = {"seg": 1.0, **WEIGHTS}[name] * float(term)
        assert logged[f"train_loss_{name}_weighted"] == pytest.approx(weighted, rel=1e-3), name
    absent = {*WEIGHTS} - terms.keys()
    assert not absent & {name.removeprefix("train_loss_") for name in logged}
    assert logged.keys() - names_shown(task) == {"train_loss", "phase"}
    assert logged["prototype_cosine"] == pytest.approx(float(expected.nearness), abs=1e-4)
    if expected.gammas:
        gamma = float(equations.mean(expected.gammas))
        assert logged["gamma_mean"] == pytest.approx(gamma, rel=1e-4)
    check_gradients(expected.gradients(terms), task.gradients)


ALIGNMENTS = [PixelAlignment(TEMPERATURE), ClassAlignment(TEMPERATURE, quantiles=QUANTILES)]


@pytest.mark.slow
@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("phase", [1, 2])
@pytest.mark.parametrize(("classes", "stride"), [(1, 2), (2, 1)])
def test_a_whole_step_follows_the_equations(tmp_path, alignment, phase, classes, stride):
    task = make_task(tmp_path, classes, alignment=alignment, feature_stride=stride)
    task.plateau.reached = phase == 2
    check_step(task, classes, phase)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_a_whole_step_without_diffusion_follows_the_equations(tmp_path, alignment):
    task = make_task(tmp_path, 2, alignment=alignment, feature_stride=2, lambda_diff=0)
    check_step(task, classes=2, phase=2)


def test_the_plateau_is_fed_with_every_image_of_its_epoch(tmp_path):
    def fast(weights):
        return torch.optim.Adam(weights, lr=0.01)

    task = make_task(tmp_path, classes=1, gamma_decay=0.0, optimizer=fast)
    gammas = []
    task.diffusion.adapter.register_forward_hook(lambda _, __, gamma: gammas.extend(gamma))
    batches = [unpaired_batch(1, seed) for seed in (1, 2)]
    logged = fit(task, batches, steps=2, epochs=2)
    first, second = torch.stack(gammas).view(2, 4)
    assert second.std() > 0.001
    assert abs(second.mean() - first.mean()) > 0.001
    assert task.plateau.average == pytest.approx(float(second.mean()))
    assert logged["gamma_sd"] == pytest.approx(float(second.std(correction=0)))
    assert not any(gamma.requires_grad for gamma in task._gammas), "a step's graph outlives it"


def test_nothing_of_the_teacher_is_trained(tmp_path):
    task = make_task(tmp_path, classes=1)
    frozen = set(task.teacher.parameters())
    assert not any(weight.requires_grad for weight in frozen)
    trained = {w for group in task.configure_optimizers().param_groups for w in group["params"]}
    assert trained == set(task.parameters()) - frozen


def test_no_gradient_goes_through_the_teacher_even_if_its_weights_ask_for_one(tmp_path):
    task = make_task(tmp_path, classes=1)
    task.teacher.requires_grad_(True)
    fit(task, [unpaired_batch(1, seed=1)])
    assert all(weight.grad is None for weight in task.teacher.parameters())
    assert any(gradient is not None for gradient in task.gradients.values())


def test_charts_say_what_they_show_in_their_section(tmp_path):
    charts = make_task(tmp_path, classes=1).charts()
    assert [chart.section for chart in charts] == 2 * ["Training"] + 2 * ["Distillation"]
    assert [chart.title for chart in charts if chart.deviation] == ["Noise adapter γ"]


def test_the_mode_is_that_of_the_student(tmp_path):
    task = make_task(tmp_path, classes=1)
    assert task.eval().network.training is False
    assert task.train().network.training is True
    assert not any(module.training for module in task.teacher.modules())


def test_the_scale_of_the_teachers_features_does_not_matter(tmp_path):
    batches = [unpaired_batch(1, seed) for seed in (1, 2)]
    logged = []
    for scale in (1, 1e-4):
        task = make_task(tmp_path, classes=1, lambda_diff=0)
        with torch.no_grad():
            for name in ("weight", "bias"):
                task.teacher.decoder[0][4].get_parameter(name).mul_(scale)
            task.teacher.head.weight /= scale
        logged.append(fit(task, batches))
    assert logged[0] == pytest.approx(logged[1], rel=1e-3)


class WatchedAlignment(ClassAlignment):
    """Keeps the precision of the maps of the teacher."""

    def score_divergence(self, student, teacher, *classes):
        self.scores = teacher.dtype
        return super().score_divergence(student, teacher, *classes)

    def feature_variation(self, student, teacher, *classes):
        self.features = teacher.dtype
        return super().feature_variation(student, teacher, *classes)


def test_what_is_compared_is_pooled_in_float32(tmp_path):
    task = make_task(tmp_path, classes=1, alignment=WatchedAlignment())
    task.plateau.reached = True
    task.feature_sd.fill_(1.0)
    keep_log(task)
    with torch.autocast("cpu", torch.bfloat16):
        task.training_step(unpaired_batch(1, seed=1), 0)
    assert task.alignment.scores == task.alignment.features == torch.float32


def test_defaults_are_those_of_the_documentation():
    page = (Path(__file__).resolve().parents[2] / "docs/distillation.md").read_text("utf-8")
    documented = {}
    for names, values in re.findall(r"^\| (`[a-z].*?) \| (\d.*?)(?:;.*?)? \|", page, re.MULTILINE):
        numbers = map(float, values.split(", "))
        documented |= dict(zip(re.findall(r"`(.*?)`", names), numbers, strict=True))
    arguments = inspect.signature(DistillationTask).parameters
    defaults = {name: item.default for name, item in arguments.items()}
    assert documented == {
        name: value for name, value in defaults.items() if isinstance(value, int | float)
    }
