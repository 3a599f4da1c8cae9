"""Sums of the losses of several aims."""

import math

import pytest
import torch

from lotus.losses import FixedWeights, UncertaintyWeights

TERMS = {"class": torch.tensor(3.0), "segmentation": torch.tensor(0.5)}


def test_weights_that_are_not_given_are_one():
    assert float(FixedWeights()(TERMS)) == 3.5
    assert float(FixedWeights({"class": 0.5})(TERMS)) == 2.0
    with pytest.raises(ValueError, match="weights >= 0, got -1 for class"):
        FixedWeights({"class": -1})


def test_uncertainty_weighs_down_what_is_large_and_pays_for_it():
    weighting = UncertaintyWeights()
    with torch.no_grad():
        weighting.log_variances.copy_(torch.tensor([1.0, -0.5]))
    loss = weighting(TERMS)
    expected = math.exp(-1.0) * 3.0 + 0.5 + math.exp(0.5) * 0.5 - 0.25
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    slopes = [0.5 - math.exp(-1.0) * 3.0, 0.5 - math.exp(0.5) * 0.5]
    assert weighting.log_variances.grad.tolist() == pytest.approx(slopes)


def test_a_term_that_is_absent_moves_no_weight():
    weighting = UncertaintyWeights()
    weighting({"class": torch.tensor(3.0)}).backward()
    assert weighting.log_variances.grad.tolist() == [-2.5, 0.0]
    with pytest.raises(ValueError, match="no weight for the term depth"):
        weighting({"depth": torch.tensor(1.0)})
    with pytest.raises(ValueError, match="the name of a term"):
        UncertaintyWeights([])
