"""Classes read off tokens that hold them, in part or not at all, and modalities off embeddings."""

import math

import pytest
import torch

from lotus.metrics.frozen_tiles import (
    AnnotatedTokens,
    FrozenTiles,
    domain_scores,
    patch_dice,
    patch_scores,
)

PATTERNS = torch.tensor(
    [
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]],
        [[2, 2, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0]],
        [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1]],
    ]
)


def tiles(numbers, ignored=None, tokens=None):
    """Patches of 4 px, each with the pattern of its number, which is also what its token says."""
    numbers = torch.tensor(numbers)
    mask = torch.cat(
        [torch.cat([PATTERNS[number] for number in row], dim=1)[None] for row in numbers], dim=1
    )
    said = torch.eye(len(PATTERNS))[numbers].movedim(-1, 0)[None]
    return AnnotatedTokens(said if tokens is None else tokens(said), mask, ignored)


KNOWN = [tiles([[0, 1, 2], [3, 2, 0]]), tiles([[1, 1, 3], [2, 0, 3]])]
ASKED = [tiles([[3, 0, 1], [2, 2, 1]]), tiles([[0, 3, 2], [1, 0, 1]])]


def test_tokens_that_hold_the_pattern_give_every_pixel():
    """Tiles are not square and patterns not symmetric, so no two axes can be exchanged."""
    assert patch_dice(KNOWN, ASKED, penalty=1e-6) == 1.0


def test_tokens_that_say_nothing_give_the_commonest_class_at_their_place():
    """Of two patterns, class 1 has three of four upper halves: two thirds of the upper rows."""
    known = [tiles([[1, 1, 1, 0]], tokens=torch.zeros_like)]
    asked = [tiles([[1, 0]], tokens=torch.zeros_like)]
    # Given: 1 in both upper halves, 16 px; true: 8 px, all of them given.
    assert patch_dice(known, asked) == pytest.approx(2 * 8 / (16 + 8))


def test_dice_is_the_mean_over_classes_of_all_pixels_together():
    # What is asked for are other patterns than the tokens say.
    asked = [tiles([[1, 1]]), tiles([[2, 0]])]
    wrong = [
        AnnotatedTokens(tiles([[1, 0]]).tokens, asked[0].mask),
        AnnotatedTokens(tiles([[1, 0]]).tokens, asked[1].mask),
    ]
    one = 2 * 8 / ((8 + 8) + 16)
    two = 0.0
    assert patch_dice(KNOWN, wrong, penalty=1e-6) == pytest.approx((one + two) / 2)


def test_what_is_ignored_neither_teaches_nor_counts():
    left = torch.zeros(1, 4, 8, dtype=torch.bool)
    left[:, :, :4] = True
    # On the left the masks are of other patterns than the tokens say.
    other = AnnotatedTokens(tiles([[1, 2]]).tokens, tiles([[2, 2]]).mask, left)
    assert patch_dice([*KNOWN, *[other] * 9], [*ASKED, other], penalty=1e-6) == 1.0
    counted = AnnotatedTokens(other.tokens, other.mask)
    assert patch_dice(KNOWN, [*ASKED, counted], penalty=1e-6) < 1.0


def test_cells_are_quarters_of_a_patch_or_as_many_as_divide_it():
    for patch, cells in ((16, 4), (14, 2), (7, 1)):
        mask = torch.zeros(1, 2 * patch, 3 * patch, dtype=torch.int64)
        found = AnnotatedTokens(torch.zeros(1, 5, 2, 3), mask)
        assert (found.patch, found.cells) == (patch, cells)


def test_a_seam_of_a_quarter_of_a_patch_is_seen_where_patches_are_large():
    def seam(number):
        mask = torch.zeros(1, 16, 16, dtype=torch.int64)
        mask[:, :, 4 * number : 4 * number + 4] = 1
        return AnnotatedTokens(torch.eye(3)[number][None, :, None, None], mask)

    every = [seam(number) for number in range(3)]
    # Interpolation moves borders by less than half a cell.
    assert patch_dice(every, every, penalty=1e-6) > 0.8


def seen(features, modality, annotated=None):
    return FrozenTiles(torch.tensor(features), modality, annotated)


def test_modalities_in_opposite_directions_are_told_apart():
    known = [seen([[1.0, 0.0], [0.9, 0.0]], ["a", "a"]), seen([[-1.0, 0.0]], ["b"])]
    asked = [seen([[2.0, 0.0], [-3.0, 0.0], [5.0, 1.0], [1.0, 0.0]], ["a", "b", "b", "a"])]
    found = domain_scores(known, asked, neighbours=1, penalty=1e-3)
    assert found == {"domain_knn": 0.75, "domain_linear": 0.75}


def test_more_neighbours_than_a_modality_has_still_vote_by_their_nearness():
    known = [seen([[1.0, 0.0]], ["a"]), seen([[0.0, 1.0], [-0.1, 1.0], [0.1, 1.0]], ["b"] * 3)]
    asked = [seen([[1.0, 0.1]], ["a"])]
    assert domain_scores(known, asked, neighbours=4)["domain_knn"] == 1.0


def test_a_modality_that_nobody_knows_is_told_wrongly():
    known = [seen([[1.0, 0.0], [0.0, 1.0]], ["a", "c"])]
    found = domain_scores(known, [seen([[1.0, 0.0]], ["b"])])
    assert found == {"domain_knn": 0.0, "domain_linear": 0.0}


def test_of_one_modality_there_is_nothing_to_tell():
    one = [seen([[1.0, 0.0], [0.0, 1.0]], ["a", "a"])]
    found = domain_scores(one, one)
    assert found.keys() == {"domain_knn", "domain_linear"}
    assert all(math.isnan(value) for value in found.values())


def test_patch_scores_are_of_each_modality_with_masks_in_both_sets():
    own = [seen([[0.0]], ["a"], each) for each in KNOWN]
    bare = [seen([[0.0]], ["b"])]
    only_known = [seen([[0.0]], ["c"], KNOWN[0])]
    asked = [seen([[0.0]], ["a"], each) for each in ASKED]
    unseen = [seen([[0.0]], ["c"]), seen([[0.0]], ["d"], KNOWN[0])]
    found = patch_scores([*own, *bare, *only_known], [*asked, *unseen, *bare], penalty=1e-6)
    assert found["a_patch_dice"] == found["patch_dice"] == 1.0
    assert all(math.isnan(found[f"{name}_patch_dice"]) for name in "bcd")
    assert math.isnan(patch_scores(bare, bare)["patch_dice"])


def test_an_encoder_that_has_broken_down_has_no_scores():
    def broken(tokens):
        return tokens.masked_fill(tokens > 0, math.nan)

    bad = [tiles([[0, 1]], tokens=broken)]
    assert math.isnan(patch_dice(bad, ASKED))
    assert math.isnan(patch_dice(KNOWN, bad))
    fine, bad = [seen([[1.0], [2.0]], ["a", "b"])], [seen([[1.0], [math.nan]], ["a", "b"])]
    for known, asked in ((fine, bad), (bad, fine)):
        assert all(math.isnan(value) for value in domain_scores(known, asked).values())


def test_masks_of_background_alone_have_no_dice():
    empty = [tiles([[0, 0]])]
    assert math.isnan(patch_dice(empty, empty))
