"""Views: what they show, that nothing changes their colour, and that the seed decides them."""

import pytest
import torch
from scipy.ndimage import gaussian_filter

from lotus.transforms import MultiCropViews, Views
from lotus.transforms.views import gaussian_blur, resized_crops

PLAIN = {"brightness": 0.0, "contrast": 0.0, "blur_prob": 0.0}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def places(size=32):
    """An image whose channels say where a pixel is: rows, columns, and a constant."""
    along = (torch.arange(size) + 0.5) / size
    return torch.stack([along[:, None].expand(size, size), along.expand(size, size)])


def test_numbers_and_sizes_are_those_of_the_paper_unless_others_are_given():
    views = MultiCropViews()(torch.rand(2, 3, 224, 224), seeded())
    assert isinstance(views, Views)
    assert [view.shape for view in views.global_views] == [(2, 3, 224, 224)] * 2
    assert [view.shape for view in views.local_views] == [(2, 3, 96, 96)] * 6
    few = MultiCropViews(32, 16, global_count=1, local_count=0)(torch.rand(2, 3, 40, 48), seeded())
    assert [view.shape for view in few.global_views] == [(2, 3, 32, 32)]
    assert few.local_views == []


def test_the_seed_decides_everything_and_every_view_is_another():
    images = torch.rand(1, 3, 32, 32).expand(4, -1, -1, -1)
    first, again = (MultiCropViews(16, 8)(images, seeded(3)) for _ in range(2))
    both = zip(
        [*first.global_views, *first.local_views],
        [*again.global_views, *again.local_views],
        strict=True,
    )
    assert all(torch.equal(one, other) for one, other in both)
    other = MultiCropViews(16, 8)(images, seeded(4))
    assert not torch.equal(first.global_views[0], other.global_views[0])
    flat = torch.cat([*first.global_views]).flatten(1)
    assert torch.unique(flat, dim=0).shape[0] == 8
    torch.manual_seed(5)
    free = MultiCropViews(16, 8)(images)
    torch.manual_seed(5)
    assert torch.equal(free.global_views[0], MultiCropViews(16, 8)(images).global_views[0])


def test_crops_show_the_shares_that_were_asked_for():
    """Measured in the views: how far rows and columns go, and whether they leave the image."""
    images = places().expand(256, -1, -1, -1)
    views = MultiCropViews(16, 8, 1, 1, (0.3, 1.0), (0.05, 0.3), **PLAIN)(images, seeded())
    for view, low, high in ((views.global_views[0], 0.3, 1.0), (views.local_views[0], 0.05, 0.3)):
        size = view.shape[-1]
        # Centres of the outermost pixels are one pixel short of the crop's sides.
        spread = (view.amax(dim=(2, 3)) - view.amin(dim=(2, 3))) * size / (size - 1)
        area = spread.prod(dim=1)
        assert area.min() > low * 0.7
        assert area.max() < high * 1.02
        assert area.min() < low + 0.2 * (high - low)
        assert area.max() > high - 0.25 * (high - low)
        ratio = spread[:, 0] / spread[:, 1]
        assert ratio.max() < 16 / 9 + 0.02
        assert ratio.min() > 9 / 16 - 0.02
        assert view.min() >= 0
        assert view.max() <= 1


def test_views_are_turned_and_mirrored_in_all_eight_ways_alike():
    images = places().expand(800, -1, -1, -1)
    (view,) = MultiCropViews(8, 8, 1, 0, (0.5, 0.5), **PLAIN)(images, seeded()).global_views
    # Which way rows and columns of the image go down and right in the view.
    corner = view[:, :, 0, 0]
    steps = torch.cat([view[:, :, -1, 0] - corner, view[:, :, 0, -1] - corner], dim=1)
    directions = steps.sign() * (steps.abs() > 1e-3)
    ways, counts = torch.unique(directions, dim=0, return_counts=True)
    assert len(ways) == 8
    assert counts.min() > 60
    assert counts.max() < 140


def test_a_frame_says_which_pixels_are_shown():
    image = torch.rand(1, 1, 4, 4)
    # The right upper quarter: width and height are halved, x goes up by a half, y down.
    frame = torch.tensor([[[0.5, 0.0, 0.5], [0.0, 0.5, -0.5]]])
    torch.testing.assert_close(resized_crops(image, 2, frame), image[:, :, :2, 2:])
    identity = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    torch.testing.assert_close(resized_crops(image, 4, identity), image)


def test_brightness_and_contrast_leave_colour_alone():
    """Channels keep their order, and grey stays grey: there is no hue, grey or solarisation."""
    images = (0.2 + 0.3 * torch.rand(64, 1, 8, 8)).expand(-1, 3, -1, -1)
    factors = torch.tensor([1.0, 0.9, 0.8]).view(3, 1, 1)
    strong = MultiCropViews(8, 8, 1, 0, brightness=0.4, contrast=0.4, blur_prob=0.0)
    (grey,) = strong(images, seeded()).global_views
    assert torch.equal(grey[:, 0], grey[:, 1])
    (coloured,) = strong(images * factors, seeded()).global_views
    assert (coloured[:, 0] >= coloured[:, 1]).all()
    assert (coloured[:, 1] >= coloured[:, 2]).all()
    (plain,) = MultiCropViews(8, 8, 1, 0, **PLAIN)(images, seeded()).global_views
    bright = grey.mean(dim=(1, 2, 3)) / plain.mean(dim=(1, 2, 3))
    assert 0.6 <= bright.min() < 0.7
    assert 1.3 < bright.max() <= 1.4 + 1e-5
    contrast = grey.std(dim=(1, 2, 3)) / plain.std(dim=(1, 2, 3)) / bright
    assert 0.6 - 1e-4 <= contrast.min() < 0.7
    assert 1.3 < contrast.max() <= 1.4 + 1e-4


def test_what_goes_over_the_range_is_cut():
    bright = MultiCropViews(8, 8, 1, 0, brightness=0.9, contrast=0.9)
    (view,) = bright(torch.rand(32, 3, 16, 16), seeded()).global_views
    assert view.min() >= 0
    assert view.max() == 1


def test_each_image_is_blurred_by_its_own_gaussian():
    images = torch.rand(3, 2, 24, 24)
    sigma = torch.tensor([0.5, 1.0, 2.0])
    found = gaussian_blur(images, sigma, largest=2.0)
    for image, width, blurred in zip(images, sigma.tolist(), found, strict=True):
        for channel, plane in zip(image.numpy(), blurred.numpy(), strict=True):
            expected = gaussian_filter(channel, width, mode="mirror", radius=6)
            assert abs(plane - expected).max() < 1e-5


def test_half_of_the_views_are_blurred():
    images = torch.rand(400, 1, 16, 16)
    options = {"brightness": 0.0, "contrast": 0.0, "blur_sigma": (1.0, 2.0)}
    sharp, half = (
        MultiCropViews(16, 8, 1, 0, blur_prob=share, **options)(images, seeded()).global_views[0]
        for share in (0.0, 0.5)
    )
    changed = (sharp != half).flatten(1).any(dim=1)
    assert changed.float().mean() == pytest.approx(0.5, abs=0.1)
    assert (half[changed].std(dim=(1, 2, 3)) < sharp[changed].std(dim=(1, 2, 3))).all()


def test_autocast_does_not_change_the_views():
    images = torch.rand(4, 3, 32, 32)
    expected = MultiCropViews(16, 8)(images, seeded())
    with torch.autocast("cpu", torch.bfloat16):
        found = MultiCropViews(16, 8)(images, seeded())
    assert all(map(torch.equal, found.global_views, expected.global_views))
    assert not found.global_views[0].requires_grad


def test_a_view_smaller_than_the_kernel_is_blurred_all_the_same():
    (view,) = MultiCropViews(4, 4, 1, 0, blur_prob=1.0)(torch.rand(2, 3, 8, 8)).global_views
    assert torch.isfinite(view).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"global_count": 0}, "expected at least one global view"),
        ({"local_size": 0}, "sizes above 0"),
        ({"local_scale": (0.3, 0.1)}, "local_scale is \\(0.3, 0.1\\); expected shares"),
        ({"global_scale": (0.5, 1.5)}, "global_scale is \\(0.5, 1.5\\)"),
        ({"brightness": 1.0}, "brightness is 1, contrast 0.25"),
        ({"blur_prob": 2.0}, "blur_prob 2; expected"),
        ({"blur_sigma": (0.0, 1.0)}, "blur_sigma is \\(0.0, 1.0\\)"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MultiCropViews(**options)
