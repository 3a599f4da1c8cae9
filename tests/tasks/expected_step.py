"""One training step of the distillation by the equations: its terms and its gradient."""

from copy import deepcopy
from functools import partial

import torch

from lotus.losses import ClassAlignment
from tests.tasks import equations

WEIGHTS = {"diff": 0.5, "kl": 0.7, "ifv": 1.3}
TEMPERATURE, QUANTILES = 2.0, 3
BY_PIXEL = (
    partial(equations.pixel_divergence, temperature=TEMPERATURE),
    equations.pixel_variation,
)
BY_CLASS = (
    partial(equations.class_divergence, temperature=TEMPERATURE),
    partial(equations.class_variation, quantiles=QUANTILES),
)


def double(module):
    """Its weights in float64, by name."""
    return {name: w.detach().double().requires_grad_() for name, w in module.named_parameters()}


def feature_statistics(teacher, batches, stride):
    """Mean and SD of each channel over all pixels of the teacher's training images."""
    features = [
        equations.pooled(teacher.features(batch["teacher"]["image"].double()), stride)
        for batch in batches
    ]
    values = [torch.cat([own[:, d].flatten() for own in features]) for d in range(4)]
    centre = torch.stack([equations.mean(list(own)) for own in values])
    spread = [
        equations.mean([(v - m) ** 2 for v in own]).sqrt()
        for own, m in zip(values, centre, strict=True)
    ]
    assert min(spread) > 0.05, "no channel is off"
    return centre[:, None, None], torch.stack(spread)[:, None, None]


class ExpectedStep:
    """Terms and gradients of one step; made before the step is done, with its weights.

    Args:
        task: What is going to do the step.
        batches: All batches of the training; the step is that of the first.
        phase: 1 or 2.
    """

    def __init__(self, task, batches, phase):
        self.batches, self.phase = batches, phase
        self.stride, self.count = task.feature_stride, len(task.class_names) + 1
        self.by_class = isinstance(task.alignment, ClassAlignment)
        self.student = deepcopy(task.network).double().train()
        self.teacher = deepcopy(task.teacher).double().eval()
        self.diffuses = task.diffusion is not None
        if self.diffuses:
            self.projector = double(task.projector)
            self.denoiser = double(task.diffusion.denoiser)
            self.adapter = double(task.diffusion.adapter)
        self.gammas = []

    def terms(self, draws):
        """The terms by name; sets the γ and the mean nearness to prototypes, too."""
        own, other = self.batches[0]["student"], self.batches[0]["teacher"]
        features = self.student.features(own["image"].double())
        terms = {"seg": equations.dice_and_cross_entropy(self.student.head(features), own["mask"])}
        with torch.no_grad():
            centre, spread = feature_statistics(self.teacher, self.batches, self.stride)
            raw = self.teacher.features(other["image"].double())
            taught = (equations.pooled(raw, self.stride) - centre) / spread
            taught_logits = equations.pooled(self.teacher.head(raw), self.stride)
        noise = list(draws.noise)
        if self.phase == 1:
            (timesteps,) = draws.timesteps
            terms["diff"] = equations.diffusion_loss(
                taught, noise.pop(0), timesteps.tolist(), self.denoiser
            )
        value = equations.pooled(features, self.stride)
        if self.diffuses:
            (last,) = noise
            z = equations.projected(value, self.projector)
            value, self.gammas = equations.denoised(z, last, self.adapter, self.denoiser)
            compared = value
        else:
            assert not noise
            compared = equations.standardised(value)
        classes = [equations.majority(b["mask"], self.stride, self.count) for b in (own, other)]
        divergence, variation = BY_CLASS if self.by_class else BY_PIXEL
        terms["kl"] = divergence(self.student.head(value), taught_logits, *classes)
        if self.phase == 2:
            terms["ifv"] = variation(compared, taught, *classes)
        self.nearness = equations.nearness_to_prototypes(compared, taught, *classes)
        return terms

    def gradients(self, terms):
        """Of the weighted sum; Φ learns of L_diff alone, and Φ and adapter in phase 1 alone."""
        own = {f"network.{n}": w for n, w in self.student.named_parameters()}
        absent = [f"teacher.{n}" for n, _ in self.teacher.named_parameters()]
        found = {}
        if self.diffuses:
            own |= {f"projector.{n}": w for n, w in self.projector.items()}
            noisy = {f"diffusion.denoiser.{n}": w for n, w in self.denoiser.items()}
            mixing = {f"diffusion.adapter.{n}": w for n, w in self.adapter.items()}
            if self.phase == 1:
                own |= mixing
                found = gradients_of(WEIGHTS["diff"] * terms["diff"], noisy)
            else:
                absent += [*noisy, *mixing]
        rest = terms["seg"] + sum(WEIGHTS[n] * terms[n] for n in ("kl", "ifv") if n in terms)
        return found | gradients_of(rest, own) | dict.fromkeys(absent)


def gradients_of(loss, weights):
    values = torch.autograd.grad(loss, list(weights.values()), retain_graph=True)
    return dict(zip(weights, values, strict=True))
