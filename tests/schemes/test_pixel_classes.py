import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.io import imread
from skimage.segmentation import watershed

from lotus.schemes import BoundaryWatershed, ConnectedComponents


def encode(scheme, labels):
    instances = torch.from_numpy(labels.astype(np.int32))[None]
    return scheme.encode((instances > 0).long(), instances)[0, 0].numpy()


def one_hot(target, n_classes=3):
    return np.moveaxis(np.eye(n_classes, dtype=np.float32)[target], -1, 0)


def voronoi_cells(rng, shape=(64, 64), n=12, radius=9):
    """Discs around random points, cut where they meet: touching objects, deeper than a pixel."""
    grid = np.stack(np.mgrid[: shape[0], : shape[1]], -1)
    points = np.empty((0, 2))
    while len(points) < n:
        candidate = rng.uniform(4, np.array(shape) - 4)
        if len(points) == 0 or np.hypot(*(points - candidate).T).min() > 8:
            points = np.vstack([points, candidate])
    distance = np.hypot(*np.moveaxis(grid[:, :, None] - points, -1, 0))
    return np.where(distance.min(-1) < radius, distance.argmin(-1) + 1, 0)


def overlaps(labels, decoded):
    """IoU of each object with the decoded object that covers most of it."""
    for number in np.unique(labels[labels > 0]):
        inside = labels == number
        best = np.bincount(decoded[inside]).argmax()
        found = (decoded == best) & (best > 0)
        yield (inside & found).sum() / (inside | found).sum()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 2))
def test_watershed_recovers_touching_objects(seed, width):
    labels = voronoi_cells(np.random.default_rng(seed))
    scheme = BoundaryWatershed(boundary_width=width)
    decoded = scheme.decode(one_hot(encode(scheme, labels)))
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(np.unique(decoded), np.arange(len(np.unique(labels))))
    np.testing.assert_array_equal(decoded > 0, labels > 0)
    assert min(overlaps(labels, decoded)) > 0.8


def test_components_merge_what_the_watershed_keeps_apart():
    labels = np.zeros((20, 30), int)
    labels[5:15, 4:14] = 1
    labels[5:15, 14:24] = 2
    scheme = BoundaryWatershed()
    decoded = scheme.decode(one_hot(encode(scheme, labels)))
    assert min(overlaps(labels, decoded)) == 1.0
    assert ConnectedComponents().decode((labels > 0)[None].astype(np.float32)).max() == 1


def test_boundary_is_the_rim_that_sees_another_label():
    labels = np.zeros((9, 9), int)
    labels[2:7, 2:7] = 5
    expected = np.zeros((9, 9), int)
    expected[2:7, 2:7] = 2
    expected[3:6, 3:6] = 1
    np.testing.assert_array_equal(encode(BoundaryWatershed(), labels), expected)


def test_images_edge_is_no_boundary():
    assert (encode(BoundaryWatershed(boundary_width=2), np.ones((6, 6), int)) == 1).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 3))
def test_boundary_equals_minimum_and_maximum_filter(seed, width):
    labels = voronoi_cells(np.random.default_rng(seed), n=8)
    size = 2 * width + 1
    uniform = ndimage.minimum_filter(labels, size) == ndimage.maximum_filter(labels, size)
    target = encode(BoundaryWatershed(boundary_width=width), labels)
    np.testing.assert_array_equal(target > 0, labels > 0)
    assert (target[uniform & (labels > 0)] == 1).all()
    has_interior = np.unique(labels[uniform])
    deep = np.isin(labels, has_interior)
    assert (target[deep & ~uniform & (labels > 0)] == 2).all()


@pytest.mark.parametrize(
    ("rows", "columns", "seed"),
    [
        (slice(4, 5), slice(4, 5), (4, 4)),
        (slice(4, 6), slice(2, 9), (4, 5)),
        (slice(0, 1), slice(3, 6), (0, 4)),
    ],
)
def test_thin_objects_keep_exactly_one_seed(rows, columns, seed):
    labels = np.zeros((12, 12), int)
    labels[rows, columns] = 3
    target = encode(BoundaryWatershed(), labels)
    assert [tuple(p) for p in np.argwhere(target == 1)] == [seed]


def test_thin_objects_keep_their_deepest_pixel():
    # A 3x3 head at the end of a long tail: the centroid lies in the tail, the depth in the head.
    labels = np.zeros((12, 30), int)
    labels[4:7, 3:6] = 1
    labels[5, 6:28] = 1
    target = encode(BoundaryWatershed(boundary_width=2), labels)
    assert [tuple(p) for p in np.argwhere(target == 1)] == [(5, 4)]


def test_same_number_in_two_images_of_a_batch_is_two_objects():
    instances = torch.zeros(3, 8, 8, dtype=torch.int32)
    instances[0, 2:4, 2:4] = 1
    instances[1, 1:7, 1:7] = 1
    instances[2, 5, 5] = 1
    target = BoundaryWatershed().encode((instances > 0).long(), instances)
    assert target.dtype == torch.int64
    assert (target == 1).sum((1, 2, 3)).tolist() == [1, 16, 1]


def test_component_without_seed_becomes_one_object():
    target = np.zeros((10, 20), int)
    target[2:5, 2:5] = 2
    target[2:8, 10:18] = 2
    target[4:6, 12:16] = 1
    decoded = BoundaryWatershed().decode(one_hot(target))
    assert decoded.max() == 2
    assert len(np.unique(decoded[2:5, 2:5])) == 1


def test_small_objects_are_dropped_and_the_rest_renumbered():
    mask = np.zeros((1, 12, 12), np.float32)
    mask[0, 0, 0] = 1.0
    mask[0, 4:7, 4:7] = 1.0
    decoded = ConnectedComponents(minimum_size=2).decode(mask)
    np.testing.assert_array_equal(decoded, (mask[0] > 0) & (np.arange(12) > 2))


def test_components_are_eight_connected_from_the_threshold_on():
    probability = np.zeros((1, 6, 6), np.float32)
    probability[0, [1, 2, 4], [1, 2, 4]] = (0.5, 0.9, 0.49)
    assert ConnectedComponents().decode(probability).max() == 1
    assert ConnectedComponents(threshold=0.4).decode(probability).max() == 2


def test_foreground_is_everything_but_background():
    probability = np.random.default_rng(0).dirichlet(np.ones(3), (5, 5)).transpose(2, 0, 1)
    expected = probability[1] + probability[2]
    np.testing.assert_allclose(ConnectedComponents().foreground(probability), expected, rtol=1e-6)
    np.testing.assert_allclose(BoundaryWatershed().foreground(probability), expected, rtol=1e-6)
    np.testing.assert_array_equal(
        ConnectedComponents().foreground(probability[:1]), probability[0].astype(np.float32)
    )


def test_channels():
    assert [ConnectedComponents().channels(n) for n in (1, 2, 4)] == [1, 3, 5]
    assert BoundaryWatershed().channels(1) == 3
    with pytest.raises(ValueError, match="2 foreground classes"):
        BoundaryWatershed().channels(2)
    with pytest.raises(ValueError, match="at least 1"):
        ConnectedComponents().channels(0)


@pytest.mark.parametrize("domain", ["fluorescence", "histology"])
def test_watershed_loses_fewer_real_nuclei_than_components(shared_data, domain):
    paths = sorted((shared_data / "dsb2018" / domain / "labels").glob("*.png"))[:8]
    assert paths
    true, merged, separated = 0, 0, 0
    scheme = BoundaryWatershed()
    for path in paths:
        labels = imread(path)
        true += len(np.unique(labels)) - 1
        merged += ConnectedComponents().decode((labels > 0)[None].astype(np.float32)).max()
        separated += scheme.decode(one_hot(encode(scheme, labels))).max()
    assert abs(separated - true) < abs(merged - true)
    assert abs(separated - true) <= 0.02 * true


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_decoding_equals_the_plain_watershed_of_all_seeds(seed):
    rng = np.random.default_rng(seed)
    target = encode(BoundaryWatershed(), voronoi_cells(rng))
    blurred = ndimage.gaussian_filter(one_hot(target), (0, 0.8, 0.8))
    noisy = blurred + 0.2 * rng.random(blurred.shape)
    probability = noisy / noisy.sum(0)
    foreground = probability[1] + probability[2] >= 0.5
    seeds, _ = ndimage.label(
        (probability[1] > np.maximum(probability[0], probability[2])) & foreground, np.ones((3, 3))
    )
    components, n = ndimage.label(foreground, np.ones((3, 3)))
    for number in range(1, n + 1):
        if not seeds[components == number].any():
            seeds[components == number] = seeds.max() + 1
    expected = watershed(probability[2], seeds, mask=foreground, connectivity=2)
    decoded = BoundaryWatershed().decode(probability)
    pairs = np.unique(np.stack([expected.ravel(), decoded.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(expected)) == len(np.unique(decoded))


def test_classes_of_objects_are_the_likeliest_foreground_class():
    probability = np.array(
        [[[0.2, 0.6, 0.45, 0.5]], [[0.5, 0.3, 0.15, 0.1]], [[0.3, 0.1, 0.4, 0.4]]]
    )
    scheme = ConnectedComponents()
    labels = scheme.decode(probability)
    np.testing.assert_array_equal(labels, [[1, 0, 2, 2]])
    np.testing.assert_array_equal(scheme.classes(probability, labels), [[1, 0, 2, 2]])
    # An object that is too small has no class either.
    labels = ConnectedComponents(minimum_size=2).decode(probability)
    np.testing.assert_array_equal(scheme.classes(probability, labels), [[0, 0, 2, 2]])
