import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from lotus.inference.segmenter import load_segmenter
from lotus.networks import GuidedClassifier
from lotus.runs import RunFolder
from lotus.runs.classified import read_classified
from lotus.tasks import ClassificationTask, GuidedClassificationTask
from lotus.tasks.checkpoint import classifier_of, read_checkpoint, state_of
from lotus.tasks.description import build
from tests.tasks.patches import GROUPS, PatchData, TinyClassifier, trainer_in


def test_a_test_writes_the_probabilities_and_whether_they_are_right(tmp_path):
    task = ClassificationTask(TinyClassifier())
    trainer = trainer_in(tmp_path, callbacks=task.callbacks())
    data = PatchData()
    (logged,) = trainer.test(task, data, verbose=False)
    table = read_classified(RunFolder(tmp_path).classified)
    assert list(table) == [
        *("name", "slice", "patient", "group", "predicted", "p_healthy", "p_osteoporotic")
    ]
    assert len(table) == 16
    assert table["name"].iloc[0] == "s20@0,0"
    assert set(table["patient"]) == {"020", "021", "022", "023"}
    probabilities = torch.cat(
        [task(batch["image"]).softmax(1) for batch in data.test_dataloader()]
    ).detach()
    by_name = table.set_index("name")
    names = [name for batch in data.test_dataloader() for name in batch["name"]]
    found = torch.tensor(by_name.loc[names, ["p_healthy", "p_osteoporotic"]].to_numpy())
    torch.testing.assert_close(found.float(), probabilities, atol=1e-5, rtol=1e-4)
    right = table["predicted"] == table["group"]
    scores = pd.read_csv(RunFolder(tmp_path).scores, dtype={"patient": str})
    assert list(scores) == ["name", "accuracy", "patient"]
    assert scores["accuracy"].tolist()[:-1] == right.astype(float).tolist()
    assert scores["name"].tolist()[-1] == "mean"
    assert scores["accuracy"].iloc[-1] == pytest.approx(right.mean())
    assert logged["test_accuracy"] == pytest.approx(right.mean())
    labels = torch.cat([batch["label"] for batch in data.test_dataloader()])
    entropy = nn.functional.nll_loss(probabilities.log(), labels)
    assert logged["test_loss"] == pytest.approx(float(entropy), rel=1e-5)


def test_a_prediction_leaves_the_table_of_a_test_alone(tmp_path):
    task = ClassificationTask(TinyClassifier())
    run = RunFolder(tmp_path)
    trainer_in(tmp_path, callbacks=task.callbacks()).test(task, PatchData(), verbose=False)
    before = run.classified.read_bytes()
    trainer_in(tmp_path, callbacks=task.callbacks()).predict(task, PatchData())
    assert run.classified.read_bytes() == before
    assert set(read_classified(run.predicted.classified)["slice"]) == {f"s3{n}" for n in range(4)}
    assert not run.predicted.scores.exists()


@pytest.mark.slow
def test_two_processes_write_one_table(tmp_path):
    task = ClassificationTask(TinyClassifier())
    trainer = trainer_in(tmp_path, callbacks=task.callbacks(), devices=2, strategy="ddp_fork")
    trainer.test(task, PatchData(), verbose=False)
    assert len(read_classified(RunFolder(tmp_path).classified)) == 16


def test_a_checkpoint_says_what_it_is_and_is_enough_to_classify(tmp_path):
    network = TinyClassifier()
    network.weights_source = "file somewhere"
    task = ClassificationTask(GuidedClassifier(network))
    trainer_in(tmp_path).fit(task, PatchData())
    path = tmp_path / "a.ckpt"
    contents = {"state_dict": task.state_dict(), "pytorch-lightning_version": pl.__version__}
    task.on_save_checkpoint(contents)
    torch.save(contents, path)
    checkpoint = read_checkpoint(path)
    record = classifier_of(checkpoint, path)
    assert record["class_names"] == GROUPS
    assert record["weights_source"] == "file somewhere"
    assert (record["resize"], record["spacing_um"]) == (16, [0.65, 0.65])
    assert record["preprocessing"]["class_path"] == "lotus.transforms.DtypeRange"
    rebuilt = build(record["network"])
    rebuilt.load_state_dict(state_of(checkpoint, "network."))
    image = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(rebuilt(image), task(image))
    with pytest.raises(ValueError, match=r"a.ckpt is a classifier's, not a segmenter's: it gives"):
        load_segmenter(path, device="cpu")
    again = ClassificationTask(GuidedClassifier(TinyClassifier()))
    trainer_in(tmp_path).test(again, PatchData(), ckpt_path=path, verbose=False)
    assert again.weights_source == "file somewhere"


@pytest.mark.parametrize(
    ("names", "classes", "groups", "message"),
    [
        (["a", "b"], 2, GROUPS, "the task has the groups a, b, the data have healthy, osteop"),
        (None, 2, [*GROUPS, "treated"], "2 classes, but there are 3 groups .healthy, osteop"),
        (GROUPS[::-1], 2, GROUPS, "the task has the groups osteoporotic, healthy"),
    ],
)
def test_groups_that_do_not_fit_are_refused(tmp_path, names, classes, groups, message):
    task = ClassificationTask(TinyClassifier(classes), class_names=names)
    with pytest.raises(ValueError, match=message):
        trainer_in(tmp_path).fit(task, PatchData(groups))


def test_a_network_without_features_is_refused():
    with pytest.raises(ValueError, match="Linear is no classifier with features"):
        ClassificationTask(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="Linear is no classifier with features"):
        GuidedClassifier(nn.Linear(3, 2))


def test_without_a_guide_the_attention_learns_of_the_class_alone(tmp_path):
    task = GuidedClassificationTask(network=GuidedClassifier(TinyClassifier()))
    before = task.network.attention.mixing.weight.clone()
    trainer_in(tmp_path).fit(task, PatchData())
    assert task.origins() == []
    assert not torch.equal(before, task.network.attention.mixing.weight)
