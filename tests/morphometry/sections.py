"""Sections whose measures are known: half planes, bands, discs and rings at any angle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def turned(size: int, degrees: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places along and across a direction through a point beside the middle of a square image."""
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    angle = np.radians(degrees)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return along + 0.013, across + 0.017


def band(
    size: int, degrees: float, width: float, middle: float = 0.0, half_length: float = 1e6
) -> Mask:
    """A straight label."""
    along, across = turned(size, degrees)
    return (np.abs(across - middle) < width / 2) & (np.abs(along) < half_length)


def polar(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radius and angle (from -π to π) about the middle of a square image."""
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    return np.hypot(y, x), np.arctan2(y, x)
