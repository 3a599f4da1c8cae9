"""Networks: nn.Modules only, no training and no input or output."""

from lotus.networks.denoiser import Denoiser
from lotus.networks.distillable import features_and_logits, segmentation_head
from lotus.networks.feature_diffusion import FeatureDiffusion
from lotus.networks.modality_aware_fusion import ModalityAwareFusion
from lotus.networks.modality_norm import with_own_norm_layers
from lotus.networks.noise_adapter import NoiseAdapter
from lotus.networks.projector import Projector
from lotus.networks.unet import UNet
from lotus.networks.unet_plus_plus import UNetPlusPlus

__all__ = [
    "Denoiser",
    "FeatureDiffusion",
    "ModalityAwareFusion",
    "NoiseAdapter",
    "Projector",
    "UNet",
    "UNetPlusPlus",
    "features_and_logits",
    "segmentation_head",
    "with_own_norm_layers",
]
