"""The closed sets that an evaluation is asked for; light, as the command line offers them too."""

from __future__ import annotations

from typing import Literal

Kind = Literal["binary", "semantic", "instances"]
"""What the values of a mask mean: foreground or not, a class each, or an object each."""

ComparisonUnit = Literal["patient", "image", "seed"]
"""What counts once in means and tests."""
