"""Losses of the project; segmentation losses such as DiceCELoss come from MONAI."""

from lotus.losses.alignment import Alignment, feature_variation_map, log_scores
from lotus.losses.class_alignment import ClassAlignment
from lotus.losses.class_mean_distillation import ClassMeanDistillation
from lotus.losses.dice_focal_around_mask import DiceFocalAroundMask
from lotus.losses.dice_weighted_cross_entropy import DiceWeightedCrossEntropy
from lotus.losses.flow import FlowLoss
from lotus.losses.known_pixels import loss_of_known_pixels
from lotus.losses.lejepa import LeJEPALoss, view_invariance
from lotus.losses.mask_guidance import MaskGuidanceLoss
from lotus.losses.pixel_alignment import PixelAlignment
from lotus.losses.sigreg import SIGReg, epps_pulley, random_directions
from lotus.losses.weighting import FixedWeights, UncertaintyWeights

__all__ = [
    "Alignment",
    "ClassAlignment",
    "ClassMeanDistillation",
    "DiceFocalAroundMask",
    "DiceWeightedCrossEntropy",
    "FixedWeights",
    "FlowLoss",
    "LeJEPALoss",
    "MaskGuidanceLoss",
    "PixelAlignment",
    "SIGReg",
    "UncertaintyWeights",
    "epps_pulley",
    "feature_variation_map",
    "log_scores",
    "loss_of_known_pixels",
    "random_directions",
    "view_invariance",
]
