import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from lotus.callbacks import ClassScores
from lotus.imaging.raster import read_label_map, write_label_map

TRUTH = {"a.1": [[1, 1, 0, 0], [2, 2, 0, 0]], "b": [[0, 0, 0, 0], [2, 2, 2, 2]]}
PREDICTED = {"a.1": [[1, 0, 0, 0], [2, 2, 2, 2]], "b": [[0, 0, 0, 0], [2, 2, 1, 0]]}


class Recited(pl.LightningModule):
    """Says what PREDICTED says."""

    def __init__(self):
        super().__init__()
        self.class_names = ["positive", "negative"]

    def validation_step(self, batch, batch_idx):
        return {"classes": np.array(PREDICTED[batch["name"][0]], np.uint8)}

    test_step = predict_step = validation_step


@pytest.fixture
def loader():
    spacing_um = torch.full((2,), torch.nan)
    samples = [
        {"name": name, "mask": torch.tensor(mask), "spacing_um": spacing_um}
        for name, mask in TRUTH.items()
    ]
    return DataLoader(samples, batch_size=1)


def test_scores_of_each_class_by_hand(make_trainer, loader):
    (scores,) = make_trainer(ClassScores()).validate(Recited(), loader, verbose=False)
    # positive: 2·1/(1+2) in a.1, 0/(1+0) in b; negative: 2·2/(4+2) and 2·2/(2+4).
    assert scores == pytest.approx(
        {
            "val_dice_positive": (2 / 3 + 0) / 2,
            "val_dice_negative": 2 / 3,
            "val_dice_macro": (2 / 3 + 1 / 3) / 2,
            "val_iou_positive": (1 / 2 + 0) / 2,
            "val_iou_negative": 1 / 2,
            "val_iou_macro": (1 / 2 + 1 / 4) / 2,
        }
    )


@pytest.mark.parametrize(("stage", "folder"), [("test", "classes"), ("predict", "predict/classes")])
def test_maps_replace_those_of_an_earlier_call(make_trainer, loader, tmp_path, stage, folder):
    write_label_map(tmp_path / folder / "old.tif", np.eye(4, dtype=np.uint8))
    getattr(make_trainer(ClassScores()), stage)(Recited(), loader)
    assert {path.stem for path in (tmp_path / folder).iterdir()} == set(PREDICTED)
    for name, expected in PREDICTED.items():
        np.testing.assert_array_equal(read_label_map(tmp_path / folder / f"{name}.tif"), expected)
