"""Resampled and exchanged patients, against resampling as it is described."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lotus.evaluation.classification import at_level, classification_scores
from lotus.evaluation.patient_resampling import (
    accuracy_interval,
    bootstrap_over_patients,
    exchange_test,
)
from lotus.evaluation.patient_sums import PatientSums
from tests.evaluation.test_classification import GROUPS, patches


def drawn(cases, patients):
    """The cases of patients as often as they were drawn."""
    return pd.concat([cases[cases["patient"] == patient] for patient in patients])


@pytest.mark.parametrize("level", ["patch", "slice", "patient"])
@pytest.mark.parametrize("groups", [GROUPS, GROUPS[:2]])
def test_sums_give_the_scores_of_the_drawn_cases(groups, level):
    cases = at_level(patches(groups=groups), level)
    patients = sorted(cases["patient"].unique())
    weights = np.array([[1, 1, 1, 1, 1, 1, 1], [2, 0, 1, 1, 3, 1, 1], [1, 1, 1, 0, 0, 0, 0]])
    found = PatientSums.of(cases, patients).scores(weights)
    for row, times in enumerate(weights):
        own = drawn(cases, np.repeat(patients, times))
        expected = classification_scores(own)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(
            expected, abs=1e-5
        )


def test_sums_without_a_case_of_a_group():
    cases = patches()
    found = PatientSums.of(cases, sorted(cases["patient"].unique())).scores(
        np.array([[1, 1, 0, 1, 0, 0, 0]])
    )
    undefined = {name for name, values in found.items() if np.isnan(values[0])}
    assert undefined == {"precision", "recall", "f1", "auroc"}


def test_whole_patients_are_drawn_and_groups_keep_their_size():
    """Every resample there is, weighed by how often it comes, has these percentiles."""
    cases = patches(6, GROUPS[:2], n=3)
    right = (cases["group"] == cases["predicted"]).groupby(cases["patient"]).mean()
    of = {group: right[cases[cases["group"] == group]["patient"].unique()] for group in GROUPS[:2]}
    values = [
        np.mean([*ill, *well])  # all patients have equally many patches
        for ill in itertools.product(of["ill"], repeat=3)
        for well in itertools.product(of["well"], repeat=3)
    ]
    assert len(values) == 27 * 27
    found = bootstrap_over_patients(cases, n=20_000)["accuracy"]
    low, high = np.percentile(values, [2.5, 97.5])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))
    assert bootstrap_over_patients(cases) == bootstrap_over_patients(cases)


def test_an_interval_over_patients_is_wider_than_one_over_patches():
    """Patches of a patient that are all alike are one observation."""
    cases = patches(6, GROUPS[:2], n=50).copy()
    is_right = cases["patient"].isin(["P0", "P1", "P2"])
    other = {"ill": "well", "well": "ill"}
    cases["predicted"] = cases["group"].where(is_right, cases["group"].map(other))
    found = bootstrap_over_patients(cases)["accuracy"]
    assert found.high - found.low > 0.6


def test_all_exchanges_of_few_patients():
    method, reference = patches(4, GROUPS[:2], seed=1), patches(4, GROUPS[:2], seed=2)
    found = exchange_test(method, reference)
    patients = sorted(method["patient"].unique())
    differences = {name: [] for name in found}
    for choice in itertools.product([False, True], repeat=4):
        swapped = {patient for patient, is_in in zip(patients, choice, strict=True) if is_in}
        pair = []
        for here, there in ((method, reference), (reference, method)):
            kept = here[~here["patient"].isin(swapped)]
            taken = there[there["patient"].isin(swapped)]
            pair.append(classification_scores(pd.concat([kept, taken])))
        for name, values in differences.items():
            values.append(pair[0][name] - pair[1][name])
    for name, values in differences.items():
        assert found[name].n == 4
        assert found[name].difference == pytest.approx(values[0], abs=1e-5)
        p = np.mean([abs(value) >= abs(values[0]) - 1e-6 for value in values])
        assert found[name].p == pytest.approx(p), name


def test_a_method_does_not_differ_from_itself():
    cases = patches(14, GROUPS[:2], n=1)
    found = exchange_test(cases, cases, n=99)
    assert {(test.difference, test.p) for test in found.values()} == {(0.0, 1.0)}


def test_random_exchanges_of_many_patients():
    """As many as 20 patients better: p is near 2 / 2^20, and never below 1 / (n + 1)."""
    worse = patches(20, GROUPS[:2], n=1)
    worse = worse.assign(predicted=worse["group"].map({"ill": "well", "well": "ill"}))
    better = worse.assign(predicted=worse["group"])
    found = exchange_test(better, worse, n=199)["accuracy"]
    assert (found.n, found.difference, found.p) == (20, 1.0, pytest.approx(1 / 200))


def test_seeds_of_a_patient_are_exchanged_together():
    """Three seeds of four patients are four units, not twelve: no p-value is below 2 / 2^4."""
    bad = patches(4, GROUPS[:2], n=1).assign(seed=0)
    bad["predicted"] = bad["group"].map({"ill": "well", "well": "ill"})
    bad = pd.concat([bad.assign(seed=seed) for seed in range(3)])
    good = bad.assign(predicted=bad["group"])
    found = exchange_test(good, bad)["accuracy"]
    assert (found.n, found.p) == (4, 2 / 16)


def test_the_exact_interval_of_patients():
    found = accuracy_interval(0, 3)
    assert (found.low, found.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 3)))
