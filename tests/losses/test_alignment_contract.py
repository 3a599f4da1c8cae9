"""What every alignment keeps, asked of each."""

from lotus.losses import ClassAlignment, PixelAlignment
from tests.contracts.alignments import AlignmentContract


class TestPixelAlignment(AlignmentContract):
    implementation = PixelAlignment
    is_of_pairs = True


class TestClassAlignment(AlignmentContract):
    implementation = ClassAlignment
    is_of_pairs = False
