"""What is trained, one LightningModule per file, and in which precision."""

from lotus.tasks.classification import ClassificationTask
from lotus.tasks.dino import DINOTask
from lotus.tasks.distillation import DistillationTask
from lotus.tasks.dual_domain import DualDomainTask
from lotus.tasks.guided_classification import GuidedClassificationTask
from lotus.tasks.joint_classification import JointClassificationTask
from lotus.tasks.lejepa import LeJEPATask
from lotus.tasks.mask_rcnn import MaskRCNNTask
from lotus.tasks.mutual_learning import ModalityAwareMutualLearningTask
from lotus.tasks.precision import NativePrecision
from lotus.tasks.pretraining import PretrainingTask
from lotus.tasks.segmentation import SegmentationTask
from lotus.tasks.slab_segmentation import SlabSegmentationTask
from lotus.tasks.ummkd import UnpairedKnowledgeDistillationTask

__all__ = [
    "ClassificationTask",
    "DINOTask",
    "DistillationTask",
    "DualDomainTask",
    "GuidedClassificationTask",
    "JointClassificationTask",
    "LeJEPATask",
    "MaskRCNNTask",
    "ModalityAwareMutualLearningTask",
    "NativePrecision",
    "PretrainingTask",
    "SegmentationTask",
    "SlabSegmentationTask",
    "UnpairedKnowledgeDistillationTask",
]
