"""Views of images for self-supervised learning: random crops, all of a batch at once."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ASPECT = (3 / 4, 4 / 3)
"""Width over height of a crop before it is resized to a square."""


class Views(NamedTuple):
    """Views of a batch of images.

    Attributes:
        global_views: Each (B, C, g, g) in [0, 1], of a large part of every image.
        local_views: Each (B, C, l, l) in [0, 1], of a small part.
    """

    global_views: list[Tensor]
    local_views: list[Tensor]


class MultiCropViews(nn.Module):
    """Large and small random crops of the same images.

    Every view of every image is cropped by itself, then turned by a multiple of 90 degrees and
    mirrored, given another brightness and contrast, and perhaps blurred. Nothing changes its
    colour, which is the stain: neither grey, nor hue, nor solarisation, and brightness and contrast
    are those of all channels together.

    Args:
        global_size: Side g of the global views in pixels.
        local_size: Side l of the local views in pixels.
        global_count: How many global views there are of an image, at least 1.
        local_count: How many local ones.
        global_scale: Smallest and largest share of the image's area that a global view shows.
        local_scale: The same of a local view.
        brightness: Values are multiplied by a factor within 1 ± this.
        contrast: So are their distances from the mean of the view.
        blur_prob: Share of views that are blurred.
        blur_sigma: Smallest and largest standard deviation of the Gaussian in pixels of the view.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(
        self,
        global_size: int = 224,
        local_size: int = 96,
        global_count: int = 2,
        local_count: int = 6,
        global_scale: tuple[float, float] = (0.3, 1.0),
        local_scale: tuple[float, float] = (0.05, 0.3),
        brightness: float = 0.25,
        contrast: float = 0.25,
        blur_prob: float = 0.5,
        blur_sigma: tuple[float, float] = (0.1, 2.0),
    ) -> None:
        super().__init__()
        if global_count < 1 or local_count < 0 or min(global_size, local_size) < 1:
            raise ValueError(
                f"found {global_count} global views of {global_size} px and {local_count} local "
                f"ones of {local_size} px; expected at least one global view, and sizes above 0"
            )
        for name, (low, high) in (("global_scale", global_scale), ("local_scale", local_scale)):
            if not 0.0 < low <= high <= 1.0:
                raise ValueError(
                    f"{name} is ({low:g}, {high:g}); expected shares of the image's area, above 0 "
                    "and at most 1, the smaller first"
                )
        if not (0.0 <= brightness < 1.0 and 0.0 <= contrast < 1.0 and 0.0 <= blur_prob <= 1.0):
            raise ValueError(
                f"brightness is {brightness:g}, contrast {contrast:g} and blur_prob {blur_prob:g}; "
                "expected numbers from 0 to 1, the first two below 1"
            )
        if not 0.0 < blur_sigma[0] <= blur_sigma[1]:
            raise ValueError(f"blur_sigma is {blur_sigma}; expected numbers > 0, the smaller first")
        self.global_size, self.local_size = global_size, local_size
        self.global_count, self.local_count = global_count, local_count
        self.global_scale, self.local_scale = global_scale, local_scale
        self.brightness, self.contrast = brightness, contrast
        self.blur_prob, self.blur_sigma = blur_prob, blur_sigma

    @torch.no_grad()
    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Views:
        """Views of images.

        Args:
            images: float (B, C, Y, X) in [0, 1].
            generator: Of the CPU; decides everything random. None: PyTorch's own.

        Returns:
            The views, of the images' type whatever the autocast, and on their device.
        """
        with torch.autocast(images.device.type, enabled=False):
            large, small = (
                [self._view(images, size, scale, generator) for _ in range(count)]
                for count, size, scale in (
                    (self.global_count, self.global_size, self.global_scale),
                    (self.local_count, self.local_size, self.local_scale),
                )
            )
        return Views(large, small)

    def _view(
        self,
        images: Tensor,
        size: int,
        scale: tuple[float, float],
        generator: torch.Generator | None,
    ) -> Tensor:
        draw = _Draw(images, generator)
        view = resized_crops(images, size, _random_frames(draw, scale))
        view = self._appearance(view, draw)
        return self._blur(view, draw)

    def _appearance(self, view: Tensor, draw: "_Draw") -> Tensor:
        """Another brightness and contrast."""
        bright = draw.between(1 - self.brightness, 1 + self.brightness).view(-1, 1, 1, 1)
        strong = draw.between(1 - self.contrast, 1 + self.contrast).view(-1, 1, 1, 1)
        mean = view.mean(dim=(1, 2, 3), keepdim=True)
        return (((view - mean) * strong + mean) * bright).clamp_(0.0, 1.0)

    def _blur(self, view: Tensor, draw: "_Draw") -> Tensor:
        """A Gaussian blur of some images, each of its own width."""
        chosen = draw.between(0.0, 1.0) < self.blur_prob
        sigma = draw.between(*self.blur_sigma)[chosen]
        if len(sigma):
            view[chosen] = gaussian_blur(view[chosen], sigma, self.blur_sigma[1])
        return view


def resized_crops(images: Tensor, size: int, frames: Tensor) -> Tensor:
    """Parts of images, each its own, as squares of one size, by bilinear interpolation.

    Args:
        images: (B, C, Y, X).
        size: Side of the squares in pixels.
        frames: (B, 2, 3), from places in the square to places in the image; both go from -1 to 1,
            x before y, as :func:`torch.nn.functional.affine_grid` takes them.

    Returns:
        (B, C, size, size).
    """
    shape = [*images.shape[:2], size, size]
    grid = F.affine_grid(frames.to(images.dtype), shape, align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def gaussian_blur(images: Tensor, sigma: Tensor, largest: float) -> Tensor:
    """Blur images, each by a Gaussian of its own width; mirrored at the borders.

    Args:
        images: (B, C, Y, X).
        sigma: (B,), standard deviations in pixels.
        largest: The largest that there can be: kernels reach three times as far, or as far as the
            image goes.

    Returns:
        The same shape.
    """
    count, channels, height, width = images.shape
    radius = min(math.ceil(3 * largest), height - 1, width - 1)
    offset = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = (-0.5 * (offset / sigma.to(images)[:, None]).square()).exp()
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    planes = images.reshape(1, count * channels, height, width)
    planes = F.pad(planes, [radius] * 4, mode="reflect")
    planes = F.conv2d(planes, kernel[:, None, None, :], groups=count * channels)
    planes = F.conv2d(planes, kernel[:, None, :, None], groups=count * channels)
    return planes.view(images.shape)


class _Draw:
    """Random numbers, one for each image of a batch."""

    def __init__(self, images: Tensor, generator: torch.Generator | None) -> None:
        self._count, self._device, self._generator = len(images), images.device, generator

    def between(self, low: float, high: float) -> Tensor:
        """Uniform, (B,)."""
        drawn = torch.rand(self._count, generator=self._generator)
        return (low + (high - low) * drawn).to(self._device)

    def one_of(self, values: Sequence[int]) -> Tensor:
        """Any of some integers with the same probability, (B,)."""
        index = torch.randint(len(values), (self._count,), generator=self._generator)
        return torch.tensor(values)[index].to(self._device)


def _random_frames(draw: _Draw, scale: tuple[float, float]) -> Tensor:
    """Crops of random area, shape and place within the image, turned and mirrored: (B, 2, 3)."""
    area = draw.between(*scale)
    aspect = draw.between(*map(math.log, ASPECT)).exp()
    # Shares of the sides; one that would be larger than the image is as large.
    width, height = (area * aspect).sqrt().clamp(max=1.0), (area / aspect).sqrt().clamp(max=1.0)
    x, y = (draw.between(-1.0, 1.0) * (1 - side) for side in (width, height))
    quarter = draw.one_of((0, 1, 2, 3)) * (math.pi / 2)
    mirror = draw.one_of((-1, 1))
    # Exactly -1, 0 or 1, so that no pixel is interpolated that need not be.
    cosine, sine = quarter.cos().round(), quarter.sin().round()
    rows = [
        (width * cosine * mirror, -width * sine, x),
        (height * sine * mirror, height * cosine, y),
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
