"""What an evaluation may be asked for; light, as the command line offers it too."""

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

IMAGES_PER_PROCESS = 100
"""A process takes about as long to start as to score this many images of 512 x 512 pixels."""
IMAGES_AT_A_TIME = 4
