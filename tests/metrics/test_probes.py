"""Probes of frozen features against loops, and against what makes a fit the best one."""

import doctest
import math

import pytest
import torch

from lotus.metrics import probes
from lotus.metrics.probes import cell_shares, fit_linear_probe, neighbour_votes

SEED = torch.Generator().manual_seed(5)
KNOWN = torch.randn(12, 3, generator=SEED, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 1] * 3)
QUERIES = torch.randn(7, 3, generator=SEED, dtype=torch.float64)


def test_the_examples_run():
    found = doctest.testmod(probes)
    assert (found.failed, found.attempted > 9) == (0, True)


def slow_votes(query, neighbours, temperature):
    length = math.sqrt(sum(x * x for x in query))
    ranked = []
    for row, label in zip(KNOWN.tolist(), LABELS.tolist(), strict=True):
        cosine = sum(a * b for a, b in zip(query, row, strict=True))
        cosine /= length * math.sqrt(sum(x * x for x in row))
        ranked.append((cosine, label))
    ranked.sort(reverse=True)
    votes = [0.0, 0.0, 0.0]
    for cosine, label in ranked[:neighbours]:
        votes[label] += math.exp(cosine / temperature)
    return [vote / sum(votes) for vote in votes]


@pytest.mark.parametrize(("neighbours", "temperature"), [(1, 0.07), (4, 0.07), (5, 1.0)])
def test_votes_as_written_out(neighbours, temperature):
    options = {"neighbours": neighbours, "temperature": temperature}
    found = neighbour_votes(KNOWN, LABELS, QUERIES, classes=3, **options)
    wanted = [slow_votes(query, **options) for query in QUERIES.tolist()]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


def test_all_vote_where_there_are_fewer_than_asked_for():
    found = neighbour_votes(KNOWN, LABELS, QUERIES, classes=4, neighbours=99)
    torch.testing.assert_close(
        found[:, :3], neighbour_votes(KNOWN, LABELS, QUERIES, classes=3, neighbours=12)
    )
    assert not found[:, 3].any()


def test_lengths_do_not_vote():
    lengths = torch.arange(1.0, 13, dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        neighbour_votes(KNOWN * lengths, LABELS, 5 * QUERIES, classes=3),
        neighbour_votes(KNOWN, LABELS, QUERIES, classes=3),
    )


@pytest.mark.parametrize("penalty", [1e-2, 0.5])
def test_no_better_linear_probe_can_be_had(penalty):
    """The gradient of the objective, written by hand for standardised features, is zero."""
    known = KNOWN * torch.tensor([1.0, 20.0, 0.1], dtype=torch.float64) + 4
    shares = torch.rand(12, 2, 3, generator=SEED, dtype=torch.float64)
    shares /= shares.sum(dim=-1, keepdim=True)
    probe = fit_linear_probe(known, shares, penalty=penalty)
    standard = (known - known.mean(dim=0)) / known.std(dim=0, correction=0)
    weight = (probe.weight * known.std(dim=0, correction=0)).reshape(2, 3, 3)
    excess = probe(known).softmax(dim=-1) - shares
    for spoken_of in range(2):
        for kind in range(3):
            wrong = excess[:, spoken_of, kind]
            assert float(wrong.sum()) == pytest.approx(0, abs=1e-4)
            gradient = (wrong[:, None] * standard).sum(dim=0) / (12 * 2)
            pulled = -penalty * weight[spoken_of, kind]
            torch.testing.assert_close(gradient, pulled, atol=1e-5, rtol=0)


def test_a_probe_does_not_depend_on_units():
    targets = torch.eye(3, dtype=torch.float64)[LABELS]
    torch.testing.assert_close(
        fit_linear_probe(KNOWN * 300 - 7, targets)(QUERIES * 300 - 7),
        fit_linear_probe(KNOWN, targets)(QUERIES),
        atol=1e-3,
        rtol=0,
    )


def test_what_is_not_known_teaches_nothing():
    targets = torch.eye(3, dtype=torch.float64)[LABELS]
    targets[6:] = 0
    found = fit_linear_probe(KNOWN, targets)
    other = KNOWN.clone()
    other[6:] = KNOWN[6:].flip(0)
    torch.testing.assert_close(fit_linear_probe(other, targets).weight, found.weight)


def test_a_dimension_that_is_always_the_same_gets_no_weight():
    known = torch.cat((KNOWN, torch.full((12, 1), 0.3, dtype=torch.float64)), dim=1)
    probe = fit_linear_probe(known, torch.eye(3, dtype=torch.float64)[LABELS])
    assert not probe.weight[:, 3].any()
    assert probe(known).isfinite().all()


def test_probes_are_fitted_in_inference_mode():
    with torch.inference_mode():
        targets = torch.eye(3, dtype=torch.float64)[LABELS]
        within = fit_linear_probe(KNOWN.clone(), targets)(QUERIES)
    torch.testing.assert_close(
        within, fit_linear_probe(KNOWN, torch.eye(3, dtype=torch.float64)[LABELS])(QUERIES)
    )


def test_shares_of_cells_as_counted():
    mask = torch.randint(0, 3, (2, 6, 9), generator=SEED)
    ignored = torch.rand(2, 6, 9, generator=SEED) < 0.3
    found = cell_shares(mask, 3, classes=4, ignored=ignored)
    assert found.shape == (2, 2, 3, 4)
    for image in range(2):
        for row in range(2):
            for column in range(3):
                window = (image, slice(3 * row, 3 * row + 3), slice(3 * column, 3 * column + 3))
                for kind in range(4):
                    count = ((mask[window] == kind) & ~ignored[window]).sum()
                    assert float(found[image, row, column, kind]) == pytest.approx(int(count) / 9)
