"""The precisions of inference; light, as the command line offers them too."""

from __future__ import annotations

from typing import Literal

Precision = Literal["32", "bf16"]
"""Float32, or bfloat16 autocast."""
