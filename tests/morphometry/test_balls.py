import numpy as np
import pytest

from lotus.morphometry.balls import Balls, paint_balls

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
def test_balls_are_painted_wherever_they_reach(refinement):
    random = np.random.default_rng(0)
    # Rows longer than a word of 32 bits, and balls that reach beyond the mask.
    mask = random.random((6, 7, 70)) < 0.8
    centres = random.integers(0, refinement * (np.array(mask.shape) - 1) + 1, (60, 3))
    squares = random.integers(1, 500, 60).astype(np.float32)
    balls = Balls.alone(centres, squares)
    painted = paint_balls(balls, CUBES, refinement, mask)
    assert np.array_equal(painted, covered(centres, squares, refinement, mask))
    part = paint_balls(balls, CUBES, refinement, mask[2:5], 2)
    assert np.array_equal(part, painted[2:5])


def test_no_ball_paints_nothing():
    balls = Balls.alone(np.zeros((0, 3), int), np.zeros(0, np.float32))
    assert not paint_balls(balls, CUBES, 1, np.ones((2, 2, 2), bool)).any()


@pytest.mark.parametrize("step", [(0, 0, 1), (0, 0, -1), (0, 1, 0), (1, 0, 0), (-1, 1, -1)])
def test_what_a_neighbour_covers_is_left_to_it(step):
    # Beyond the plane through the ball's points with p·o = 2 the neighbour is said to cover all.
    balls = Balls(np.full((1, 3), 6), np.float32([25]), np.array([step]), np.array([2.0]))
    mask = np.ones((13, 13, 13), bool)
    places = np.indices(mask.shape) - 6
    own = (places**2).sum(axis=0) <= 25
    along = np.tensordot(step, places, 1)
    assert np.array_equal(paint_balls(balls, CUBES, 1, mask) > 0, own & (along <= 2))
