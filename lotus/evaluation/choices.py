"""The closed sets that an evaluation is asked for; light, as the command line offers them too."""

from __future__ import annotations

from typing import Literal

Kind = Literal["binary", "semantic", "instances"]
"""What the values of a mask mean: foreground or not, a class each, or an object each."""

ComparisonUnit = Literal["patient", "image", "seed"]
"""What counts once in means and tests."""

Level = Literal["patch", "slice", "patient"]
"""What a classification is of: a patch, or all patches of a slice or of a patient together."""

VotingRule = Literal["majority", "mean"]
"""How patches decide together: the group with most votes, or of the highest mean probability."""
