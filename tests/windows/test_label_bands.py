"""Objects that cross bands are whole, and the same as those of the whole image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label

from lotus.inference.label_spool import LabelSpool
from lotus.masks import UnionFind
from lotus.metrics.functional import panoptic_quality
from lotus.schemes import BoundaryWatershed, ConnectedComponents
from lotus.windows import partial_object
from lotus.windows.label_bands import LabelBand, decode_bands, matching_labels
from lotus.windows.object_collector import ObjectCollector


def stream(probability, cuts, scheme, halo, folder):
    """Decode in bands; the label map, the objects as handed out, their means, the collector."""
    same = UnionFind()
    collector = ObjectCollector(same)
    handed_out = np.zeros(probability.shape[1:], np.int32)
    means: dict[int, np.ndarray] = {}
    with LabelSpool(folder) as spool:
        pieces = np.split(probability, cuts, axis=1)
        for band in decode_bands(pieces, scheme, height=probability.shape[1], halo=halo, same=same):
            for objects in collector.add(band):
                y, x = objects.offset_yx
                inside = objects.labels > 0
                height, width = objects.labels.shape
                target = handed_out[y : y + height, x : x + width]
                assert not target[inside].any()
                target[inside] = objects.labels[inside]
                numbers = np.unique(objects.labels[inside])
                means |= dict(zip(numbers.tolist(), objects.means, strict=True))
            spool.append(band)
        labels = np.concatenate([collector.numbers.final_labels(band) for band in spool])
    return labels, handed_out, means, collector


def assert_same_objects(first, second):
    """Equal up to the numbers of the objects."""
    pairs = np.unique(np.stack((first.ravel(), second.ravel())), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    np.testing.assert_array_equal(first == 0, second == 0)


def smooth_noise(seed, shape, sigma):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return noise / max(noise.std(), 1e-9)


def reference_components(mask, minimum_size):
    labels, _ = label(mask, np.ones((3, 3)))
    small = np.bincount(labels.ravel()) < minimum_size
    labels[small[labels]] = 0
    return labels


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_streamed_components_are_those_of_the_whole_image(tmp_path_factory, data):
    shape = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 60)), label="shape")
    sigma = data.draw(st.sampled_from([0.6, 1.5, 4.0]), label="sigma")
    level = data.draw(st.floats(-1.0, 1.0), label="level")
    halo = data.draw(st.integers(1, 10), label="halo")
    cuts = sorted(data.draw(st.sets(st.integers(1, shape[0]), max_size=6), label="cuts"))
    minimum_size = data.draw(st.integers(0, halo), label="minimum size")
    probability = (smooth_noise(data.draw(st.integers(0, 999)), shape, sigma) > level)[None]
    probability = probability.astype(np.float32)
    scheme = ConnectedComponents(minimum_size)
    labels, handed_out, _, collector = stream(
        probability, cuts, scheme, halo, tmp_path_factory.getbasetemp()
    )
    assert_same_objects(labels, reference_components(probability[0] > 0, minimum_size))
    np.testing.assert_array_equal(labels, handed_out)
    assert set(np.unique(labels)) | {0} == set(range(len(collector.numbers) + 1))


def test_a_spiral_through_all_bands_is_one_object(tmp_path):
    mask = np.zeros((60, 40), np.float32)
    mask[2:58, 2] = mask[2, 2:38] = mask[2:50, 37] = mask[49, 8:38] = mask[10:50, 8] = 1
    mask[10, 8:30] = mask[10:40, 29] = 1
    labels, _, means, collector = stream(
        mask[None], range(4, 60, 4), ConnectedComponents(), 2, tmp_path
    )
    assert len(collector.numbers) == 1
    np.testing.assert_array_equal(labels, mask)
    np.testing.assert_allclose(means[1], [1.0])


@pytest.mark.slow
def test_streamed_watershed_is_nearly_that_of_the_whole_image(tmp_path):
    random = np.random.default_rng(4)
    y, x = np.mgrid[:400, :300]
    centres = random.uniform((0, 0), (400, 300), (150, 2))
    distance = np.sqrt((y[..., None] - centres[:, 0]) ** 2 + (x[..., None] - centres[:, 1]) ** 2)
    nearest, second = np.sort(distance, axis=-1)[..., :2].transpose(2, 0, 1)
    inside = 11.0 - nearest
    boundary = 12.0 - 5.0 * np.minimum(np.abs(inside), second - nearest)
    logits = np.stack((-inside, inside, boundary)) * 0.8 + random.normal(0, 0.2, (3, 400, 300))
    probability = np.exp(logits) / np.exp(logits).sum(0)
    scheme = BoundaryWatershed(minimum_size=10)
    whole = scheme.decode(probability.astype(np.float32))
    labels, _, _, collector = stream(
        probability.astype(np.float32), range(70, 400, 70), scheme, 40, tmp_path
    )
    assert whole.max() > 80
    assert abs(len(collector.numbers) - whole.max()) <= 2
    assert panoptic_quality(labels, whole).pq > 0.99


def test_means_are_those_of_the_pixels_of_each_object(tmp_path):
    noise = smooth_noise(8, (120, 50), 3.0)
    logits = np.stack((-noise, noise, noise[::-1]))
    probability = (np.exp(logits) / np.exp(logits).sum(0)).astype(np.float32)
    labels, _, means, collector = stream(
        probability, range(20, 120, 20), ConnectedComponents(), 5, tmp_path
    )
    assert sorted(means) == list(range(1, len(collector.numbers) + 1))
    for number, mean in means.items():
        inside = probability[:, labels == number]
        expected = [1.0 - inside[0].mean(), inside[1].mean(), inside[2].mean()]
        np.testing.assert_allclose(mean, expected, rtol=1e-5)


def test_of_an_object_that_is_too_large_only_sums_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(partial_object, "LARGEST_BOX", 500)
    mask = np.zeros((80, 20), np.float32)
    mask[5:75, 3:13] = 1.0
    mask[30:33, 16:18] = 1.0
    labels, handed_out, means, collector = stream(
        mask[None], range(10, 80, 10), ConnectedComponents(), 3, tmp_path
    )
    assert_same_objects(labels, reference_components(mask > 0, 0))
    (number,) = collector.large
    part = collector.large[number]
    assert part.box == (5, 3, 75, 13)
    assert part.pixels == 700
    np.testing.assert_allclose(part.means, [39.5, 7.5, 1.0])
    assert part.masks == []
    np.testing.assert_array_equal(handed_out > 0, (labels > 0) & (labels != number))
    assert list(means) == [3 - number]


def test_a_sliver_does_not_join_neighbours():
    before = np.zeros((6, 12), np.int32)
    before[:, :6], before[:, 6:] = 1, 2
    after = np.zeros((6, 12), np.int32)
    after[:, :7], after[:, 7:] = 5, 9
    np.testing.assert_array_equal(matching_labels(before, after, 3), [[1, 5], [2, 9]])


def test_pieces_that_coincide_join_objects_however_large_these_are():
    before = np.array([[1, 1, 1, 1, 0, 1, 0, 3, 3, 3, 3]] * 2, np.int32)
    after = np.array([[4, 4, 4, 4, 0, 6, 0, 6, 6, 6, 6]] * 2, np.int32)
    assert matching_labels(before, after, 1).tolist() == [[1, 4], [1, 6], [3, 6]]


def test_what_does_not_cross_the_border_matches_nothing():
    before = np.array([[1], [1], [0], [2]], np.int32)
    after = np.array([[1], [1], [0], [2]], np.int32)
    assert matching_labels(before, after, 2).tolist() == []
    assert matching_labels(before, after, 1).tolist() == [[1, 1]]


def test_a_spool_gives_back_its_bands_and_leaves_no_file(tmp_path):
    random = np.random.default_rng(1)
    bands = [
        LabelBand(
            7 * index,
            random.integers(0, 9, (7, 30)).astype(np.int32),
            np.zeros((1, 7, 30), np.float32),
            8,
            8 * index,
            np.arange(2, dtype=np.int32),
        )
        for index in range(3)
    ]
    with LabelSpool(tmp_path) as spool:
        for band in bands:
            spool.append(band)
        assert list(tmp_path.iterdir()) == []
        for _ in range(2):
            for stored, band in zip(spool, bands, strict=True):
                np.testing.assert_array_equal(stored.labels, band.labels)
                np.testing.assert_array_equal(stored.numbers, band.numbers)


@pytest.mark.parametrize("numbers", [[(1, 2), (3, 4), (2, 4)], [(4, 3), (2, 1), (1, 3)]])
def test_same_object_names_a_set_by_its_smallest_number(numbers):
    same = UnionFind()
    same.extend(5)
    for first, second in numbers:
        same.unite(first, second)
    np.testing.assert_array_equal(same.roots(np.arange(6, dtype=np.int32)), [0, 1, 1, 1, 1, 5])
