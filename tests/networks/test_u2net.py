import pytest
import torch

from lotus.networks import U2Net
from lotus.networks.u2net import ResidualUBlock

TINY = {"encoder_filters": [[2, 4]] * 6, "decoder_filters": [[2, 4]] * 5}
SMALL = {"encoder_filters": [[16, 64]] * 6, "decoder_filters": [[16, 64]] * 5}


@pytest.mark.parametrize(("arguments", "published"), [({}, 44.0), (SMALL, 1.13)])
def test_published_size(arguments, published):
    count = sum(weight.numel() for weight in U2Net(**arguments).parameters()) / 1e6
    digits = 1 if published == 44.0 else 2
    assert round(count, digits) == published


@pytest.mark.parametrize("size", [(32, 32), (20, 37), (5, 9), (1, 1)])
def test_seven_outputs_of_the_size_of_the_image(size):
    network = U2Net(in_channels=1, out_channels=3, **TINY).eval()
    outputs = network(torch.rand(2, 1, *size))
    assert [output.shape for output in outputs] == [(2, 3, *size)] * 7
    assert all(output.isfinite().all() for output in outputs)


def test_the_first_output_fuses_the_others():
    network = U2Net(out_channels=2, **TINY).eval()
    fused, *sides = network(torch.rand(1, 3, 40, 40))
    torch.testing.assert_close(fused, network.fuse(torch.cat(sides, dim=1)))


def test_sides_come_finest_first():
    # Between the centres of its pixels a map up-sampled by a stride is linear: of `stride` second
    # differences in a row all but two vanish; more where a side happens to be constant.
    torch.manual_seed(1)
    network = U2Net(**TINY).eval()
    _, *sides = network(torch.rand(1, 3, 128, 128))
    for level, side in enumerate(sides):
        second = side.diff(dim=-1, n=2).abs()
        linear = (second < 1e-3 * second.max()).float().mean()
        assert linear == pytest.approx(max(0, 1 - 2 / 2**level), abs=0.1)


def test_gradient_reaches_every_weight():
    network = U2Net(**TINY)
    torch.stack(network(torch.rand(2, 3, 64, 64))).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def test_a_block_adds_its_u_to_its_input():
    block = ResidualUBlock(3, 2, 4, (1, 1, 2), torch.nn.MaxPool2d(2, ceil_mode=True)).eval()
    last = block.decoder[0][1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    image = torch.rand(1, 3, 9, 9)
    torch.testing.assert_close(block(image), block.input(image))


@pytest.mark.parametrize(("depth", "level"), [(7, 0), (6, 1), (5, 2), (4, 3), (4, 4), (4, 5)])
def test_blocks_have_the_published_depths(depth, level):
    block = U2Net(**TINY).encoder[level]
    assert len(block.encoder) + 1 == depth
    pooled = isinstance(block.pool, torch.nn.MaxPool2d)
    assert pooled == (level < 4)
    assert block.bottom[0].dilation == ((2, 2) if pooled else (8, 8))


@pytest.mark.parametrize(
    "arguments",
    [{"encoder_filters": [[2, 4]] * 5}, {"decoder_filters": [[2, 4, 8]] * 5}],
)
def test_wrong_numbers_of_blocks_are_refused(arguments):
    with pytest.raises(ValueError, match="six encoder and five decoder blocks, got"):
        U2Net(**(TINY | arguments))
