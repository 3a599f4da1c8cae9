import numpy as np
import pytest

from lotus.morphometry.balls import paint_balls
from lotus.morphometry.distance import squared_distances
from lotus.morphometry.ridge import ridge
from tests.morphometry.bodies import ball, blobs
from tests.morphometry.test_balls import covered

CUBES = (1.0, 1.0, 1.0)


@pytest.mark.parametrize("refinement", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_ridge_covers_what_all_centres_cover(seed, refinement):
    mask = blobs(seed, share=0.9)
    squares = squared_distances(mask, CUBES, refinement=refinement)
    everywhere = np.argwhere(squares > 0)
    balls = ridge(squares, CUBES, refinement, 0, len(squares))
    assert 0 < len(balls.centres) < len(everywhere)
    every = covered(everywhere, squares[tuple(everywhere.T)], refinement, mask)
    assert np.array_equal(covered(balls.centres, balls.squares, refinement, mask), every)
    # Each paints only what its neighbour does not.
    assert np.array_equal(paint_balls(balls, CUBES, refinement, mask), every)


def test_the_middle_of_a_ball_covers_its_neighbours():
    squares = squared_distances(ball(15), CUBES)
    centres = ridge(squares, CUBES, 1, 0, len(squares)).centres
    near = centres[np.abs(centres - 9).sum(axis=1) <= 1]
    assert near.tolist() == [[9, 9, 9]]


def test_the_ridge_of_some_planes_is_that_part_of_the_whole():
    squares = squared_distances(blobs(0), CUBES)
    whole = ridge(squares, CUBES, 1, 0, len(squares)).centres
    part = ridge(squares, CUBES, 1, 2, 5).centres
    assert part.tolist() == [centre for centre in whole.tolist() if 2 <= centre[0] < 5]


def test_what_lies_beyond_the_bound_the_neighbour_covers():
    squares = squared_distances(ball(15), CUBES)
    balls = ridge(squares, CUBES, 1, 0, len(squares))
    known = np.isfinite(balls.bounds)
    assert known.mean() > 0.9
    places = np.argwhere(np.ones((15, 15, 15))) - 7
    for number in np.flatnonzero(known)[::7]:
        step, own = balls.neighbours[number], balls.squares[number]
        theirs = squares[tuple(balls.centres[number] + step)]
        assert theirs >= own
        length = (places**2).sum(axis=1)
        is_covered = ((places - step) ** 2).sum(axis=1) <= theirs
        is_beyond = places @ step >= balls.bounds[number]
        assert is_covered[(length <= own) & is_beyond].all()
        # No bound on the ball's points would be tighter.
        assert np.array_equal(is_covered[length == own], is_beyond[length == own])
