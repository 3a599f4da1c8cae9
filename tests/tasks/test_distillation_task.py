import json
import shutil
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from lotus.cli import main
from lotus.inference.segmenter import load_segmenter
from lotus.losses import ClassAlignment, PixelAlignment
from lotus.networks import UNet
from lotus.tasks import DistillationTask, SegmentationTask
from tests.conftest import STUDENT, tiny_arguments

PARTS = ("network", "projector", "diffusion.denoiser", "diffusion.adapter", "teacher")


def random_batch(seed):
    generator = torch.Generator().manual_seed(seed)
    instances = (torch.rand(2, 16, 16, generator=generator) > 0.6).int()
    return {
        "image": torch.rand(2, 3, 16, 16, generator=generator),
        "mask": instances.long(),
        "instances": instances,
    }


def task_in_phase(teacher, phase, **changes):
    values = {"lambda_diff": 0.0, "lambda_kl": 0.0, "lambda_ifv": 0.0} | changes
    task = DistillationTask(
        network=UNet(filters=(4, 8)), teacher=teacher, class_names=["lacuna"], **values
    )
    task.log = task.log_dict = lambda *_, **__: None
    task.feature_sd.fill_(1.0)
    task.plateau.reached = phase == 2
    task.on_train_epoch_start()
    return task.train()


def parts_with_gradient(task, loss):
    loss.backward()
    return {
        part
        for part in PARTS
        if task.get_submodule(part.split(".")[0]) is not None
        for weight in task.get_submodule(part).parameters()
        if weight.grad is not None and weight.grad.abs().sum() > 0
    }


@pytest.mark.parametrize("alignment", [PixelAlignment(), ClassAlignment()])
@pytest.mark.parametrize(
    ("term", "phase", "expected"),
    [
        ("diff", 1, {"diffusion.denoiser"}),
        ("kl", 1, {"network", "projector", "diffusion.adapter"}),
        ("kl", 2, {"network", "projector"}),
        ("ifv", 2, {"network", "projector"}),
    ],
)
def test_each_term_trains_its_own_parts_and_nothing_else(
    tiny_teacher, alignment, term, phase, expected
):
    task = task_in_phase(
        tiny_teacher, phase, alignment=alignment, lambda_diff=1, lambda_kl=1, lambda_ifv=1
    )
    features = task.network.features(random_batch(0)["image"])
    terms = task._distillation_terms(features, random_batch(0), random_batch(1))
    assert parts_with_gradient(task, terms[term]) == expected


def test_segmentation_loss_trains_the_student_only(tiny_teacher):
    task = task_in_phase(tiny_teacher, 1, lambda_diff=1)
    batch = random_batch(0)
    loss = task.segmentation_loss(task(batch["image"]), batch)
    assert parts_with_gradient(task, loss) == {"network"}


@pytest.mark.parametrize(
    ("weights", "phase_one", "phase_two"),
    [
        ((0, 0, 0), None, {"seg"}),
        ((0, 1, 0), None, {"seg", "kl"}),
        ((0, 0, 1), None, {"seg", "ifv"}),
        ((1, 0, 1), {"seg", "diff"}, {"seg", "ifv"}),
        ((1, 1, 0), {"seg", "diff", "kl"}, {"seg", "kl"}),
        ((1, 1, 1), {"seg", "diff", "kl"}, {"seg", "kl", "ifv"}),
    ],
)
def test_each_row_of_the_ablation_has_its_terms(tiny_teacher, weights, phase_one, phase_two):
    names = ("lambda_diff", "lambda_kl", "lambda_ifv")
    for phase, expected in ((1, phase_one), (2, phase_two)):
        task = task_in_phase(tiny_teacher, phase, **dict(zip(names, weights, strict=True)))
        if expected is None:
            assert task.phase == 2, "without diffusion there is no first phase"
            continue
        logged = {}
        task.log_dict = lambda values, logged=logged, **_: logged.update(values)
        task.training_step({"student": random_batch(0), "teacher": random_batch(1)}, 0)
        suffix = "_weighted"
        found = {name[11 : -len(suffix)] for name in logged if name.endswith(suffix)}
        assert found == expected


class SeenFeatures(PixelAlignment):
    """Keeps the features that it compares."""

    def feature_variation(self, student, teacher, student_classes, teacher_classes):
        self.student, self.teacher = student, teacher
        return super().feature_variation(student, teacher, student_classes, teacher_classes)


@pytest.mark.parametrize("lambda_diff", [0.0, 1.0])
def test_features_are_compared_standardised_with_and_without_diffusion(tiny_teacher, lambda_diff):
    """The rows "+ ifv" and "+ diff + ifv" differ in the diffusion alone."""
    alignment = SeenFeatures()
    task = task_in_phase(
        tiny_teacher,
        2,
        alignment=alignment,
        lambda_diff=lambda_diff,
        lambda_ifv=1,
        feature_stride=1,
    )
    student, teacher = random_batch(0), random_batch(1)
    raw = task.teacher.features(teacher["image"])
    task.feature_mean.copy_(raw.mean((0, 2, 3), keepdim=True))
    task.feature_sd.copy_(raw.std((0, 2, 3), keepdim=True))
    features = task.network.features(student["image"])
    task._distillation_terms(features, student, teacher)
    torch.testing.assert_close(alignment.teacher, (raw - task.feature_mean) / task.feature_sd)
    if not lambda_diff:
        mean, sd = features.mean((0, 2, 3), keepdim=True), features.std((0, 2, 3), keepdim=True)
        torch.testing.assert_close(alignment.student, (features - mean) / sd, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize("weights", [(0, 1, 0), (0, 0, 1), (1, 0, 0)])
def test_teacher_features_are_measured_on_eight_batches(tiny_teacher, weights):
    names = ("lambda_diff", "lambda_kl", "lambda_ifv")
    task = task_in_phase(tiny_teacher, 1, **dict(zip(names, weights, strict=True)))
    task.feature_sd.zero_()
    batches = [{"student": random_batch(20 + n), "teacher": random_batch(n)} for n in range(12)]
    drawn = []
    loader = (drawn.append(batch) or batch for batch in batches)
    data = SimpleNamespace(train_dataloader=lambda: loader)
    strategy = SimpleNamespace(reduce=lambda value, reduce_op: value)
    task._trainer = SimpleNamespace(datamodule=data, strategy=strategy)
    task.on_train_start()
    assert len(drawn) == 8
    images = torch.cat([batch["teacher"]["image"] for batch in batches[:8]])
    features = torch.nn.functional.avg_pool2d(task.teacher.features(images), 2)
    moments = {"dim": (0, 2, 3), "keepdim": True}
    torch.testing.assert_close(task.feature_mean, features.mean(**moments))
    torch.testing.assert_close(task.feature_sd, features.std(**moments, correction=0))
    task.on_train_start()
    assert len(drawn) == 8, "measured once"


def test_a_teacher_whose_features_are_constant_is_refused(tiny_teacher):
    task = task_in_phase(tiny_teacher, 1, lambda_diff=1)
    task._trainer = SimpleNamespace(strategy=SimpleNamespace(reduce=lambda value, reduce_op: value))
    grey = {"image": torch.zeros(2, 3, 16, 16)}
    for block in task.teacher.modules():
        if isinstance(block, torch.nn.Conv2d):
            torch.nn.init.zeros_(block.weight)
    with pytest.raises(ValueError, match=r"best\.ckpt are the same everywhere"):
        task._measure_teacher_features([{"student": grey, "teacher": grey}])


def trained_parts(task, steps=2):
    """The parts whose weights a few steps of the current phase change."""
    optimizer = torch.optim.Adam([w for w in task.parameters() if w.requires_grad], lr=0.1)
    before = {name: weight.clone() for name, weight in task.named_parameters()}
    for _ in range(steps):
        optimizer.zero_grad()
        task.training_step({"student": random_batch(0), "teacher": random_batch(1)}, 0).backward()
        optimizer.step()
    changed = {name for name, weight in task.named_parameters() if not weight.equal(before[name])}
    return {part for part in PARTS if any(name.startswith(part) for name in changed)}


def test_without_kl_nothing_trains_the_noise_adapter_nor_the_projector_before_phase_two(
    tiny_teacher,
):
    """As the note of the row "seg + diff + ifv" says."""
    options = {"lambda_diff": 1, "lambda_ifv": 1}
    assert trained_parts(task_in_phase(tiny_teacher, 1, **options)) == {
        *("network", "diffusion.denoiser")
    }
    assert trained_parts(task_in_phase(tiny_teacher, 2, **options)) == {"network", "projector"}


@pytest.fixture(scope="module")
def distilled(tiny_manifest, tiny_teacher, tmp_path_factory):
    """A run of four epochs, two of each phase, and its arguments."""
    runs = tmp_path_factory.mktemp("distilled")
    arguments = distill_arguments(tiny_manifest, tiny_teacher, runs)
    assert main(arguments) == 0
    return runs / "distill/tiny"


def distill_arguments(manifest, teacher, runs):
    return [
        *tiny_arguments("distill", manifest, runs),
        *("--model.init_args.teacher", str(teacher), "--trainer.max_epochs", "4"),
        *("--model.init_args.max_phase_one_epochs", "2"),
        *(f"{STUDENT}.preprocessing", "lotus.transforms.PercentileRange"),
    ]


class KeepingTask(DistillationTask):
    """Keeps its teacher when it is trained."""

    def after_fit(self, run):
        type(self).kept = self.teacher


@pytest.mark.slow
def test_the_teacher_is_bit_identical_after_training(tiny_manifest, tiny_teacher, tmp_path):
    arguments = distill_arguments(tiny_manifest, tiny_teacher, tmp_path)
    before = torch.load(tiny_teacher, weights_only=True)["state_dict"]
    arguments += ["--model", "tests.tasks.test_distillation_task.KeepingTask"]
    assert main(arguments) == 0
    after = KeepingTask.kept.state_dict()
    assert any("running_mean" in name for name in after)
    for name, value in after.items():
        assert torch.equal(value, before[f"network.{name}"]), name


@pytest.mark.slow
def test_curves_hold_every_term_gamma_and_phase(distilled):
    curves = pd.read_csv(distilled / "metrics.csv").groupby("epoch").first()
    assert list(curves["phase"]) == [1, 1, 2, 2]
    assert curves["gamma_mean"].between(0, 1).all()
    assert (curves["gamma_sd"] >= 0).all()
    assert curves["prototype_cosine"].between(-1, 1).all()
    assert curves["train_loss_diff"].notna().tolist() == [True, True, False, False]
    assert curves["train_loss_ifv"].notna().tolist() == [False, False, True, True]
    terms = curves.filter(regex="^train_loss_.*_weighted$").fillna(0).sum(axis=1)
    assert curves["train_loss"].tolist() == pytest.approx(terms.tolist(), rel=1e-4)


@pytest.mark.slow
def test_the_checkpoint_segments_without_the_teacher(distilled, tiny_teacher, tmp_path):
    copied = shutil.copy(distilled / "checkpoints/best.ckpt", tmp_path / "student.ckpt")
    names = torch.load(copied, weights_only=True)["state_dict"]
    assert not [name for name in names if name.startswith("teacher.")]
    segmenter = load_segmenter(copied, device="cpu")
    student = sum(weight.numel() for weight in UNet(filters=(4, 8)).parameters())
    assert sum(weight.numel() for weight in segmenter.networks[0].parameters()) == student


@pytest.mark.slow
def test_the_exported_student_is_a_plain_segmentation_task(distilled):
    best, student = (
        torch.load(distilled / f"checkpoints/{name}.ckpt", weights_only=True)
        for name in ("best", "student")
    )
    assert {name.split(".")[0] for name in student["state_dict"]} == {"network"}
    assert {name.split(".")[0] for name in best["state_dict"]} > {"network", "projector"}
    task = SegmentationTask.load_from_checkpoint(distilled / "checkpoints/student.ckpt")
    image = torch.rand(1, 3, 16, 16)
    expected = load_segmenter(distilled / "checkpoints/best.ckpt", "cpu").networks[0](image)
    torch.testing.assert_close(task.eval()(image), expected)


@pytest.mark.slow
def test_a_killed_and_resumed_run_ends_with_the_same_weights(
    distilled, tiny_manifest, tiny_teacher, tmp_path
):
    arguments = distill_arguments(tiny_manifest, tiny_teacher, tmp_path)
    stopped = [*arguments, "--trainer.max_epochs", "3"]
    assert main(stopped) == 0
    assert main([*arguments, "--ckpt_path", "last"]) == 0
    expected = torch.load(distilled / "checkpoints/last.ckpt", weights_only=True)
    found = torch.load(tmp_path / "distill/tiny/checkpoints/last.ckpt", weights_only=True)
    assert found["epoch"] == expected["epoch"] == 3
    assert found["plateau"] == expected["plateau"]
    for name, value in expected["state_dict"].items():
        assert torch.equal(found["state_dict"][name], value), name
    curves = pd.read_csv(tmp_path / "distill/tiny/metrics.csv")
    assert sorted(curves["epoch"].dropna().unique()) == [0, 1, 2, 3], (
        "curves before the stop are kept"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": UNet(filters=(8, 16))}, "feature channels before the head 4 against 8"),
        ({"in_channels": 1, "network": UNet(1, 1, filters=(4, 8))}, "input channels 3 against 1"),
        ({"class_names": ["a", "b"], "network": UNet(3, 3, filters=(4, 8))}, "classes 1 against 2"),
        ({"lambda_kl": -1.0}, "expected weights >= 0"),
        ({"feature_stride": 0}, "feature_stride >= 1"),
    ],
)
def test_a_teacher_or_weight_that_does_not_fit_is_refused(tiny_teacher, changes, message):
    values = {"network": UNet(filters=(4, 8)), "class_names": ["lacuna"]} | changes
    with pytest.raises(ValueError, match=message):
        DistillationTask(teacher=tiny_teacher, **values)


class OneMore(UNet):
    """A U-Net whose logits are not those of its head alone."""

    def forward(self, image):
        return super().forward(image) + image[:, :1]


@pytest.mark.parametrize("part", ["network", "teacher"])
def test_features_of_other_logits_are_refused_before_training(tiny_teacher, part):
    task = task_in_phase(tiny_teacher, 1, lambda_kl=1)
    setattr(task, part, OneMore(filters=(4, 8)))
    with pytest.raises(ValueError, match="OneMore is not the head"):
        task.setup("fit")
    task.setup("test")


def test_a_missing_teacher_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*absent.ckpt"):
        DistillationTask(
            network=UNet(filters=(4, 8)), teacher=tmp_path / "absent.ckpt", class_names=["lacuna"]
        )


@pytest.mark.slow
def test_the_best_checkpoint_is_of_phase_two(distilled):
    (fit,) = json.loads((distilled / "environment.json").read_text())["invocations"]
    best = torch.load(distilled / "checkpoints/best.ckpt", weights_only=True)
    assert fit["best"] == {"epoch": best["epoch"], "phase": 2, "phases": 2}
    assert best["epoch"] in (2, 3)
    assert best["plateau"]["reached"]


@pytest.mark.slow
def test_a_training_that_never_reached_phase_two_says_so(tiny_manifest, tiny_teacher, tmp_path):
    arguments = distill_arguments(tiny_manifest, tiny_teacher, tmp_path)
    arguments += ["--trainer.max_epochs", "2"]
    with pytest.warns(UserWarning, match=r"best\.ckpt is of phase 1 of 2 \(epoch [01]\)"):
        assert main(arguments) == 0
    environment = json.loads((tmp_path / "distill/tiny/environment.json").read_text())
    assert environment["invocations"][0]["best"]["phase"] == 1
