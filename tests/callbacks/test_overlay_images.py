import numpy as np
import pytest
from PIL import Image
from pytorch_lightning.loggers import WandbLogger

from lotus.callbacks import OverlayImages
from lotus.reports.overlays import AGREEMENT_COLOUR


@pytest.mark.slow  # W&B starts a process of its own
def test_overlays_of_every_second_epoch_reach_wandb(
    make_trainer, tmp_path, monkeypatch, make_task, make_data
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger(save_dir=tmp_path, offline=True)
    callback = OverlayImages(every_n_epochs=2, n_images=2)
    trainer = make_trainer(callback, logger=logger, max_epochs=3)
    trainer.fit(make_task(), make_data(names=("a", "b", "c", "d")))
    logger.experiment.finish()
    files = list(tmp_path.rglob("media/images/validation/*.png"))
    assert len(files) == 2 * 2  # epochs 0 and 2, two images each
    for path in files:
        picture = np.array(Image.open(path))
        assert (picture[4, 6] == AGREEMENT_COLOUR).all()


def test_without_wandb_training_goes_on(make_trainer, tmp_path, make_task, make_data):
    make_trainer(OverlayImages(every_n_epochs=1)).fit(make_task(), make_data())
    assert not list(tmp_path.rglob("*.png"))


def test_an_interval_is_positive():
    with pytest.raises(ValueError, match="every_n_epochs is 0"):
        OverlayImages(every_n_epochs=0)
