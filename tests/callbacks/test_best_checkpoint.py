"""Which epoch the best checkpoint is of, in trainings of one phase and of two."""

import warnings

import pytest
import pytorch_lightning as pl
import torch

from lotus.callbacks import BestCheckpoint, RunRecord
from lotus.runs.invocations import read_invocations


def phased(base, scores, phase_of, phases):
    """A task whose epochs have given scores and phases; a phase begins when an epoch has ended."""

    class Phased(base):
        def __init__(self):
            super().__init__()
            self.phases, self.phase = phases, phase_of[0]

        def on_validation_epoch_end(self):
            if not self.trainer.sanity_checking:
                self.log("val_dice", torch.tensor(scores[self.current_epoch]))

        def on_train_epoch_end(self):
            self.phase = phase_of[min(self.current_epoch + 1, len(phase_of) - 1)]

    return Phased()


@pytest.fixture
def fit(make_trainer, make_task, make_data, tmp_path):
    """Trains, and gives the epoch of the checkpoint that was kept, and its phase on record."""

    def run(scores, phase_of, phases, *, epochs=None, every=1, resumed=None, folder="checkpoints"):
        best = BestCheckpoint(
            dirpath=tmp_path / folder,
            filename="best",
            monitor="val_dice",
            mode="max",
            enable_version_counter=False,
        )
        last = pl.callbacks.ModelCheckpoint(
            dirpath=tmp_path / folder,
            filename="last",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        options = {"max_epochs": epochs or len(scores), "check_val_every_n_epoch": every}
        options |= {"enable_checkpointing": True, "limit_train_batches": 1, "limit_val_batches": 1}
        trainer = make_trainer(best, last, RunRecord(), **options)
        task = phased(type(make_task()), scores, phase_of, phases)
        trainer.fit(task, make_data(), ckpt_path=resumed)
        kept = torch.load(tmp_path / folder / "best.ckpt", weights_only=False)["epoch"]
        origin = read_invocations(tmp_path / "environment.json")[-1].get("best")
        if origin is None:
            return kept, None
        assert origin["epoch"] == kept
        return kept, origin["phase"]

    return run


def test_of_one_phase_the_best_epoch_is_kept(fit):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*phase.*")
        assert fit([0.5, 0.9, 0.7], [1, 1, 1], 1) == (1, 1)


@pytest.mark.parametrize("every", [1, 2])
def test_of_two_phases_it_is_one_of_the_second(fit, every):
    # The best of all is the last of phase 1, at whose end the task turns to phase 2.
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*phase.*")
        found = fit([0.5, 0.9, 0.2, 0.6, 0.3, 0.4], [1, 1, 2, 2, 2, 2], 2, every=every)
    assert found == (3, 2)


def test_a_training_that_ends_in_the_first_phase_keeps_its_best_and_says_so(fit):
    with pytest.warns(UserWarning, match=r"best\.ckpt is of phase 1 of 2 \(epoch 1\): no epoch"):
        assert fit([0.5, 0.9, 0.2], [1, 1, 1], 2) == (1, 1)


def test_a_phase_that_began_but_was_not_validated_counts_for_nothing(fit):
    with pytest.warns(UserWarning, match="phase 1 of 2"):
        assert fit([0.5, 0.9, 0.2], [1, 1, 2], 2, every=2) == (1, 1)


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_a_resumed_training_keeps_the_same_epoch(fit, stop, tmp_path):
    scores, phase_of = [0.5, 0.9, 0.6, 0.3, 0.4], [1, 1, 2, 2, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(scores, phase_of, 2, epochs=stop)
        resumed = tmp_path / "checkpoints/last.ckpt"
        state = torch.load(resumed, weights_only=False)
        of_lightning = "ModelCheckpoint{'monitor': 'val_dice'"
        assert any(key.startswith(of_lightning) for key in state["callbacks"])
        found = fit(scores, [phase_of[stop], *phase_of[1:]], 2, resumed=resumed)
    assert found == (2, 2)


@pytest.mark.parametrize(
    ("phase_of", "expected"),
    [([1, 1, 1], (1, None)), ([1, 2, 2], (2, 2))],
    ids=["one phase", "two phases"],
)
def test_a_run_of_version_0_1_that_said_no_phase_is_gone_on_with(fit, tmp_path, phase_of, expected):
    """Its best checkpoint may be of phase 1 and cannot stand against phase 2."""
    fit([0.5, 0.9], phase_of[:2], 1)
    last = tmp_path / "checkpoints/last.ckpt"
    state = torch.load(last, weights_only=False)
    for callback in state["callbacks"].values():
        callback.pop("origin", None)
    torch.save(state, last)
    resumed_phases = [phase_of[2]] * 3
    assert fit([0.5, 0.9, 0.6], resumed_phases, max(phase_of), resumed=last) == expected


def test_a_moved_training_goes_on_with_its_best_score(fit, tmp_path):
    assert fit([0.5, 0.9], [1, 1], 1, folder="old") == (1, 1)
    (tmp_path / "old").rename(tmp_path / "new")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The dirpath has changed")
        resumed = tmp_path / "new/last.ckpt"
        found = fit([0.5, 0.9, 0.6, 0.7], [1] * 4, 1, resumed=resumed, folder="new")
    assert found == (1, 1)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert not (tmp_path / "old").exists()
