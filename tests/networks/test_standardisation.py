import pytest
import torch

from lotus.networks import standard_deviation, standardised


def test_features_by_hand():
    # Channel 0 holds 1 and 3, over the batch: mean 2, SD 1. Channel 1 holds 0 and 8: 4 and 4.
    features = torch.tensor([[[[1.0]], [[0.0]]], [[[3.0]], [[8.0]]]])
    expected = torch.tensor([[[[-1.0]], [[-1.0]]], [[[1.0]], [[1.0]]]])
    torch.testing.assert_close(standardised(features), expected)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_channel_that_is_nearly_off_stays_small_at_any_scale(scale):
    # The mean variance of 4, 0 and 2 is 2, a hundredth of its root 0.01 * sqrt(2).
    variance = torch.tensor([4.0, 0.0, 2.0]) * scale**2
    expected = torch.tensor([2.0, 0.01 * 2**0.5, 2**0.5]) * scale
    torch.testing.assert_close(standard_deviation(variance), expected)


def test_constant_features_become_zero_with_a_finite_gradient():
    features = torch.full((2, 3, 4, 4), 7.0, requires_grad=True)
    found = standardised(features)
    assert not found.any()
    found.square().sum().backward()
    assert features.grad.isfinite().all()


def test_gradient_flows_through_mean_and_deviation():
    features = torch.rand(2, 3, 4, 4, dtype=torch.float32).requires_grad_()
    standardised(features).square().mean().backward()
    # The mean square is 1 whatever the features are.
    assert features.grad.abs().max() < 1e-6
