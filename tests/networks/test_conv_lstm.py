"""Convolutional LSTMs against the same steps in plain loops."""

import math

import pytest
import torch

from lotus.networks import BidirectionalConvLSTM, ConvLSTMCell


def sigmoid(value):
    return 1 / (1 + (-value).exp())


def step_in_loops(weight, bias, x, hidden, cell):
    """h' and c' of one step, voxel by voxel; gates in the order i, f, o, g."""
    channels, height, width = hidden.shape
    inputs = [*x, *hidden]

    def gate(number, y, x):
        total = bias[number]
        for source, plane in enumerate(inputs):
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        total = (
                            total + weight[number, source, dy + 1, dx + 1] * plane[y + dy, x + dx]
                        )
        return total

    new_hidden, new_cell = torch.zeros_like(hidden), torch.zeros_like(cell)
    for k in range(channels):
        for y in range(height):
            for x in range(width):
                i, f, o = (sigmoid(gate(n * channels + k, y, x)) for n in range(3))
                g = torch.tanh(gate(3 * channels + k, y, x))
                new_cell[k, y, x] = f * cell[k, y, x] + i * g
                new_hidden[k, y, x] = o * torch.tanh(new_cell[k, y, x])
    return new_hidden, new_cell


def test_a_step_and_its_gradients_are_those_of_plain_loops():
    lstm = ConvLSTMCell(2, 2).double()
    sizes = {"x": (2, 3, 4), "hidden": (2, 3, 4), "cell": (2, 3, 4)}
    given = {name: torch.randn(size).double().requires_grad_() for name, size in sizes.items()}
    leaves = [*given.values(), lstm.gates.weight, lstm.gates.bias]

    found = lstm(given["x"][None], (given["hidden"][None], given["cell"][None]))
    expected = step_in_loops(lstm.gates.weight, lstm.gates.bias, **given)
    weights = [torch.randn(2, 3, 4).double() for _ in range(2)]
    for values in (found, expected):
        loss = sum((w * v.squeeze(0)).sum() for w, v in zip(weights, values, strict=True))
        gradients = torch.autograd.grad(loss, leaves)
        if values is found:
            first = gradients
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one[0], other)
    for one, other in zip(first, gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_a_cell_remembers_at_first():
    lstm = ConvLSTMCell(1, 3)
    assert lstm.gates.bias.tolist() == [0] * 3 + [1] * 3 + [0] * 6
    torch.nn.init.zeros_(lstm.gates.weight)
    hidden, cell = lstm(torch.zeros(1, 1, 4, 4), (torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)))
    kept = 1 / (1 + math.exp(-1))
    assert cell.unique().tolist() == pytest.approx([kept])
    assert hidden.unique().tolist() == pytest.approx([0.5 * math.tanh(kept)])


def run(cell, slices):
    """Hidden states of a cell over slices, in the order in which it reads them."""
    state, found = cell.start(slices[0]), []
    for x in slices:
        state = cell(x, state)
        found.append(state[0])
    return found


def test_both_directions_are_aligned_slice_by_slice():
    lstm, slab = BidirectionalConvLSTM(2, 3), torch.randn(2, 4, 2, 5, 6)
    slices = list(slab.unbind(1))
    ahead, back = run(lstm.ahead, slices), run(lstm.back, slices[::-1])
    found = lstm(slab)
    assert found.shape == (2, 4, 3, 5, 6)
    for number in range(4):
        # The state of the backward cell at slice n is the one after T - n slices.
        torch.testing.assert_close(found[:, number], ahead[number] + back[3 - number])
    torch.testing.assert_close(lstm.last(slab, slab), ahead[-1] + back[-1])


def test_reversed_slices_and_exchanged_directions_give_reversed_outputs():
    lstm, slab = BidirectionalConvLSTM(2, 3), torch.randn(1, 5, 2, 6, 6)
    exchanged = BidirectionalConvLSTM(2, 3)
    exchanged.ahead.load_state_dict(lstm.back.state_dict())
    exchanged.back.load_state_dict(lstm.ahead.state_dict())
    torch.testing.assert_close(exchanged(slab.flip(1)).flip(1), lstm(slab))


def test_every_slice_reaches_every_output():
    lstm = BidirectionalConvLSTM(1, 2)
    slab = torch.randn(1, 4, 1, 5, 5, requires_grad=True)
    for output in range(4):
        (gradient,) = torch.autograd.grad(lstm(slab)[:, output].sum(), slab)
        assert (gradient.abs().sum(dim=(0, 2, 3, 4)) > 0).all()
