"""Mask R-CNN for microscopy: torchvision's network at the images' own scale."""

import warnings
from collections.abc import Sequence

from torch import Tensor
from torchvision.models.detection import (
    MaskRCNN,
    MaskRCNN_ResNet50_FPN_V2_Weights,
    maskrcnn_resnet50_fpn_v2,
)
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.models.detection.transform import GeneralizedRCNNTransform

COCO = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1


class NativeSize(GeneralizedRCNNTransform):  # type: ignore[misc]
    """Torchvision's normalisation and padding, without its resizing of every image to 800 px."""

    def resize(
        self, image: Tensor, target: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """The image and target as they are."""
        return image, target


def mask_rcnn_resnet50(
    num_classes: int = 2,
    *,
    pretrained: bool = False,
    anchor_sizes: Sequence[int] = (8, 16, 32, 64, 128),
    detections_per_image: int = 1000,
) -> MaskRCNN:
    """Mask R-CNN on ResNet-50 with a feature pyramid (He et al., ICCV 2017; Li et al., 2021).

    Torchvision's second version, with three differences: images keep their size, anchors are a
    quarter of COCO's, and an image has up to 1000 objects instead of 100. Images in [0, 1] are
    normalised by ImageNet's mean and SD inside, with and without pre-trained weights.

    Args:
        num_classes: Classes, the background included.
        pretrained: Start from the weights that torchvision trained on COCO, all but the last
            layers of the heads, which depend on the number of classes. They are downloaded unless
            torch's cache has them; if that fails, a warning says that the weights are random.
        anchor_sizes: Sides of the square anchors of the pyramid's five levels in pixels.
        detections_per_image: Most objects of an image. Each found object costs 4 bytes per pixel
            of the image until the label map is made.

    Returns:
        A network that maps a list of images (C, Y, X) and targets to losses in training mode, and
        images to detections in evaluation mode.

    Raises:
        ValueError: Not five anchor sizes.
    """
    if len(anchor_sizes) != 5:
        raise ValueError(
            f"anchor_sizes has {len(anchor_sizes)} sizes; expected 5, one per level of the pyramid"
        )
    network = maskrcnn_resnet50_fpn_v2(
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        box_detections_per_img=detections_per_image,
    )
    given = network.transform
    network.transform = NativeSize(
        given.min_size, given.max_size, given.image_mean, given.image_std
    )
    sizes = tuple((size,) for size in anchor_sizes)
    network.rpn.anchor_generator = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    if pretrained:
        _start_from_coco(network)
    return network


def _start_from_coco(network: MaskRCNN) -> None:
    """Copy the COCO weights whose shapes fit."""
    try:
        state = COCO.get_state_dict(progress=False, check_hash=True)
    except OSError as error:
        warnings.warn(
            f"the weights are random: {COCO.url} could not be downloaded ({error}); where there is "
            "no network, put that file into the folder checkpoints of torch.hub.get_dir()",
            stacklevel=2,
        )
        return
    own = network.state_dict()
    fitting = {name: value for name, value in state.items() if value.shape == own[name].shape}
    network.load_state_dict(fitting, strict=False)
