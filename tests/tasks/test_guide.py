"""The masks that guide: those of the frozen network, over slices of any size and pixel size."""

import numpy as np
import pytest
import torch
from torch import nn

from lotus.networks import GuidedClassifier
from lotus.schemes import BoundaryWatershed
from lotus.tasks import GuidedClassificationTask, SegmentationTask
from lotus.tasks.guide import MaskGuide
from tests.tasks.patches import PatchData, TinyClassifier, trainer_in

CPU = torch.device("cpu")
DTYPE_RANGE = {"class_path": "lotus.transforms.DtypeRange", "init_args": {}}
TRAINED_UM = [0.65, 0.65]


class Threshold(nn.Module):
    """Foreground where the mean of the channels is above a half: a network without context."""

    def __init__(self, in_channels=3, out_channels=1):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.convolution = nn.Conv2d(in_channels, out_channels, 1)
        nn.init.constant_(self.convolution.weight, 100.0 / in_channels)
        nn.init.constant_(self.convolution.bias, -50.0)

    def forward(self, image):
        return self.convolution(image)


@pytest.fixture
def checkpoint(tmp_path):
    def write(network=None, spacing_um=TRAINED_UM, preprocessing=DTYPE_RANGE, **arguments):
        network = network or Threshold()
        task = SegmentationTask(network, ["lacuna"], in_channels=network.in_channels, **arguments)
        record = task.inference_record() | {
            "spacing_um": spacing_um,
            "preprocessing": preprocessing,
        }
        path = tmp_path / "segmenter.ckpt"
        torch.save({"state_dict": task.state_dict(), "segmenter": record}, path)
        return path

    return write


def test_the_mask_of_a_slice_is_that_of_the_network_across_windows(checkpoint):
    guide = MaskGuide(checkpoint(window=32), CPU)
    guide.use_on((0.65, 0.65))
    image = np.random.default_rng(0).integers(0, 256, (1, 75, 110), np.uint8)
    found = guide(image)
    assert found.dtype == np.float32
    assert np.array_equal(found, image[0] >= 128)  # DtypeRange divides by 255


def test_the_threshold_is_one_of_the_probability(checkpoint):
    image = np.random.default_rng(0).integers(0, 256, (3, 40, 40), np.uint8)
    found = MaskGuide(checkpoint(), CPU, threshold=0.9)(image)
    logit = 100 * image.mean(axis=0) / 255 - 50
    assert np.array_equal(found, logit > np.log(9))
    assert 0 < found.sum() < (logit > 0).sum()


def test_slices_of_another_pixel_size_are_refused_or_resampled(checkpoint):
    path = checkpoint()
    with pytest.raises(ValueError, match=r"trained at 0.65 µm per pixel, the slices have 1.3 µm"):
        MaskGuide(path, CPU).use_on((1.3, 1.3))
    seen = []
    guide = MaskGuide(path, CPU, resample=True)
    guide.use_on((1.3, 1.3))
    guide._network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-2:]))
    image = np.zeros((1, 32, 64), np.float32)
    image[:, 8:24, 16:40] = 1.0
    found = guide(image)
    assert seen == [(64, 128)]
    assert found.shape == (32, 64)
    assert np.array_equal(found[9:23, 17:39], np.ones((14, 22)))
    assert found.sum() <= 18 * 26


@pytest.mark.parametrize("sizes", [((0.65, 0.652), TRAINED_UM), (None, TRAINED_UM), ((1, 1), None)])
def test_equal_and_unknown_pixel_sizes_are_taken_as_they_are(checkpoint, sizes):
    slices, trained = sizes
    MaskGuide(checkpoint(spacing_um=trained), CPU).use_on(slices)


def test_the_key_is_of_the_weights_and_of_the_settings(checkpoint, tmp_path):
    path = checkpoint()
    key = MaskGuide(path, CPU).key
    copy = tmp_path / "copy.ckpt"
    copy.write_bytes(path.read_bytes())
    assert MaskGuide(copy, CPU).key == key
    assert MaskGuide(path, CPU, threshold=0.4).key != key
    assert MaskGuide(path, CPU, resample=True).key != key
    other = Threshold()
    nn.init.constant_(other.convolution.bias, -49.0)
    assert MaskGuide(checkpoint(other), CPU).key != key


def test_what_cannot_guide_is_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r"threshold is 1; expected one in \(0, 1\)"):
        MaskGuide(checkpoint(), CPU, threshold=1.0)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        MaskGuide(tmp_path / "absent.ckpt", CPU)
    with pytest.raises(ValueError, match=r"takes images of 2 channel\(s\), a slice has 3"):
        MaskGuide(checkpoint(Threshold(2)), CPU)(np.zeros((3, 32, 32), np.float32))
    with pytest.raises(ValueError, match="does not say how its images were preprocessed"):
        MaskGuide(checkpoint(preprocessing=None), CPU)


def test_several_output_channels_give_the_foreground_of_their_scheme(checkpoint):
    path = checkpoint(Threshold(3, 3), instances=BoundaryWatershed())
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    # Equal logits of three classes, one of them the background: the foreground has two thirds.
    assert MaskGuide(path, CPU, threshold=0.6)(image).all()
    assert not MaskGuide(path, CPU, threshold=0.7)(image).any()


def guided(path, **arguments):
    network = GuidedClassifier(TinyClassifier(), arguments.pop("multiplier", "attention"))
    return GuidedClassificationTask(network=network, guide=path, **arguments)


def test_the_data_get_the_guide_of_a_training(checkpoint, tmp_path):
    path = checkpoint()
    task, data = guided(path), PatchData()
    trainer_in(tmp_path).fit(task, data)
    assert task.origins() == [path]
    assert task.summary()["guide"] == str(path)
    assert data.key == MaskGuide(path, CPU).key
    slices = data.train_dataloader().dataset.slices
    batch = next(iter(data.train_dataloader()))
    assert np.array_equal(batch["guide"][0, 0].numpy(), slices[0][0, :12, :16] > 0.5)
    assert not any(name.startswith("guide") for name in task.state_dict())


@pytest.mark.parametrize(("multiplier", "guides"), [("attention", False), ("mask", True)])
def test_a_test_needs_masks_only_where_features_are_multiplied_by_them(
    checkpoint, tmp_path, multiplier, guides
):
    task, data = guided(checkpoint(), multiplier=multiplier), PatchData()
    trainer_in(tmp_path).test(task, data, verbose=False)
    assert (data.guide is not None) is guides


def test_a_training_on_slices_of_another_pixel_size_is_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="give resample_guide: true"):
        trainer_in(tmp_path).fit(guided(checkpoint()), PatchData(spacing_um=(1.3, 1.3)))
    task = guided(checkpoint(), resample_guide=True)
    trainer_in(tmp_path).fit(task, PatchData(spacing_um=(1.3, 1.3)))


def test_multiplied_by_masks_that_are_not_there(tmp_path):
    task = guided(None, multiplier="mask")
    with pytest.raises(ValueError, match=r"multiplied by the mask .multiplier: mask., but"):
        trainer_in(tmp_path).fit(task, PatchData())


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="lambda_guidance >= 0, got -1"):
        guided(None, lambda_guidance=-1)
