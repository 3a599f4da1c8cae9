"""Sweep files: what is drawn, and what is refused."""

import numpy as np
import pytest

from lotus.sweeps import read_sweep
from lotus.sweeps.distributions import distribution_of
from lotus.sweeps.schema import EarlyTerminate

SWEEP = """
method: random
metric: {name: val_dice, goal: maximize}
parameters:
  model.a: {min: 1, max: 3}
  model.b: {values: [x, y]}
early_terminate: {type: hyperband, max_iter: 27, s: 2}
run_cap: 7
program: lotus
command: [lotus, fit]
"""


def drawn(content, count=4000):
    distribution = distribution_of("key", content)
    random = np.random.default_rng(0)
    return [distribution.draw(random) for _ in range(count)]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"value": 3}, "constant"),
        ({"values": [1, 2]}, "categorical"),
        ({"min": 1, "max": 3}, "int_uniform"),
        ({"min": 1.0, "max": 3}, "uniform"),
        ({"values": [1, 2], "probabilities": [0.1, 0.9]}, "categorical_w_probabilities"),
    ],
)
def test_the_default_distributions_are_those_of_wandb(content, name):
    assert distribution_of("key", content).name == name


def test_uniform_values_fill_their_range():
    values = np.array(drawn({"min": -2.0, "max": 6.0}))
    assert -2 <= values.min() < -1.9
    assert 5.9 < values.max() <= 6
    assert values.mean() == pytest.approx(2, abs=0.2)


def test_whole_numbers_include_both_ends_equally():
    values, counts = np.unique(drawn({"min": 1, "max": 3}), return_counts=True)
    assert values.tolist() == [1, 2, 3]
    assert counts / 4000 == pytest.approx([1 / 3] * 3, abs=0.05)


def test_logarithms_are_uniform_and_limits_may_be_texts():
    content = {"distribution": "log_uniform_values", "min": "1e-4", "max": "1e-2"}
    exponents = np.log10(drawn(content))
    assert exponents.min() >= -4
    assert exponents.max() <= -2
    assert np.histogram(exponents, bins=4)[0] / 4000 == pytest.approx([0.25] * 4, abs=0.05)


def test_quantised_values_are_multiples():
    values = drawn({"distribution": "q_uniform", "min": 0, "max": 10, "q": 5})
    assert set(values) == {0, 5, 10}
    assert {type(value) for value in values} == {int}
    logs = drawn({"distribution": "q_log_uniform_values", "min": 1, "max": 8, "q": 0.5})
    assert all(value * 2 == int(value * 2) for value in logs)
    assert np.median(logs) == pytest.approx(np.sqrt(8), abs=0.5)


def test_normal_values_and_probabilities_are_as_said():
    values = drawn({"distribution": "normal", "mu": 3, "sigma": 0.5})
    assert (np.mean(values), np.std(values)) == pytest.approx((3, 0.5), abs=0.05)
    logs = np.log(drawn({"distribution": "log_normal", "sigma": 2}))
    assert (np.mean(logs), np.std(logs)) == pytest.approx((0, 2), abs=0.1)
    chosen = drawn({"values": ["a", "b"], "probabilities": [0.2, 0.8]})
    assert chosen.count("b") / 4000 == pytest.approx(0.8, abs=0.03)


def test_a_sweep_is_read(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    sweep = read_sweep(path)
    assert (sweep.method, sweep.metric, sweep.maximize) == ("random", "val_dice", True)
    assert sweep.run_cap == 7
    assert list(sweep.parameters) == ["model.a", "model.b"]
    # Rungs of s = 2 brackets of 27 validations: at 27/3 and 27/9.
    assert sweep.early_terminate == EarlyTerminate(min_iter=3, eta=3)


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        ("method: random", "method: guess", "method is guess; expected grid, random, bayes"),
        ("val_dice", "test_dice", "test_dice.*begins with val_"),
        ("maximize", "largest", "goal is largest"),
        ("max: 3", "max: 0", "model.a has min 1, max 0"),
        ("{min: 1, max: 3}", "{min: 1}", "model.a has min; uniform expects max, min"),
        ("{min: 1, max: 3}", "{distribution: beta}", "model.a has the distribution beta"),
        ("{min: 1, max: 3}", "{parameters: {c: {value: 1}}}", "keys with dots"),
        ("{min: 1, max: 3}", "7", "model.a is 7"),
        ("[x, y]", "[]", "model.b has values"),
        ("{values: [x, y]}", "{distribution: log_uniform_values, min: 0, max: 1}", "0 < min"),
        ("hyperband", "median", "expected type: hyperband"),
        ("max_iter: 27, s: 2", "eta: 3", "min_iter, or with max_iter and s"),
        ("run_cap", "runs", "unknown key runs"),
        ("parameters:", "parameter:", "expected method, metric and parameters"),
        ("values: [x", "values: [x]]", "sweep.yaml"),
        ("min: 1,", "min: null,", "model.a has min None; expected a number"),
        ("min: 1,", "min: [1],", r"model.a has min \[1\]; expected a number"),
        ("min: 1,", "min: true,", "model.a has min True; expected a number"),
        ("max: 3", "max: .inf", "model.a has max inf; expected a number"),
        ("{min: 1,", "{distribution: int_uniform, min: 1.5,", "int_uniform expects whole numbers"),
        ("{min: 1,", "{distribution: [x], min: 1,", r"model.a has the distribution \['x'\]; exp"),
        ("{min: 1,", "{distribution: q_uniform, q: x, min: 1,", "model.a has q x; expected a n"),
        ("{min: 1,", "{distribution: q_uniform, q: 0, min: 1,", "model.a has q 0; expected more"),
        (
            "{min: 1, max: 3}",
            "{distribution: normal, sigma: -1}",
            "model.a has sigma -1.*more than",
        ),
        ("[x, y]", "[x, y], probabilities: [1]", r"model.b has probabilities \[1\]; .* the 2 val"),
        ("[x, y]", "[x, y], probabilities: [0.5, 0.6]", "probabilities .*1 together"),
        ("[x, y]", "[x, y], probabilities: [a, b]", "model.b has probabilities"),
        ("s: 2", 's: 2, eta: "3"', "early_terminate has eta 3; expected a number above 1"),
        ("s: 2", "s: 2, eta: 0", "early_terminate has eta 0; expected a number above 1"),
        ("s: 2", "s: 2, eta: 1", "early_terminate has eta 1; expected a number above 1"),
        ("s: 2", "s: x", "s is x; expected a whole number of at least 1"),
        ("max_iter: 27, s: 2", "min_iter: null", "min_iter is None; expected a whole number"),
        ("run_cap: 7", "run_cap: many", "run_cap is many; expected a whole number of at least 1"),
        ("run_cap: 7", "run_cap: 0", "run_cap is 0; expected a whole number of at least 1"),
    ],
)
def test_what_is_not_of_the_schema_is_refused(found, instead, message, tmp_path):
    assert found in SWEEP
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP.replace(found, instead))
    with pytest.raises(ValueError, match=message):
        read_sweep(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no sweep at"):
        read_sweep(tmp_path / "sweep.yaml")
