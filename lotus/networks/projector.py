"""The projector P of student features."""

from torch import Tensor, nn


class Projector(nn.Module):
    """Pixelwise projection of student features into the teacher's feature space.

    Two 1x1 convolutions (16 -> 32 -> 16 with the published U-Net). The released code's layer over
    the image *width* works at one image size only.

    Args:
        in_channels: Channels of the student's features.
        out_channels: Channels of the teacher's features.
        hidden_channels: Channels in between; twice ``in_channels`` by default.
    """

    def __init__(
        self, in_channels: int, out_channels: int, hidden_channels: int | None = None
    ) -> None:
        hidden = hidden_channels or 2 * in_channels
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, hidden, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, out_channels, kernel_size=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, D_student, Y, X) -> (B, D_teacher, Y, X)."""
        projected: Tensor = self.layers(features)
        return projected
