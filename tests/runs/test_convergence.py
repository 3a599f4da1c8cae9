"""After how many epochs a training had converged."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_lightning.callbacks import EarlyStopping

from lotus.runs.convergence import (
    Convergence,
    converged_after,
    read_convergence,
    write_convergence,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1).map(lambda value: round(value, 2)), min_size=1, max_size=12),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.booleans(),
)
def test_improvements_are_those_that_early_stopping_counts(values, min_delta, maximize):
    rule = EarlyStopping("x", min_delta, patience=99, mode="max" if maximize else "min")
    trainer = SimpleNamespace(
        callback_metrics={},
        fast_dev_run=False,
        strategy=SimpleNamespace(
            root_device=torch.device("cpu"), reduce_boolean_decision=lambda stop, all: stop
        ),
        should_stop=False,
        current_epoch=0,
        world_size=1,
    )
    last = 0
    for epoch, value in enumerate(values, start=1):
        # Values in double precision, as the curves hold them.
        trainer.callback_metrics["x"] = torch.tensor(value, dtype=torch.float64)
        rule._run_early_stopping_check(trainer)
        last = epoch if rule.wait_count == 0 else last
    assert converged_after(dict(enumerate(values)), min_delta, maximize=maximize) == last


@pytest.mark.parametrize("maximize", [False, True])
def test_what_is_less_than_the_threshold_is_no_improvement(maximize):
    sign = 1 if maximize else -1
    curve = {0: 0.5, 1: 0.5 + sign * 0.03, 2: 0.5 + sign * 0.06}
    assert converged_after(curve, 0.05, maximize=maximize) == 3
    assert converged_after(curve, 0.07, maximize=maximize) == 1


def test_epochs_without_a_value_are_passed_over():
    assert converged_after({1: 0.5, 3: 0.4, 5: float("nan"), 7: 0.41}, 1e-4) == 4
    assert converged_after({0: float("nan")}, 0.0) is None
    assert converged_after({}, 0.0) is None


def test_the_record_is_read_back_and_damage_is_named(tmp_path):
    record = Convergence(47, 37, "val_loss", 1e-4, 10, stopped=True)
    write_convergence(tmp_path / "convergence.json", record)
    assert read_convergence(tmp_path / "convergence.json") == record
    (tmp_path / "convergence.json").write_text('{"epochs": 3}')
    with pytest.raises(ValueError, match=r"convergence.json: no record of a training's"):
        read_convergence(tmp_path / "convergence.json")
