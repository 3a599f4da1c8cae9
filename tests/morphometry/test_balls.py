import numpy as np
import pytest

from lotus.morphometry.balls import paint_balls, ridge
from lotus.morphometry.distance import squared_distances
from tests.morphometry.bodies import ball, blobs

CUBES = (1.0, 1.0, 1.0)


def covered(centres, squares, refinement, mask):
    """The largest ball that holds each voxel, ball by ball."""
    voxels = np.argwhere(mask)
    found = np.zeros(mask.shape)
    for centre, square in zip(centres, squares, strict=True):
        near = ((voxels * refinement - centre) ** 2).sum(axis=1) <= square
        inside = tuple(voxels[near].T)
        found[inside] = np.maximum(found[inside], square)
    return found


@pytest.mark.parametrize("refinement", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_ridge_covers_what_all_centres_cover(seed, refinement):
    mask = blobs(seed, share=0.9)
    squares = squared_distances(mask, CUBES, refinement=refinement)
    everywhere = np.argwhere(squares > 0)
    centres = ridge(squares, CUBES, refinement, 0, len(squares))
    assert 0 < len(centres) < len(everywhere)
    kept, every = (
        covered(points, squares[tuple(points.T)], refinement, mask)
        for points in (centres, everywhere)
    )
    assert np.array_equal(kept, every)


def test_the_middle_of_a_ball_covers_its_neighbours():
    squares = squared_distances(ball(15), CUBES)
    centres = ridge(squares, CUBES, 1, 0, len(squares))
    near = centres[np.abs(centres - 9).sum(axis=1) <= 1]
    assert near.tolist() == [[9, 9, 9]]


def test_the_ridge_of_some_planes_is_that_part_of_the_whole():
    squares = squared_distances(blobs(0), CUBES)
    whole = ridge(squares, CUBES, 1, 0, len(squares))
    part = ridge(squares, CUBES, 1, 2, 5)
    assert part.tolist() == [centre for centre in whole.tolist() if 2 <= centre[0] < 5]


@pytest.mark.parametrize("refinement", [1, 2])
def test_balls_are_painted_wherever_they_reach(refinement):
    random = np.random.default_rng(0)
    # Rows longer than a word of 32 bits, and balls that reach beyond the mask.
    mask = random.random((6, 7, 70)) < 0.8
    centres = random.integers(0, refinement * (np.array(mask.shape) - 1) + 1, (60, 3))
    squares = random.integers(1, 500, 60).astype(np.float32)
    painted = paint_balls(centres, squares, CUBES, refinement, mask)
    assert np.array_equal(painted, covered(centres, squares, refinement, mask))
    part = paint_balls(centres, squares, CUBES, refinement, mask[2:5], 2)
    assert np.array_equal(part, painted[2:5])


def test_no_ball_paints_nothing():
    centres, squares = np.zeros((0, 3), int), np.zeros(0, np.float32)
    assert not paint_balls(centres, squares, CUBES, 1, np.ones((2, 2, 2), bool)).any()
