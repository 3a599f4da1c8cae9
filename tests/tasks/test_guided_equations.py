"""A step of mask-guided attention against its equations, term by term and weight by weight.

Plain loops over images, channels and fields in float64, and nothing of the project. The convolution
and the linear layer of the backbone are PyTorch's, and so is the gradient.
"""

import math

import pytest
import torch
from torch.nn import functional as F

from lotus.networks import GuidedClassifier
from lotus.tasks import GuidedClassificationTask
from tests.tasks.patches import TinyClassifier
from tests.tasks.unpaired import check_gradients, keep_log, names_shown

SIDE, FIELDS, GUIDE = 12, 3, 10  # an image, its feature map, its mask: 10 px on 3 fields
LAMBDA = 0.3


def batch_of(images):
    generator = torch.Generator().manual_seed(images)
    guide = (torch.rand(images, 1, GUIDE, GUIDE, generator=generator) > 0.8).float()
    guide[1] = 0.0  # an image without lacunae
    return {
        "image": torch.rand(images, 3, SIDE, SIDE, generator=generator),
        "label": torch.randint(0, 2, (images,), generator=generator),
        "guide": guide,
    }


def attention(features, weight, bias):
    """Am of one image (D, H, W): σ(w₁ mean + w₂ max + b) of the channels of each field."""
    channels, height, width = features.shape
    rows = []
    for y in range(height):
        row = []
        for x in range(width):
            values = [features[d, y, x] for d in range(channels)]
            logit = weight[0] * sum(values) / channels + weight[1] * max(values) + bias
            row.append(1 / (1 + torch.exp(-logit)))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def guide_target(mask):
    """A_MGA of one mask (Y, X), or None where it is empty."""
    side = mask.shape[0]
    edges = [
        (math.floor(side * i / FIELDS), math.ceil(side * (i + 1) / FIELDS)) for i in range(FIELDS)
    ]
    means = [
        [
            sum(float(mask[y, x]) for y in range(*rows) for x in range(*columns))
            / ((rows[1] - rows[0]) * (columns[1] - columns[0]))
            for columns in edges
        ]
        for rows in edges
    ]
    largest = max(max(row) for row in means)
    return None if largest == 0 else [[value / largest for value in row] for row in means]


def expected_step(weights, batch, multiplier):
    """L_CE and L_MSE of a batch."""
    stride = SIDE // FIELDS
    maps = F.conv2d(
        batch["image"].double(), weights["encoder.0.weight"], weights["encoder.0.bias"], stride=4
    ).clamp(min=0)
    assert maps.shape[-1] == SIDE // stride
    entropies, squares = [], []
    for image, features in enumerate(maps):
        mixing = weights["mixing.weight"].flatten()
        own = attention(features, mixing, weights["mixing.bias"][0])
        target = guide_target(batch["guide"][image, 0])
        if target is not None:
            squares.append(
                sum((own[y, x] - target[y][x]) ** 2 for y in range(FIELDS) for x in range(FIELDS))
                / FIELDS**2
            )
        factor = own
        if multiplier == "mask":
            factor = torch.tensor(target or [[0.0] * FIELDS] * FIELDS, dtype=torch.float64)
        attended = torch.stack([0.5 * plane + 0.5 * factor * plane for plane in features])
        means = attended.sum(dim=(1, 2)) / FIELDS**2
        logits = weights["mean.2.weight"] @ means + weights["mean.2.bias"]
        label = int(batch["label"][image])
        entropies.append(torch.log(torch.exp(logits).sum()) - logits[label])
    return sum(entropies) / len(entropies), sum(squares) / len(squares)


def double(network):
    """Leaves in float64, by the name within backbone or attention."""
    return {
        name.partition(".")[2]: weight.detach().double().requires_grad_()
        for name, weight in network.named_parameters()
    }


@pytest.mark.parametrize("multiplier", ["attention", "mask"])
def test_a_step_of_mask_guided_attention(multiplier):
    network = GuidedClassifier(TinyClassifier(width=5), multiplier)
    task = GuidedClassificationTask(network=network, lambda_guidance=LAMBDA)
    keep_log(task)
    batch = batch_of(images=4)
    weights = double(network)
    loss = task.training_step(batch, 0)
    loss.backward()
    entropy, square = expected_step(weights, batch, multiplier)
    assert float(task.logged["train_loss_class"]) == pytest.approx(
        float(entropy.detach()), rel=1e-5
    )
    assert float(task.logged["train_loss_guidance"]) == pytest.approx(
        float(square.detach()), rel=1e-5
    )
    assert task.logged.keys() - names_shown(task) == {"train_loss"}
    expected = entropy + LAMBDA * square
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    expected.backward()
    check_gradients(
        {name: weight.grad for name, weight in weights.items()},
        {name.partition(".")[2]: weight.grad for name, weight in network.named_parameters()},
    )


def test_weights_go_by_the_papers_optimizer():
    """v ← 0.9 v + g + 5e-4 w, w ← w - 0.01 v, with L = L_CE + 0.1 L_MSE."""
    network = GuidedClassifier(TinyClassifier())
    task = GuidedClassificationTask(network=network)
    keep_log(task)
    optimizer = task.configure_optimizers()
    weights, velocity = double(network), {}
    for images in (3, 4):
        batch = batch_of(images)
        optimizer.zero_grad()
        task.training_step(batch, 0).backward()
        optimizer.step()
        entropy, square = expected_step(weights, batch, "attention")
        gradients = torch.autograd.grad(entropy + 0.1 * square, list(weights.values()))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            step = gradient + 5e-4 * weight.detach()
            velocity[name] = 0.9 * velocity.get(name, 0) + step
        weights = {
            name: (weight.detach() - 0.01 * velocity[name]).requires_grad_()
            for name, weight in weights.items()
        }
    found = double(network)
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=1e-5, msg=name)
