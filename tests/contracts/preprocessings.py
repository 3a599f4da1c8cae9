"""What every preprocessing keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from lotus.tasks.description import build, describe
from lotus.transforms import IntensityRange, Preprocessing, rescale


def bars(channels: int) -> NDArray[np.float64]:
    """Bright noisy bars on a dark ground, (C, 48, 56) in [0, 1]."""
    random = np.random.default_rng(0)
    image = random.uniform(0.05, 0.25, (channels, 48, 56))
    image[:, 8:40, 10:24] += 0.6
    image[:, 20:44, 34:50] += 0.5
    return image


class PreprocessingContract:
    """The checks; a subclass says which preprocessing it is, and how it may be configured."""

    implementation: ClassVar[type[Preprocessing]]
    settings: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """Arguments that configure it differently; the first are those of most checks."""
    channels: ClassVar[int] = 3

    @pytest.fixture
    def preprocessing(self) -> Preprocessing:
        return self.implementation(**self.settings[0])

    @pytest.fixture
    def image(self) -> NDArray[np.float64]:
        return bars(self.channels)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
    def test_result_is_float32_in_0_1_of_the_same_shape(self, preprocessing, image, dtype):
        scale = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
        image = (image * scale).astype(dtype)
        before = image.copy()
        result = preprocessing(image)
        assert result.dtype == np.float32
        assert result.shape == image.shape
        assert result.min() >= 0
        assert result.max() <= 1
        assert result.max() - result.min() > 0.3, "nothing of the image is left"
        np.testing.assert_array_equal(image, before)
        assert not np.shares_memory(image, result)

    def test_the_same_image_gives_the_same_result(self, preprocessing, image):
        first = preprocessing(image)
        np.random.seed(1)  # noqa: NPY002 - what the global generator does must not matter
        preprocessing(image[..., ::-1])
        np.testing.assert_array_equal(preprocessing(image), first)
        np.testing.assert_array_equal(self.implementation(**self.settings[0])(image), first)

    def test_the_layout_in_memory_does_not_matter(self, preprocessing, image):
        channels_last = np.ascontiguousarray(image.transpose(1, 2, 0)).transpose(2, 0, 1)
        np.testing.assert_array_equal(preprocessing(channels_last), preprocessing(image))

    @pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
    def test_pixels_that_are_not_finite_spoil_no_other(self, preprocessing, image, missing):
        incomplete = image.copy()
        incomplete[:, :6, :6] = missing
        incomplete[:, 30, 15] = missing
        result = preprocessing(incomplete)
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        assert result.min() >= 0
        assert result.max() <= 1
        finite = np.isfinite(incomplete)
        assert np.abs(result - preprocessing(image))[finite].mean() < 0.05

    @pytest.mark.parametrize(
        ("value", "dtype", "found"),
        [
            (7, np.uint8, r"constant \(7\)"),
            (0.5, np.float32, r"constant \(0.5\)"),
            (np.nan, np.float32, "no finite value"),
        ],
    )
    def test_an_image_without_contrast_is_refused_in_one_line(
        self, preprocessing, value, dtype, found
    ):
        with pytest.raises(ValueError, match=found) as caught:
            preprocessing(np.full((self.channels, 24, 24), value, dtype))
        assert "\n" not in str(caught.value)
        assert "expected" in str(caught.value)

    def test_each_is_built_again_from_its_description(self, image):
        for settings in self.settings:
            preprocessing = self.implementation(**settings)
            again = build(describe(preprocessing))
            assert type(again) is self.implementation
            assert repr(again) == repr(preprocessing)
            np.testing.assert_array_equal(again(image), preprocessing(image))

    def test_repr_tells_settings_apart(self):
        found = {repr(self.implementation(**settings)) for settings in self.settings}
        assert len(found) == len(self.settings)
        assert all(text.startswith(f"{self.implementation.__name__}(") for text in found)


class IntensityRangeContract(PreprocessingContract):
    """Also what lets images larger than memory be rescaled window by window."""

    implementation: ClassVar[type[IntensityRange]]

    def test_limits_are_those_of_the_whole_image(self, preprocessing, image):
        low, high = preprocessing.limits(image)
        assert low.shape == high.shape == (self.channels, 1, 1)
        assert low.dtype == high.dtype == np.float32
        assert (low < high).all()

    def test_windows_rescaled_with_the_whole_images_limits_equal_the_whole(self):
        image = np.random.default_rng(1).integers(0, 4000, (3, 20, 30)).astype(np.uint16)
        for settings in self.settings:
            preprocessing = self.implementation(**settings)
            low, high = preprocessing.limits(image)
            windows = [rescale(image[..., x : x + 10], low, high) for x in (0, 10, 20)]
            np.testing.assert_array_equal(np.concatenate(windows, axis=-1), preprocessing(image))

    def test_a_volume_is_rescaled_as_its_slices_side_by_side(self):
        volume = np.random.default_rng(0).integers(0, 255, (2, 2, 4, 5), np.uint8)  # C equals Z
        for settings in self.settings:
            preprocessing = self.implementation(**settings)
            flat = preprocessing(volume.reshape(2, 8, 5))
            np.testing.assert_array_equal(preprocessing(volume), flat.reshape(volume.shape))
            assert preprocessing.limits(volume)[0].shape == (2, 1, 1, 1)
