import pytest
import torch

from lotus.networks.padding import pad_to_multiple


def test_an_image_that_fits_is_returned_as_it_is():
    image = torch.rand(1, 2, 8, 16)
    assert pad_to_multiple(image, 8) is image


def test_the_image_is_mirrored_below_and_to_the_right():
    image = torch.arange(6.0).view(1, 1, 2, 3)
    expected = torch.tensor([[0.0, 1, 2, 1], [3, 4, 5, 4]])
    torch.testing.assert_close(pad_to_multiple(image, 2)[0, 0], expected)


def test_the_border_of_an_image_smaller_than_its_padding_is_repeated():
    image = torch.tensor([[[[1.0, 2.0]]]])
    padded = pad_to_multiple(image, 4)[0, 0]
    assert padded.tolist() == [[1, 2, 2, 2]] * 4


@pytest.mark.parametrize(
    ("size", "minimum", "expected"),
    [((5, 9), 1, (8, 12)), ((5, 9), 8, (8, 12)), ((1, 20), 16, (16, 20))],
)
def test_sides_are_multiples_and_not_below_the_minimum(size, minimum, expected):
    image = torch.rand(2, 3, *size)
    padded = pad_to_multiple(image, 4, minimum=minimum)
    assert padded.shape[-2:] == expected
    torch.testing.assert_close(padded[..., : size[0], : size[1]], image)
