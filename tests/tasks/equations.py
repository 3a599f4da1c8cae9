"""The equations of LOTUS, written down again from the paper.

Plain loops over images, classes and pixels in float64, and nothing of the project. Convolutions are
PyTorch's, and so is the gradient. Maps are (B, D, Y, X), classes are class numbers (B, Y, X).
"""

import math

import torch
from torch.nn import functional as F

DDIM_STEPS = (400, 300, 200, 100, 0)


def pixels(classes):
    """Image, row and column of every pixel of (B, Y, X)."""
    return [
        (image, row, column)
        for image in range(classes.shape[0])
        for row in range(classes.shape[1])
        for column in range(classes.shape[2])
    ]


def mean(values):
    return sum(values) / len(values)


def pooled(maps, stride):
    """Average over squares of stride × stride pixels."""
    return mean([maps[..., y::stride, x::stride] for y in range(stride) for x in range(stride)])


def majority(mask, stride, count):
    """The class that most pixels of a square have, the lower one where two have as many."""
    votes = [pooled((mask == label).double(), stride) for label in range(count)]
    classes = torch.zeros(votes[0].shape, dtype=torch.long)
    for at in pixels(classes):
        classes[at] = max(range(count), key=lambda label: float(votes[label][at]))
    return classes


def distribution(logits, temperature):
    """Class probabilities of one pixel's logits (K,); a single one is that of class 1 of two."""
    if len(logits) == 1:
        logits = torch.stack([torch.zeros_like(logits[0]), logits[0]])
    weights = [torch.exp(logit / temperature) for logit in logits]
    return torch.stack([weight / sum(weights) for weight in weights])


def divergence(p, q):
    """KL(p || q)."""
    return sum(a * (torch.log(a) - torch.log(b)) for a, b in zip(p, q, strict=True))


# Eq. 1-3: diffusion of teacher features, and denoising of student features.


def kept_signal(timestep):
    """ᾱ_t, the product of 1 - β up to t; β grows from 1e-4 to 0.02 in 1000 steps. ᾱ is 1 before."""
    betas = [1e-4 + (0.02 - 1e-4) * step / 999 for step in range(timestep + 1)]
    return math.prod(1 - beta for beta in betas)


def group_norm(maps, weight, bias):
    normal = torch.stack(
        [(one - one.mean()) / (one.var(correction=0) + 1e-5).sqrt() for one in maps]
    )
    return normal * weight[:, None, None] + bias[:, None, None]


def predicted_noise(maps, timesteps, weights):
    """Φ(z_t, t): two bottlenecks, told the timestep by sines and cosines, and a 1 × 1 convolution.

    ``weights`` are named as in the denoiser.
    """
    half = weights["first.time.weight"].shape[1] // 2
    angles = [[float(t) / 10_000 ** (i / half) for i in range(half)] for t in timesteps]
    embedding = torch.tensor(
        [[*map(math.sin, row), *map(math.cos, row)] for row in angles], dtype=torch.float64
    )
    for block in ("first", "second"):
        own = {
            name.removeprefix(f"{block}."): value
            for name, value in weights.items()
            if name.startswith(block)
        }
        shift = embedding @ own["time.weight"].T + own["time.bias"]
        hidden = F.conv2d(maps, own["reduce.weight"], own["reduce.bias"]) + shift[..., None, None]
        hidden = group_norm(hidden, own["norm.weight"], own["norm.bias"]).clamp(min=0)
        hidden = F.conv2d(hidden, own["middle.weight"], own["middle.bias"], padding=1)
        maps = maps + F.conv2d(hidden.clamp(min=0), own["expand.weight"], own["expand.bias"])
    return F.conv2d(maps, weights["out.weight"], weights["out.bias"])


def diffusion_loss(features, noise, timesteps, weights):
    """Eq. 1-2."""
    noisy = [
        math.sqrt(kept_signal(int(t))) * z + math.sqrt(1 - kept_signal(int(t))) * own
        for z, own, t in zip(features, noise, timesteps, strict=True)
    ]
    error = noise - predicted_noise(torch.stack(noisy), timesteps, weights)
    return mean([value**2 for value in error.flatten()])


def projected(features, weights):
    """P(z): two 1 × 1 convolutions."""
    hidden = F.conv2d(features, weights["layers.0.weight"], weights["layers.0.bias"])
    return F.conv2d(hidden.clamp(min=0), weights["layers.2.weight"], weights["layers.2.bias"])


def mixing_weights(features, weights):
    """γ of each image: convolution block, mean over the pixels, linear, sigmoid."""
    block = F.conv2d(features, weights["block.0.weight"], weights["block.0.bias"], 2, 1)
    block = group_norm(block, weights["block.1.weight"], weights["block.1.bias"]).clamp(min=0)
    logits = block.mean((2, 3)) @ weights["weight.weight"].T + weights["weight.bias"]
    return [1 / (1 + torch.exp(-logit[0])) for logit in logits]


def denoised(features, noise, adapter, denoiser):
    """Eq. 3: z_T = γ z + (1 - γ) ε_T, and DDIM with η = 0 in steps of 100; also the γ."""
    gammas = mixing_weights(features, adapter)
    value = torch.stack(
        [g * z + (1 - g) * e for g, z, e in zip(gammas, features, noise, strict=True)]
    )
    for t in DDIM_STEPS:
        kept, kept_before = kept_signal(t), kept_signal(t - 100) if t else 1.0
        predicted = predicted_noise(value, [t] * len(value), denoiser)
        clean = (value - math.sqrt(1 - kept) * predicted) / math.sqrt(kept)
        value = math.sqrt(kept_before) * clean + math.sqrt(1 - kept_before) * predicted
    return value, gammas


# Eq. 4: the divergence of score maps, pixel by pixel and class by class.


def pixel_divergence(student, teacher, own, other, temperature):
    terms = [
        divergence(
            distribution(teacher[b, :, y, x], temperature),
            distribution(student[b, :, y, x], temperature),
        )
        for b, y, x in pixels(own)
    ]
    return temperature**2 * mean(terms)


def class_divergence(student, teacher, own, other, temperature):
    terms = []
    for label in sorted(set(own.flatten().tolist()) & set(other.flatten().tolist())):
        p, q = (
            mean(
                [
                    distribution(logits[b, :, y, x], temperature)
                    for b, y, x in pixels(classes)
                    if classes[b, y, x] == label
                ]
            )
            for logits, classes in ((teacher, other), (student, own))
        )
        terms.append(divergence(p, q))
    return temperature**2 * mean(terms)


# Eq. 5-6: intra-class feature variation, pixel by pixel and class by class.


def cosine(a, b):
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def variation(features, classes):
    """M(p): the cosine of each pixel's feature with the mean of its class in its image."""
    found = {}
    for at in pixels(classes):
        image = at[0]
        alike = [p for p in pixels(classes) if p[0] == image and classes[p] == classes[at]]
        prototype = mean([features[b, :, y, x] for b, y, x in alike])
        found[at] = cosine(features[image, :, at[1], at[2]], prototype)
    return found


def standardised(features):
    """Each channel less its mean over the batch, in units of its SD."""
    channels = []
    for channel in features.unbind(1):
        centred = channel - mean(list(channel.flatten()))
        channels.append(centred / mean(list(centred.flatten() ** 2)).sqrt())
    return torch.stack(channels, dim=1)


def pixel_variation(student, teacher, own, other):
    """Over the pixels of whose two classes both images have some pixel."""
    terms = []
    maps = variation(student, own), variation(teacher, other)
    for at in pixels(own):
        shared = set(own[at[0]].flatten().tolist()) & set(other[at[0]].flatten().tolist())
        if {int(own[at]), int(other[at])} <= shared:
            terms.append((maps[0][at] - maps[1][at]) ** 2)
    return mean(terms)


def quantile(values, level):
    """Linear between the sorted values."""
    ordered = sorted(values, key=float)
    position = level * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def class_variation(student, teacher, own, other, quantiles):
    """Over evenly spaced quantiles of M within each class, the ends left out."""
    terms = []
    maps = ((variation(student, own), own), (variation(teacher, other), other))
    for label in sorted(set(own.flatten().tolist()) & set(other.flatten().tolist())):
        for number in range(1, quantiles + 1):
            level = number / (quantiles + 1)
            a, b = (
                quantile([found[at] for at in found if classes[at] == label], level)
                for found, classes in maps
            )
            terms.append((a - b) ** 2)
    return mean(terms)


def nearness_to_prototypes(student, teacher, own, other):
    """Mean cosine of the student's pixels with the teacher's mean feature of their class."""
    terms = []
    for b, y, x in pixels(own):
        alike = [p for p in pixels(other) if other[p] == own[b, y, x]]
        if alike:
            prototype = mean([teacher[i, :, row, column] for i, row, column in alike])
            terms.append(cosine(student[b, :, y, x], prototype))
    return mean(terms)


# The segmentation loss.


def scores_and_truth(logits, mask):
    """Probabilities (K', B, Y, X) of all classes, and as many maps of who is truly of the class."""
    found = torch.empty(max(logits.shape[1], 2), *mask.shape, dtype=torch.float64)
    for b, y, x in pixels(mask):
        found[:, b, y, x] = distribution(logits[b, :, y, x], 1.0)
    return found, [(mask == label).double() for label in range(len(found))]


def dice_and_cross_entropy(logits, mask):
    """L_seg: one minus Dice of each image and foreground class, plus cross-entropy."""
    scores, truth = scores_and_truth(logits, mask)
    dice = []
    for label in range(1, len(scores)):
        for score, true in zip(scores[label], truth[label], strict=True):
            overlap = 2 * (score * true).sum() + 1e-5  # MONAI's smoothing
            dice.append(1 - overlap / (score.sum() + true.sum() + 1e-5))
    entropy = [-torch.log(scores[(mask[at], *at)]) for at in pixels(mask)]
    return mean(dice) + mean(entropy)
