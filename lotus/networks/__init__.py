"""Networks: nn.Modules only, no training and no input or output.

Those that bring a library of their own are imported when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lotus.networks.classifier import (
    Classifier,
    GuidedClassifier,
    JointOutput,
    SegmentingClassifier,
    as_classifier,
)
from lotus.networks.conv_lstm import BidirectionalConvLSTM, ConvLSTMCell
from lotus.networks.denoiser import Denoiser
from lotus.networks.distillable import (
    check_distillable,
    features_and_logits,
    segmentation_head,
)
from lotus.networks.feature_diffusion import FeatureDiffusion
from lotus.networks.mask_guided_attention import GuidedFeatures, MaskGuidedAttention
from lotus.networks.modality_aware_fusion import ModalityAwareFusion
from lotus.networks.modality_norm import with_own_norm_layers
from lotus.networks.noise_adapter import NoiseAdapter
from lotus.networks.projector import Projector
from lotus.networks.sensor3d import Sensor3D
from lotus.networks.slabs import (
    SlabNetwork,
    VolumetricNetwork,
    as_slab_network,
    store_channels_last,
)
from lotus.networks.standardisation import standard_deviation, standardised
from lotus.networks.u2net import U2Net
from lotus.networks.unet import UNet

if TYPE_CHECKING:
    from lotus.networks.alex_net import AlexNet
    from lotus.networks.domain_router import DomainRouter, Routing, Vote, vote
    from lotus.networks.dyn_unet import DynUNet
    from lotus.networks.joint_classifier import JointClassifier
    from lotus.networks.routed_segmenter import RoutedSegmenter
    from lotus.networks.swin_unet import SwinUNet
    from lotus.networks.swin_unetr import SwinUNETR
    from lotus.networks.timm_classifier import TimmClassifier
    from lotus.networks.token_decoder import ImageHead, TokenDecoder
    from lotus.networks.unet_plus_plus import UNetPlusPlus
    from lotus.networks.vision_tokens import VisionTokens, vision_tokens
    from lotus.networks.vision_transformer import VisionTransformer

__all__ = [
    "AlexNet",
    "BidirectionalConvLSTM",
    "Classifier",
    "ConvLSTMCell",
    "Denoiser",
    "DomainRouter",
    "DynUNet",
    "FeatureDiffusion",
    "GuidedClassifier",
    "GuidedFeatures",
    "ImageHead",
    "JointClassifier",
    "JointOutput",
    "MaskGuidedAttention",
    "ModalityAwareFusion",
    "NoiseAdapter",
    "Projector",
    "RoutedSegmenter",
    "Routing",
    "SegmentingClassifier",
    "Sensor3D",
    "SlabNetwork",
    "SwinUNETR",
    "SwinUNet",
    "TimmClassifier",
    "TokenDecoder",
    "U2Net",
    "UNet",
    "UNetPlusPlus",
    "VisionTokens",
    "VisionTransformer",
    "VolumetricNetwork",
    "Vote",
    "as_classifier",
    "as_slab_network",
    "check_distillable",
    "features_and_logits",
    "segmentation_head",
    "standard_deviation",
    "standardised",
    "store_channels_last",
    "vision_tokens",
    "vote",
    "with_own_norm_layers",
]

_HOMES = {
    "AlexNet": "lotus.networks.alex_net",  # torchvision
    "DynUNet": "lotus.networks.dyn_unet",  # MONAI
    "JointClassifier": "lotus.networks.joint_classifier",  # timm, segmentation_models_pytorch
    "SwinUNETR": "lotus.networks.swin_unetr",  # MONAI
    "SwinUNet": "lotus.networks.swin_unet",  # timm
    "TimmClassifier": "lotus.networks.timm_classifier",  # timm
    "UNetPlusPlus": "lotus.networks.unet_plus_plus",  # MONAI
    "DomainRouter": "lotus.networks.domain_router",
    "Routing": "lotus.networks.domain_router",
    "Vote": "lotus.networks.domain_router",
    "vote": "lotus.networks.domain_router",
    "ImageHead": "lotus.networks.token_decoder",
    "RoutedSegmenter": "lotus.networks.routed_segmenter",
    "TokenDecoder": "lotus.networks.token_decoder",
    "VisionTokens": "lotus.networks.vision_tokens",
    "VisionTransformer": "lotus.networks.vision_transformer",
    "vision_tokens": "lotus.networks.vision_tokens",
}


def __getattr__(name: str) -> Any:
    """Import a network on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
