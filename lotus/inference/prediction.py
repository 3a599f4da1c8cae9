"""From raw windows of an image file to class probabilities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lotus.imaging import Slide, check_usable
from lotus.inference.precision import Precision
from lotus.inference.segmenter import Segmenter, TakesImages
from lotus.transforms import IntensityRange, rescale
from lotus.transforms.resampling import Resampling
from lotus.windows import ReadRows, network_input

Normalise = Callable[[NDArray[Any]], NDArray[np.float32]]

SAMPLE_PIXELS = 2**22
"""Pixels that the intensity limits of a larger image are taken from; smaller ones are used whole.
"""


def check_channels(slide: Slide, segmenter: TakesImages) -> None:
    """Refuse an image that the network cannot take; grey images are repeated to RGB.

    Raises:
        ValueError: The numbers of channels differ, and the image has more than one.
    """
    if slide.channels not in (1, segmenter.in_channels):
        wanted = "grey (1)" if segmenter.in_channels == 1 else f"{segmenter.in_channels} or 1"
        raise ValueError(
            f"{slide.path} has {slide.channels} channels; the network of this checkpoint takes "
            f"{wanted}"
        )


def open_pixels(
    slide: Slide, segmenter: TakesImages, grids: Resampling | None = None
) -> tuple[ReadRows, Normalise]:
    """How to read rows of an image, and how to turn what was read into network input.

    An :class:`~lotus.transforms.IntensityRange` finds its limits once, on pixels from all over the
    image, and every window is rescaled between them. Any other preprocessing depends on more than
    single pixels: the image is read and preprocessed whole.

    Args:
        slide: An open image; it must stay open as long as rows are read.
        segmenter: Holds the preprocessing.
        grids: How what was preprocessed is resampled; None leaves it as it is.

    Returns:
        ``read_rows(start, stop) -> (C, rows, X)``, and the function that maps windows
        (B, C, Y, X) of such rows to float32 in [0, 1].

    Raises:
        ValueError: The image is constant, or without a finite value, or the preprocessing does
            not take it.
    """
    read_rows, normalise = _as_it_is(slide, segmenter)
    if grids is None:
        return read_rows, normalise

    def prepared(start: int, stop: int) -> NDArray[np.float32]:
        return normalise(read_rows(start, stop))

    return partial(grids.rows, prepared), np.asarray


def _as_it_is(slide: Slide, segmenter: TakesImages) -> tuple[ReadRows, Normalise]:
    height, width = slide.shape
    preprocessing = segmenter.preprocessing
    try:
        if isinstance(preprocessing, IntensityRange):
            sample = slide.sample(SAMPLE_PIXELS)
            check_usable(np.moveaxis(sample, 0, -1), slide.path)
            low, high = preprocessing.limits(sample)
            return (
                lambda start, stop: slide.read(start, 0, stop - start, width),
                partial(rescale, low=low, high=high),
            )
        whole = slide.read(0, 0, height, width)
        check_usable(np.moveaxis(whole, 0, -1), slide.path)
        prepared = preprocessing(whole)
        return lambda start, stop: prepared[:, start:stop], np.asarray
    except ValueError as error:
        named = str(slide.path) in str(error)
        raise error if named else ValueError(f"{slide.path}: {error}") from error


class Predictor:
    """Maps raw windows to probabilities on the segmenter's device.

    Args:
        segmenter: Networks and device.
        normalise: Raw windows to float32 in [0, 1].
        precision: "32", or "bf16" for bfloat16 autocast.
        done: Called with the number of windows after each batch.

    Raises:
        ValueError: Another precision.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        normalise: Normalise,
        precision: Precision,
        done: Callable[[int], object],
    ) -> None:
        if precision not in get_args(Precision):
            raise ValueError(f"precision is {precision!r}; expected one of {get_args(Precision)}")
        self._networks = [
            network.to(memory_format=torch.channels_last) for network in segmenter.networks
        ]
        self._activate = segmenter.instances.activate
        self._channels = segmenter.in_channels
        self._device = segmenter.device
        self._autocast = precision == "bf16"
        self._normalise = normalise
        self._done = done

    def __call__(self, windows: NDArray[Any]) -> Tensor:
        """Activated outputs (B, K, Y, X) of raw windows (B, C, Y, X), the mean over the networks.

        Of a network with deep supervision the finest output is used.
        """
        # Both contexts hold for one thread only, so they are entered in the one that computes.
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast),
        ):
            image = network_input(self._normalise(windows), self._channels, self._device)
            outputs = torch.stack([self._activated(network(image)) for network in self._networks])
        self._done(len(windows))
        return outputs.mean(dim=0)

    def _activated(self, output: Any) -> Tensor:
        return self._activate(output[0] if isinstance(output, list | tuple) else output)
