import pytest
import torch
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights as Weights

from lotus.networks.mask_rcnn import NativeSize, mask_rcnn_resnet50

HEADS = ("roi_heads.box_predictor", "roi_heads.mask_predictor.mask_fcn_logits")


def test_parameters_are_those_of_torchvisions_network():
    with torch.device("meta"):
        network = mask_rcnn_resnet50(num_classes=91)
    count = sum(weight.numel() for weight in network.parameters())
    assert count == Weights.COCO_V1.meta["num_params"] == 46359409


def test_images_keep_their_size_and_are_normalised():
    transform = NativeSize(800, 1333, [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]).eval()
    image = torch.full((3, 40, 56), 0.75)
    box = {"boxes": torch.tensor([[1.0, 2.0, 3.0, 4.0]])}
    images, targets = transform([image], [box])
    assert images.image_sizes == [(40, 56)]
    assert images.tensors.shape == (1, 3, 64, 64)
    assert (images.tensors[0, :, :40, :56] == 1).all()
    assert torch.equal(targets[0]["boxes"], box["boxes"])


def test_anchors_fit_the_pyramid():
    with torch.device("meta"):
        network = mask_rcnn_resnet50(anchor_sizes=(4, 8, 16, 32, 64))
    assert network.rpn.anchor_generator.sizes == ((4,), (8,), (16,), (32,), (64,))
    assert network.rpn.anchor_generator.num_anchors_per_location() == [3] * 5
    with pytest.raises(ValueError, match="anchor_sizes has 2 sizes; expected 5"):
        mask_rcnn_resnet50(anchor_sizes=(8, 16))


@pytest.mark.slow
def test_coco_weights_are_loaded_but_for_the_last_layers(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    saved = mask_rcnn_resnet50(num_classes=91).state_dict()
    file = tmp_path / "hub/checkpoints" / Weights.COCO_V1.url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    torch.save(saved, file)
    loaded = mask_rcnn_resnet50(num_classes=2, pretrained=True).state_dict()
    assert loaded.keys() == saved.keys()
    for name, value in loaded.items():
        if name.startswith(HEADS):
            assert value.shape != saved[name].shape
        else:
            assert torch.equal(value, saved[name])


@pytest.mark.slow
def test_without_a_network_a_warning_says_that_weights_are_random(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.warns(UserWarning, match=r"the weights are random: .*could not be downloaded"):
        network = mask_rcnn_resnet50(pretrained=True)
    assert network.roi_heads.box_predictor.cls_score.out_features == 2
