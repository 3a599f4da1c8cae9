import warnings

import jsonargparse
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Transform
from scipy import ndimage

from lotus.schemes import InstanceScheme
from lotus.transforms import DtypeRange, Preprocessing
from lotus.transforms.appearance import RandAppearanced
from lotus.transforms.degradation import Degraded, RandDegradationd, degrade
from lotus.transforms.stain import RandStaind

EVERY_TRANSFORM = [RandStaind, RandDegradationd, RandAppearanced]


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.random((3, 40, 48)), (0, 3, 3))
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


@pytest.mark.parametrize("transform_class", EVERY_TRANSFORM)
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_image_stays_an_image_and_the_rest_is_untouched(transform_class, convert, image):
    transform = transform_class(prob=1.0)
    transform.set_random_state(seed=1)
    before = image.copy()
    data = {"image": convert(image), "mask": convert(image > 0.5), "name": "a"}
    for _ in range(10):
        changed = transform(data)
        assert type(changed["image"]) is type(data["image"])
        assert changed["image"].dtype == data["image"].dtype
        assert changed["image"].shape == data["image"].shape
        assert changed["image"].min() >= 0
        assert changed["image"].max() <= 1
        assert changed["mask"] is data["mask"]
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("transform_class", EVERY_TRANSFORM)
def test_random_state_decides_everything(transform_class, image):
    def series(seed):
        transform = transform_class()
        transform.set_random_state(seed=seed)
        return np.stack([transform({"image": image})["image"] for _ in range(6)])

    first = series(3)
    np.random.seed(99)  # noqa: NPY002 -- the global state is exactly what must not matter
    torch.manual_seed(99)
    np.testing.assert_array_equal(series(3), first)
    assert not np.array_equal(series(4), first)


@pytest.mark.parametrize("transform_class", EVERY_TRANSFORM)
def test_probability_zero_changes_nothing(transform_class, image):
    assert transform_class(prob=0.0)({"image": image})["image"] is image


def test_stain_changes_colour_more_than_structure(image):
    transform = RandStaind(prob=1.0, stain_prob=0.0)
    transform.set_random_state(seed=0)
    for _ in range(5):
        changed = transform({"image": image})["image"]
        assert np.abs(changed - image).mean() > 0.005
        correlation = np.corrcoef(changed.mean(0).ravel(), image.mean(0).ravel())[0, 1]
        assert correlation > 0.9


def test_stain_is_the_identity_with_every_range_zero(image):
    transform = RandStaind(
        prob=1.0, brightness=0, contrast=0, saturation=0, hue=0, stain_prob=0, stain_scale=0
    )
    np.testing.assert_allclose(transform({"image": image})["image"], image, atol=1e-5)


def test_stain_needs_colour(image):
    with pytest.raises(ValueError, match="image has 1 channels"):
        RandStaind(prob=1.0)({"image": image[:1]})


def test_degradation_sets_contrast_blur_and_noise():
    random = np.random.RandomState(0)
    edge = np.zeros((1, 200, 200), np.float32)
    edge[..., 100:] = 1.0
    faint = degrade(edge, contrast=0.4, blur=0.0, noise=0.0, random=random)
    np.testing.assert_allclose(faint, np.where(edge > 0, 0.7, 0.3), rtol=1e-6)
    noisy = degrade(edge, contrast=0.4, blur=0.0, noise=0.05, random=random)
    assert (noisy - faint).std() == pytest.approx(0.05, rel=0.02)
    blurred = degrade(edge, contrast=1.0, blur=3.0, noise=0.0, random=random)
    slope = blurred[0, 0, 100] - blurred[0, 0, 99]
    assert slope == pytest.approx(1 / (3.0 * np.sqrt(2 * np.pi)), rel=0.01)


def test_degraded_image_depends_on_content_alone():
    images = np.random.default_rng(0).integers(0, 255, (2, 1, 30, 30)).astype(np.uint8)
    first = Degraded(DtypeRange(), contrast=0.5, noise=0.1)
    second = Degraded(DtypeRange(), contrast=0.5, noise=0.1)
    expected = first(images[0])
    np.testing.assert_array_equal(second(images[0].copy()), expected)
    np.testing.assert_array_equal(first(images[0]), expected)
    noise = [
        degraded - (0.5 + 0.5 * (i / 255 - 0.5))
        for degraded, i in zip((first(images[0]), first(images[1])), images, strict=True)
    ]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.2


def test_degraded_repr_names_every_setting():
    names = [
        repr(Degraded(DtypeRange(), contrast=c, blur=b, noise=n))
        for c, b, n in [(0.5, 0, 0), (0.6, 0, 0), (0.5, 1, 0), (0.5, 0, 1)]
    ]
    assert len(set(names)) == 4
    assert "DtypeRange()" in names[0]


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="contrast"):
        Degraded(DtypeRange(), contrast=0.0)
    with pytest.raises(ValueError, match="noise"):
        RandDegradationd(noise=(0.2, 0.1))
    with pytest.raises(ValueError, match="gamma"):
        RandAppearanced(gamma=(0.0, 1.0))
    with pytest.raises(ValueError, match="grey is 'mean'; expected one of luma, random"):
        RandAppearanced(grey="mean")


def test_appearance_makes_grey_and_inverts(image):
    grey = RandAppearanced(grey_prob=1.0, inversion_prob=0.0, gamma=(1.0, 1.0))
    luma = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    changed = grey({"image": image})["image"]
    np.testing.assert_allclose(changed, np.stack([luma] * 3), atol=1e-6)
    inversion = RandAppearanced(grey_prob=0.0, inversion_prob=1.0, gamma=(1.0, 1.0))
    np.testing.assert_allclose(inversion({"image": image})["image"], 1 - image, atol=1e-6)
    gamma = RandAppearanced(grey_prob=0.0, inversion_prob=0.0, gamma=(2.0, 2.0))
    np.testing.assert_allclose(gamma({"image": image})["image"], image**2, atol=1e-6)


def test_random_grey_is_any_convex_mix_of_the_channels(image):
    transform = RandAppearanced(grey_prob=1.0, grey="random", inversion_prob=0.0, gamma=(1.0, 1.0))
    transform.set_random_state(seed=0)
    channels, found = image.reshape(3, -1).T, []
    for _ in range(300):
        changed = transform({"image": image})["image"]
        assert (changed == changed[0]).all()
        found.append(np.linalg.lstsq(channels, changed[0].ravel(), rcond=None)[0])
    weights = np.array(found)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-3)
    assert weights.min() > -1e-3
    # Uniform on the triangle: means of 1/3, variances of 1/18.
    np.testing.assert_allclose(weights.mean(axis=0), 1 / 3, atol=0.05)
    np.testing.assert_allclose(weights.var(axis=0), 1 / 18, atol=0.02)


class Pipeline:
    def __init__(
        self, augmentation: list[Transform], preprocessing: Preprocessing, scheme: InstanceScheme
    ):
        self.augmentation = augmentation
        self.preprocessing = preprocessing
        self.scheme = scheme


CONFIGURATION = """
augmentation:
  - class_path: monai.transforms.RandSpatialCropd
    init_args: {keys: [image, mask, instances], roi_size: [32, 32], random_size: false}
  - class_path: monai.transforms.RandFlipd
    init_args: {keys: [image, mask, instances], prob: 0.5, spatial_axis: 1}
  - class_path: monai.transforms.RandRotate90d
    init_args: {keys: [image, mask, instances], prob: 0.5, spatial_axes: [0, 1]}
  - class_path: monai.transforms.RandScaleIntensityd
    init_args: {keys: [image], factors: 0.2, prob: 0.5}
  - class_path: lotus.transforms.stain.RandStaind
  - class_path: lotus.transforms.degradation.RandDegradationd
    init_args: {keys: [image], contrast: [0.4, 1.0]}
  - class_path: lotus.transforms.appearance.RandAppearanced
preprocessing:
  class_path: lotus.transforms.degradation.Degraded
  init_args:
    inner: {class_path: lotus.transforms.PercentileRange, init_args: {upper: 99.0}}
    contrast: 0.3
scheme:
  class_path: lotus.schemes.BoundaryWatershed
  init_args: {minimum_size: 5}
"""


@pytest.fixture
def pipeline():
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(Pipeline, "data")
    lines = "".join(f"  {line}\n" for line in CONFIGURATION.splitlines())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parser.instantiate_classes(parser.parse_string(f"data:\n{lines}")).data


def test_yaml_builds_everything_by_class_path(pipeline):
    assert pipeline.scheme.minimum_size == 5
    assert pipeline.preprocessing.inner.upper == 99.0
    assert len(pipeline.augmentation) == 7


def test_seed_decides_a_whole_pipeline_and_moves_image_and_objects_alike(pipeline):
    position = torch.arange(64 * 80, dtype=torch.int32).view(1, 64, 80)
    data = {"image": torch.rand(3, 64, 80), "mask": (position > 0).long(), "instances": position}
    spatial = Compose(pipeline.augmentation[:3])
    everything = Compose(pipeline.augmentation)
    spatial.set_random_state(seed=5)
    moved = spatial({**data, "image": position.float().repeat(3, 1, 1)})
    np.testing.assert_array_equal(moved["image"][0], moved["instances"][0])
    results = []
    for seed in (5, 5, 6):
        everything.set_random_state(seed=seed)
        results.append(everything(data))
    for key in data:
        np.testing.assert_array_equal(results[0][key], results[1][key])
    assert not np.array_equal(results[0]["image"], results[2]["image"])
