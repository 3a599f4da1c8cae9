"""RankMe against the eigenvalues of the Gram matrix, and embeddings of known rank."""

import doctest
import math

import pytest
import torch

from lotus.metrics import rank_me as module
from lotus.metrics.rank_me import rank_me


def slow_rank_me(rows):
    """Singular values as roots of the eigenvalues of XᵀX, one entropy term at a time."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    gram = torch.stack([torch.stack([a @ b for b in matrix.T]) for a in matrix.T])
    singular = [math.sqrt(max(float(value), 0.0)) for value in torch.linalg.eigvalsh(gram)]
    entropy = 0.0
    for value in singular:
        share = value / sum(singular)
        if share > 0:
            entropy -= share * math.log(share)
    return math.exp(entropy)


def test_the_example_runs():
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)


@pytest.mark.parametrize("shape", [(40, 6), (4, 9)])
def test_as_written_out(shape):
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) + 0.7
    assert float(rank_me(rows)) == pytest.approx(slow_rank_me(rows.tolist()), rel=1e-5)


def test_two_singular_values_by_hand():
    # 3 and 1: shares 3/4 and 1/4, entropy log 4 - 3/4 log 3.
    assert float(rank_me(torch.diag(torch.tensor([3.0, 1.0])))) == pytest.approx(4 / 3**0.75)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_orthogonal_directions_of_equal_weight_count_one_each(rank):
    turned, _ = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))
    assert float(rank_me(turned[:rank].repeat(3, 1))) == pytest.approx(rank)


def test_scale_and_rotation_do_not_matter_but_the_origin_does():
    rows = torch.randn(30, 5, dtype=torch.float64)
    turned, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))
    torch.testing.assert_close(rank_me(1e3 * rows @ turned), rank_me(rows))
    assert rank_me(rows + 10) < rank_me(rows)


def test_half_precision_is_not_where_it_is_computed():
    rows = torch.randn(30, 5).bfloat16()
    torch.testing.assert_close(rank_me(rows), rank_me(rows.double()))


@pytest.mark.parametrize(
    "rows", [torch.zeros(0, 4), torch.zeros(3, 4), torch.tensor([[1.0, torch.nan]])]
)
def test_what_has_no_rank(rows):
    assert math.isnan(rank_me(rows))
