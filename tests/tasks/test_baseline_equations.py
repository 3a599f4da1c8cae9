"""One step of UMMKD and of MAML against their equations, term by term and weight by weight."""

from copy import deepcopy

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from lotus.networks import UNet
from lotus.tasks import ModalityAwareMutualLearningTask, UnpairedKnowledgeDistillationTask
from tests.tasks.equations import (
    dice_and_cross_entropy,
    distribution,
    divergence,
    mean,
    pixels,
    scores_and_truth,
)
from tests.tasks.unpaired import check_gradients, keep_log, names_shown


def dice_and_weighted_cross_entropy(logits, mask):
    """UMMKD: Dice over the batch with squares below, all classes; rare classes weigh more."""
    scores, truth = scores_and_truth(logits, mask)
    dice = []
    for score, true in zip(scores, truth, strict=True):
        overlap = 2 * (score * true).sum() + 1e-5
        dice.append(1 - overlap / (score.square().sum() + true.square().sum() + 1e-5))
    rarity = [1 - true.mean() for true in truth]
    entropy = [-rarity[mask[at]] * torch.log(scores[(mask[at], *at)]) for at in pixels(mask)]
    return mean(dice) + mean(entropy)


def class_mean_divergence(first, second, first_mask, second_mask, temperature):
    """UMMKD: half of both divergences between the softened mean logits of each shared class."""
    terms = []
    for label in sorted(set(first_mask.flatten().tolist()) & set(second_mask.flatten().tolist())):
        p, q = (
            distribution(
                mean([logits[b, :, y, x] for b, y, x in pixels(mask) if mask[b, y, x] == label]),
                temperature,
            )
            for logits, mask in ((first, first_mask), (second, second_mask))
        )
        terms.append((divergence(p, q) + divergence(q, p)) / 2)
    return mean(terms)


def fused_logits(features, weights):
    """MAML: F = conv(cat F_i), A_i = σ(conv(LReLU(IN(conv[F_i, F])))), head(Σ A_i ⊙ F_i)."""

    def convolved(maps, name, padding):
        return F.conv2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    common = convolved(torch.cat(features, dim=1), "common", 1)
    fused = 0
    for number, own in enumerate(features):
        hidden = convolved(torch.cat([own, common], dim=1), f"gates.{number}.0", 1)
        centred = hidden - hidden.mean((2, 3), keepdim=True)
        hidden = centred / (centred.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
        scale, shift = (weights[f"gates.{number}.1.{name}"] for name in ("weight", "bias"))
        hidden = hidden * scale[:, None, None] + shift[:, None, None]
        hidden = torch.where(hidden > 0, hidden, 0.01 * hidden)
        attention = 1 / (1 + torch.exp(-convolved(hidden, f"gates.{number}.3", 1)))
        fused = fused + attention * own
    return convolved(fused, "head", 0)


def drawn(*modules):
    """Weights without structure: streams that start alike, and scales of 1, would hide mistakes."""
    with torch.no_grad():
        for weight in {weight for module in modules for weight in module.parameters()}:
            weight.copy_(torch.randn(weight.shape) * 0.5)


def unpaired_batch(classes, seed):
    """Two batches of other size and of other shares of the classes."""
    generator = torch.Generator().manual_seed(seed)
    batch = {}
    for role, size, count in (("student", 8, 2), ("teacher", 12, 3)):
        image = torch.rand(count, 3, size, size, generator=generator)
        mask = torch.randint(0, classes + 1, (count, size, size), generator=generator)
        batch[role] = {"image": image, "mask": mask, "instances": (mask > 0).int()}
    return batch


def double(weights):
    """Leaves in float64, by name."""
    return {name: w.detach().double().requires_grad_() for name, w in weights.items()}


@pytest.mark.parametrize("classes", [1, 2])
def test_a_step_of_ummkd(classes):
    torch.manual_seed(classes)
    network = UNet(out_channels=1 if classes == 1 else 3, filters=(4, 8))
    task = UnpairedKnowledgeDistillationTask(
        network=network, class_names=["a", "b"][:classes], lambda_kd=0.7, temperature=3.0
    )
    keep_log(task)
    drawn(task)
    batch = unpaired_batch(classes, seed=1)
    loss = task.training_step(batch, 0)
    loss.backward()

    plain = UNet(out_channels=network.out_channels, filters=(4, 8)).double()
    norm = {name for name, weight in plain.named_parameters() if weight.ndim == 1}
    norm -= {name for name in norm if name.startswith(("head", "up"))}
    shared = double({n: w for n, w in task.network.named_parameters() if n not in norm})
    own = {
        stream: double({n: w for n, w in module.named_parameters() if n in norm})
        for stream, module in (("network", task.network), ("teacher_stream", task.teacher_stream))
    }
    logits, masks, terms = [], [], []
    for role, stream in (("student", "network"), ("teacher", "teacher_stream")):
        image, mask = batch[role]["image"].double(), batch[role]["mask"]
        logits.append(functional_call(plain, {**shared, **own[stream]}, (image,)))
        masks.append(mask)
        terms.append(dice_and_weighted_cross_entropy(logits[-1], mask))
    terms.append(class_mean_divergence(*logits, *masks, temperature=3.0))
    names = [f"train_loss_{name}" for name in ("student", "teacher", "kd")]
    assert [float(task.logged[name]) for name in names] == pytest.approx(
        [float(term) for term in terms], rel=1e-4
    )
    assert task.logged.keys() - names_shown(task) == {"train_loss"}
    expected = terms[0] + terms[1] + 0.7 * terms[2]
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)
    expected.backward()
    check_gradients(
        {f"network.{n}": w.grad for n, w in (shared | own["network"]).items()}
        | {f"teacher_stream.{n}": w.grad for n, w in own["teacher_stream"].items()},
        {name: weight.grad for name, weight in task.named_parameters()},
    )


@pytest.mark.parametrize("classes", [1, 2])
def test_a_step_of_maml(classes):
    torch.manual_seed(classes)
    network = UNet(out_channels=1 if classes == 1 else 3, filters=(4, 8))
    task = ModalityAwareMutualLearningTask(
        network=network, class_names=["a", "b"][:classes], lambda_joint=0.7
    )
    keep_log(task)
    drawn(task)
    twin = deepcopy(task).double()
    batch = unpaired_batch(classes, seed=2)
    batch["teacher"] = {name: value[:2, ..., :8, :8] for name, value in batch["teacher"].items()}
    loss = task.training_step(batch, 0)
    loss.backward()

    features, terms = [], []
    for role, stream in (("student", twin.network), ("teacher", twin.teacher_stream)):
        features.append(stream.features(batch[role]["image"].double()))
        logits = F.conv2d(features[-1], stream.head.weight, stream.head.bias)
        terms.append(dice_and_cross_entropy(logits, batch[role]["mask"]))
    fusion = dict(twin.fusion.named_parameters())
    joint = dice_and_cross_entropy(fused_logits(features, fusion), batch["student"]["mask"])
    names = [f"train_loss_{name}" for name in ("student", "teacher", "joint")]
    assert [float(task.logged[name]) for name in names] == pytest.approx(
        [float(term) for term in (*terms, joint)], rel=1e-4
    )
    assert task.logged.keys() - names_shown(task) == {"train_loss"}
    expected = terms[0] + terms[1] + 0.7 * joint
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)
    expected.backward()
    check_gradients(
        {name: weight.grad for name, weight in twin.named_parameters()},
        {name: weight.grad for name, weight in task.named_parameters()},
    )
