"""Convolutional LSTM over the slices of a slab, in one direction and in both."""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""Hidden state h and cell state c, each (B, Ch, Y, X)."""


class ConvLSTMCell(nn.Module):
    """One step of a convolutional LSTM (Shi et al., NeurIPS 2015, without peepholes).

    ``i, f, o = sigmoid(W * [x, h] + b)``, ``g = tanh(W * [x, h] + b)``, ``c' = f c + i g`` and
    ``h' = o tanh(c')``, where ``*`` is one 3x3 convolution from ``in_channels + hidden_channels``
    to ``4 hidden_channels``. The forget gate's bias starts at 1, so that a cell remembers at first
    (Jozefowicz et al., ICML 2015).

    Args:
        in_channels: Channels of the input x.
        hidden_channels: Channels Ch of h and c.
    """

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.gates = nn.Conv2d(
            in_channels + hidden_channels, 4 * hidden_channels, kernel_size=3, padding=1
        )
        bias: Tensor = self.gates.bias  # type: ignore[assignment]  # a Conv2d may have none
        nn.init.zeros_(bias)
        nn.init.ones_(bias[hidden_channels : 2 * hidden_channels])

    def start(self, x: Tensor) -> State:
        """The state before the first slice: zeros.

        Args:
            x: (B, in_channels, Y, X), for size, type and device.
        """
        zeros = x.new_zeros(len(x), self.hidden_channels, *x.shape[-2:])
        return zeros, zeros

    def forward(self, x: Tensor, state: State) -> State:
        """The state (h', c') after one more slice.

        Args:
            x: (B, in_channels, Y, X).
            state: (h, c) before it.
        """
        hidden, cell = state
        gates = self.gates(torch.cat([x, hidden], dim=1))
        i, f, o, g = gates.split(self.hidden_channels, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell


class BidirectionalConvLSTM(nn.Module):
    """Two convolutional LSTMs over the slices of a slab, one from each end; outputs are summed.

    Args:
        in_channels: Channels of the slices.
        hidden_channels: Channels Ch of the output.
    """

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.ahead = ConvLSTMCell(in_channels, hidden_channels)
        self.back = ConvLSTMCell(in_channels, hidden_channels)

    def forward(self, slab: Tensor) -> Tensor:
        """Outputs (B, T, Ch, Y, X) at every slice of a slab (B, T, C, Y, X)."""
        ahead = _hidden(self.ahead, list(slab.unbind(1)))
        # What was read from the last slice on comes out from the last slice on.
        back = _hidden(self.back, list(slab.flip(1).unbind(1)))[::-1]
        return torch.stack([one + other for one, other in zip(ahead, back, strict=True)], dim=1)

    def last(self, before: Tensor, after: Tensor) -> Tensor:
        """The sum (B, Ch, Y, X) of where both directions end.

        Args:
            before: (B, T, C, Y, X), read from its first slice to its last.
            after: (B, T', C, Y, X), read from its last slice to its first.
        """
        ahead = _hidden(self.ahead, list(before.unbind(1)))
        back = _hidden(self.back, list(after.flip(1).unbind(1)))
        return ahead[-1] + back[-1]


def _hidden(cell: ConvLSTMCell, slices: list[Tensor]) -> list[Tensor]:
    """Hidden state after each of the slices, in the order in which they are read."""
    state = cell.start(slices[0])
    found = []
    for x in slices:
        state = cell(x, state)
        found.append(state[0])
    return found
