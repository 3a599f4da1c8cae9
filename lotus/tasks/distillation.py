"""LOTUS: a frozen teacher of one modality improves a student of another, without paired images."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from lotus.batch import Batch, Parts
from lotus.losses import Alignment, ClassAlignment
from lotus.metrics.prototype_cosine import prototype_cosine
from lotus.networks import (
    FeatureDiffusion,
    Projector,
    check_distillable,
    features_and_logits,
    segmentation_head,
    standard_deviation,
    standardised,
)
from lotus.runs import RunFolder
from lotus.runs.charts import Chart
from lotus.schemes import PixelClasses
from lotus.tasks.export import export_student
from lotus.tasks.gamma_plateau import GammaPlateau
from lotus.tasks.segmentation import SegmentationTask
from lotus.tasks.teacher import load_teacher

MEASURED_BATCHES = 8
"""Training batches that the statistics of the teacher's features are taken from."""

GAMMA_NOTE = (
    "Share of the student's feature in what the denoiser starts from; 1 means no noise. The band "
    "is one standard deviation."
)
COSINE_NOTE = "Between the denoised student feature and the teacher's class prototypes."


class DistillationTask(SegmentationTask):
    """Train a student with L_seg + λ1 L_diff + λ2 L_kl + λ3 L_ifv (LOTUS, MICCAI 2024).

    Phase 1 trains the student with L_seg and L_kl, and the noise predictor Φ with L_diff. Once γ
    has plateaued, Φ and the noise adapter are frozen and phase 2 trains the student with L_seg,
    L_kl and L_ifv. The student's features reach L_kl and L_ifv denoised. A weight of 0 takes a
    term out; without L_diff there is no diffusion at all, the student's own features are compared
    and phase 2 comes at once. The rows of the paper's ablation are

    ========== ============= =========== ============
    row        lambda_diff   lambda_kl   lambda_ifv
    ========== ============= =========== ============
    seg only   0             0           0
    +kl        0             1           0
    +ifv       0             0           1
    +diff+ifv  1             0           1
    +diff+kl   1             1           0
    all        1             1           1
    ========== ============= =========== ============

    At inference the student is the plain network: teacher, P, Φ and adapter are not needed.

    Args:
        teacher: A checkpoint of a SegmentationTask, whose network is frozen in evaluation mode; its
            classes must be as many.
        instances: As in SegmentationTask, one of pixel classes; the teacher's must be of the same
            kind.
        alignment: How unpaired scores and features are compared.
        lambda_diff: λ1 >= 0.
        lambda_kl: λ2 >= 0.
        lambda_ifv: λ3 >= 0.
        feature_stride: Features, scores and truth are average-pooled by this before they are
            denoised and compared; 1 is the paper, 2 costs a quarter.
        inference_steps: DDIM steps.
        patience: Epochs without a rise of γ's average that end phase 1.
        min_delta: The smallest rise that counts.
        gamma_decay: Weight of the past in γ's average.
        max_phase_one_epochs: Phase 1 ends after so many epochs in any case.
        **kwargs: Those of :class:`SegmentationTask`; ``network`` is the student's.

    Raises:
        ValueError: A teacher whose channels, classes or feature width do not fit the student, or a
            negative weight; at the start of a training, a network that does not end in the
            convolution that its features are taken before.
    """

    phases: ClassVar[int] = 2

    def __init__(
        self,
        *,
        teacher: Path,
        instances: PixelClasses | None = None,
        alignment: Alignment | None = None,
        lambda_diff: float = 1.0,
        lambda_kl: float = 1.0,
        lambda_ifv: float = 1.0,
        feature_stride: int = 2,
        inference_steps: int = 5,
        patience: int = 30,
        min_delta: float = 0.001,
        gamma_decay: float = 0.9,
        max_phase_one_epochs: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(instances=instances, **kwargs)
        weights = {"seg": 1.0, "diff": lambda_diff, "kl": lambda_kl, "ifv": lambda_ifv}
        if min(weights.values()) < 0 or feature_stride < 1:
            raise ValueError(
                "expected weights >= 0 and feature_stride >= 1, got "
                f"{weights}, feature_stride={feature_stride}"
            )
        self.weights = weights
        self.feature_stride = feature_stride
        self.alignment = alignment or ClassAlignment()
        self.plateau = GammaPlateau(patience, min_delta, gamma_decay, max_phase_one_epochs)
        self.teacher_checkpoint = teacher
        self.teacher = load_teacher(teacher, self)
        self.feature_mean: Tensor
        self.feature_sd: Tensor
        width = segmentation_head(self.teacher).in_channels
        self.register_buffer("feature_mean", torch.zeros(1, width, 1, 1))
        # 0 says "not measured yet"; a resumed run finds the measured value in its checkpoint.
        self.register_buffer("feature_sd", torch.zeros(1, width, 1, 1))
        self.projector: Projector | None = None
        self.diffusion: FeatureDiffusion | None = None
        if lambda_diff > 0:
            self.projector = Projector(segmentation_head(self.network).in_channels, width)
            self.diffusion = FeatureDiffusion(width, inference_steps=inference_steps)
        self._gammas: list[Tensor] = []

    def origins(self) -> list[Path]:
        """The checkpoints of the teacher and of the weights to start from."""
        return [self.teacher_checkpoint, *super().origins()]

    def charts(self) -> list[Chart]:
        """The terms of the loss, γ and the prototypes."""
        terms = {"seg": "L_seg", "diff": "L_diff", "kl": "L_kl", "ifv": "L_ifv"}
        raw = {f"train_loss_{term}": label for term, label in terms.items()}
        weighted = {f"{name}_weighted": label for name, label in raw.items()}
        gamma, cosine = {"gamma_mean": "γ"}, {"prototype_cosine": "cosine"}
        section = "Distillation"
        return [
            Chart("Loss terms", raw, "raw value", "Each term before its weight λ."),
            Chart("Weighted loss terms", weighted, "λ × value", "What each term adds to the loss."),
            Chart("Noise adapter γ", gamma, "γ", GAMMA_NOTE, section, deviation="gamma_sd"),
            Chart("Prototype cosine", cosine, "cosine", COSINE_NOTE, section),
        ]

    def after_fit(self, run: RunFolder) -> None:
        """Leave the best student as a plain segmentation checkpoint."""
        export_student(run.best, run.student)

    @property
    def phase(self) -> int:
        """1 while Φ is trained, 2 after γ's plateau or without diffusion."""
        return 1 if self.diffusion is not None and not self.plateau.reached else 2

    def setup(self, stage: str) -> None:
        """Check also that student and teacher have features that their logits come from."""
        super().setup(stage)
        if stage == "fit" and self._distils:
            check_distillable(self.network, self.in_channels)
            check_distillable(self.teacher, self.in_channels)

    def train(self, mode: bool = True) -> "DistillationTask":
        """Training mode for everything but the teacher, whose BatchNorm statistics stay."""
        super().train(mode)
        self.teacher.eval()
        return self

    def on_train_start(self) -> None:
        """Measure the teacher's features, unless the checkpoint brought their statistics."""
        if self._distils and not self.feature_sd.any():
            # A loader of its own: the training loop's iterator must not lose batches.
            data = cast("Any", self.trainer).datamodule.train_dataloader()
            self._measure_teacher_features(islice(data, MEASURED_BATCHES))

    def on_train_epoch_start(self) -> None:
        """Freeze what phase 2 does not train."""
        if self.diffusion is not None:
            self.diffusion.requires_grad_(self.phase == 1)
        self._gammas.clear()

    def on_train_epoch_end(self) -> None:
        """Log γ and the phase, and see whether γ has plateaued."""
        self.log("phase", float(self.phase), sync_dist=True)
        if not self._gammas:
            return
        gamma = torch.cat(self._gammas)
        self.log("gamma_mean", gamma.mean(), sync_dist=True)
        self.log("gamma_sd", gamma.std(unbiased=False), sync_dist=True)
        if self.phase == 1:
            mean = self.trainer.strategy.reduce(gamma.mean(), reduce_op="mean")
            self.plateau.update(float(mean))

    def training_step(self, batch: Parts, batch_idx: int) -> Tensor:  # type: ignore[override]
        """L_ct of one unpaired batch ``{"student": ..., "teacher": ...}``."""
        student, teacher = batch["student"], batch["teacher"]
        features, logits = features_and_logits(self.network, student["image"])
        terms = {"seg": self.segmentation_loss(logits, student)}
        if self._distils:
            terms |= self._distillation_terms(features, student, teacher)
        loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        size = len(student["image"])
        weighted = {f"{name}_weighted": self.weights[name] * term for name, term in terms.items()}
        self.log_training_loss(loss, size, {**terms, **weighted})
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the phase; leave the teacher out, which its own checkpoint holds."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["plateau"] = self.plateau.state_dict()
        state = checkpoint["state_dict"]
        for name in [name for name in state if name.startswith("teacher.")]:
            del state[name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on in the phase that was saved, with the teacher that is loaded already."""
        self.plateau.load_state_dict(checkpoint["plateau"])
        for name, value in self.teacher.state_dict(prefix="teacher.").items():
            checkpoint["state_dict"][name] = value

    @property
    def _distils(self) -> bool:
        """Whether the teacher is asked at all."""
        return any(self.weights[name] for name in ("diff", "kl", "ifv"))

    def _distillation_terms(
        self, features: Tensor, student: Batch, teacher: Batch
    ) -> dict[str, Tensor]:
        """The terms of the current phase whose weight is not 0, unweighted."""
        with torch.no_grad():
            teacher_features, teacher_logits = features_and_logits(self.teacher, teacher["image"])
            teacher_features = self._pool(teacher_features.float())
            teacher_features = (teacher_features - self.feature_mean) / self.feature_sd
            teacher_logits = self._pool(teacher_logits.float())
            student_classes = self._classes(student)
            teacher_classes = self._classes(teacher)
        terms: dict[str, Tensor] = {}
        value = self._pool(features)
        if self.diffusion is not None and self.projector is not None:
            if self.phase == 1:
                noise, prediction = self.diffusion.noise_and_prediction(teacher_features)
                terms["diff"] = F.mse_loss(prediction, noise)
            value, gamma = self.diffusion.denoise(self.projector(value))
            compared = value  # Denoised, it is where the teacher's features are.
            self._gammas.append(gamma.detach().flatten())
        else:
            compared = standardised(value)
        classes = (student_classes, teacher_classes)
        scores = segmentation_head(self.network)(value)
        # Means over classes and cosines lose their digits in half precision.
        with torch.autocast(self.device.type, enabled=False):
            if self.weights["kl"]:
                terms["kl"] = self.alignment.score_divergence(scores, teacher_logits, *classes)
            if self.weights["ifv"] and self.phase == 2:
                terms["ifv"] = self.alignment.feature_variation(
                    compared, teacher_features, *classes
                )
            cosine = prototype_cosine(compared.detach().float(), teacher_features, *classes)
        size = len(student["image"])
        self.log("prototype_cosine", cosine, on_step=False, on_epoch=True, batch_size=size)
        return terms

    def _pool(self, maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, self.feature_stride) if self.feature_stride > 1 else maps

    def _classes(self, batch: Batch) -> Tensor:
        """One-hot class membership (B, C, Y, X) at the stride of the features, by majority.

        Where most pixels are ignored, it is of no class.
        """
        target, count = self.target_classes(batch), max(self.channels, 2)
        # Comparing is several times faster than F.one_hot, which works on 64-bit integers.
        lowest = -1 if "ignored" in batch else 0
        values = torch.arange(lowest, count, device=target.device)[:, None, None]
        share = self._pool((target == values).float())
        most = share.argmax(dim=1, keepdim=True) + lowest
        return (most == values[-count:]).float()

    @torch.no_grad()
    def _measure_teacher_features(self, batches: Iterable[Parts]) -> None:
        """Mean and SD per channel of the pooled teacher features over some training batches.

        Raises:
            ValueError: Every channel is the same everywhere.
        """
        moments = []
        for batch in batches:
            image = batch["teacher"]["image"].to(self.device)
            pooled = self._pool(features_and_logits(self.teacher, image)[0].double())
            moments.append(torch.stack([pooled.mean((0, 2, 3)), pooled.square().mean((0, 2, 3))]))
        mean, square = self.trainer.strategy.reduce(torch.stack(moments).mean(0), reduce_op="mean")
        variance = square - mean.square()
        if not (variance > 1e-12 * square).any():
            raise ValueError(
                f"the features of the teacher {self.teacher_checkpoint} are the same everywhere: "
                "there is nothing to learn from it; train it longer"
            )
        shape = self.feature_mean.shape
        self.feature_mean.copy_(mean.view(shape))
        self.feature_sd.copy_(standard_deviation(variance).view(shape))
