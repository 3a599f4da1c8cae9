"""Curves of a training, read whole and while they are written."""

import pytest

from lotus.runs.curves import (
    best_epoch,
    best_validation,
    logged_columns,
    read_curve,
    read_epochs,
)

# The logger writes one row per call; a learning rate comes without an epoch.
LOGGED = """\
lr-Adam,step,epoch,val_dice,train_loss
0.001,0,,,
,9,0,0.25,
,9,0,,2.0
0.0005,10,,,
,19,1,0.75,
,19,1,,1.0
"""


def test_a_curve_that_is_still_written_has_no_half_values(tmp_path):
    path = tmp_path / "metrics.csv"
    assert read_curve(path, "val_dice") == {}
    path.write_text("epoch,step,val_dice\n0,1,0.25\n0,2,\n1,3,0.5\n1,4,0.75\n2,5,0.62")
    assert read_curve(path, "val_dice") == {0: 0.25, 1: 0.75}
    assert read_curve(path, "nonsense") == {}


def test_rows_of_one_epoch_are_joined(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(LOGGED)
    epochs = read_epochs(path)
    assert epochs.index.tolist() == [0, 1]
    assert epochs["val_dice"].tolist() == [0.25, 0.75]
    assert epochs["train_loss"].tolist() == [2.0, 1.0]
    assert epochs["lr-Adam"].tolist() == [0.001, 0.0005]
    assert read_curve(path, "val_dice") == {0: 0.25, 1: 0.75}


def test_what_was_logged(tmp_path):
    path = tmp_path / "metrics.csv"
    assert logged_columns(path) == []
    path.touch()
    assert logged_columns(path) == []
    path.write_text(LOGGED)
    assert logged_columns(path) == ["lr-Adam", "step", "epoch", "val_dice", "train_loss"]


def test_a_table_without_epochs(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,val_dice\n1,0.5\n")
    with pytest.raises(ValueError, match="found no column epoch, but step, val_dice"):
        read_epochs(path)


def test_the_best_epoch_is_one_of_the_latest_phase():
    curve = {1: 0.9, 3: 0.5, 5: 0.7, 7: 0.6}
    assert best_epoch(curve, {}) == 1
    phase = {0: 1.0, 1: 1.0, 2: 1.0, 3: 2.0, 4: 2.0, 5: 2.0, 6: 2.0}
    assert best_epoch(curve, phase) == 5
    assert best_epoch(curve, phase, maximize=False) == 3
    assert best_epoch({1: 0.9, 2: 0.8}, phase) == 1, "phase 2 was not validated"
    assert best_epoch({1: 0.9, 7: 0.6}, phase) == 7, "epoch 7 goes on, in the phase of epoch 6"


def test_the_best_validation_is_read_with_its_phase(tmp_path):
    path = tmp_path / "metrics.csv"
    assert best_validation(path, "val_dice", maximize=True) is None
    path.write_text("epoch,val_dice,phase\n0,0.9,\n0,,1\n1,nan,\n1,,2\n2,0.5,\n2,,2\n")
    assert best_validation(path, "val_dice", maximize=True) == (2, 0.5)
    assert best_validation(path, "val_aji", maximize=True) is None
