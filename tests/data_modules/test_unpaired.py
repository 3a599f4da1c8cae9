import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_modules.segmentation import SegmentationDataModule
from data_modules.unpaired import UnpairedDataModule


def rows(modality, patients, groups=("healthy", "osteoporotic", "covid19")):
    return [
        {"patient": f"p{i}", "modality": modality, "group": groups[i % len(groups)]}
        for i in patients
    ]


def join(student, teacher, **options):
    defaults = {"patch_size": 16, "batch_size": 6}
    return UnpairedDataModule(
        SegmentationDataModule(student, "microct", **(defaults | options)),
        SegmentationDataModule(teacher, "histology", **(defaults | {"patch_size": 8})),
    )


@pytest.fixture
def unpaired(draw_dataset):
    """Two manifests with twelve and nine patients, of whom six are in both."""
    student = draw_dataset(rows("microct", range(12)), name="ct")
    teacher = draw_dataset(rows("histology", range(6, 15)), name="histology", first=50)
    return lambda **options: join(student, teacher, **options)


def test_teacher_batches_have_the_groups_of_the_student(unpaired):
    data = unpaired(samples_per_epoch=60)
    data.setup("fit")
    partners = set()
    for batch in data.train_dataloader():
        assert batch["student"]["group"] == batch["teacher"]["group"]
        assert torch.equal(batch["student"]["label"], batch["teacher"]["label"])
        assert batch["student"]["image"].shape == (6, 3, 16, 16)
        assert batch["teacher"]["image"].shape == (6, 3, 8, 8)
        partners |= set(zip(batch["student"]["name"], batch["teacher"]["name"], strict=True))
    assert len(partners) > len({student for student, _ in partners})


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 1000))
def test_no_evaluated_patient_is_shown_by_the_teacher(unpaired, seed):
    data = unpaired(seed=seed)
    splits = data.join()
    shown = {record.patient for record in data.parts["teacher"].select("train")}
    evaluated = {r.patient for name in ("val", "test") for r in data.parts["student"].select(name)}
    assert not shown & evaluated
    assert not shown & (set(splits.val) | set(splits.test))


def test_one_manifest_gives_both_modules_the_split_each_makes_alone(draw_dataset):
    manifest = draw_dataset(rows("microct", range(9)) + rows("histology", range(5, 14)))
    alone = SegmentationDataModule(manifest, "histology").splits
    assert join(manifest, manifest).join() == alone


def test_pairs_are_a_function_of_seed_and_epoch(unpaired):
    def names(data, epoch):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return [batch[side]["name"] for batch in loader for side in ("student", "teacher")]

    first, second = unpaired(), unpaired()
    for data in (first, second):
        data.setup("fit")
    names(first, 0)
    assert names(first, 1) == names(second, 1)
    assert names(first, 0) != names(second, 1)


def test_groups_without_a_teacher_are_named(draw_dataset):
    student = draw_dataset(rows("microct", range(12)), name="ct")
    teacher = draw_dataset(rows("histology", range(20, 30), ["healthy"]), name="h", first=50)
    data = join(student, teacher)
    message = "no histology training image of group covid19, osteoporotic, which microct has"
    with pytest.raises(ValueError, match=message):
        data.setup("fit")


def test_evaluation_is_the_students(unpaired):
    data = unpaired()
    for stage in ("fit", "test", "predict"):
        data.setup(stage)
    for loader in (data.val_dataloader(), data.test_dataloader(), data.predict_dataloader()):
        for batch in loader:
            assert batch["image"].shape == (1, 3, 20, 24)
            assert batch["name"][0] < "i050"
    summary = data.summary()
    assert summary["paired"] is False
    assert set(summary["parts"]) == {"student", "teacher"}


def test_split_files_must_not_differ(draw_dataset, tmp_path):
    manifest = draw_dataset(rows("microct", range(3)))
    modules = [
        SegmentationDataModule(manifest, "microct", splits=tmp_path / name) for name in ("a", "b")
    ]
    with pytest.raises(ValueError, match="different split files"):
        UnpairedDataModule(*modules)


def test_one_file_of_two_patients_over_two_manifests(draw_dataset):
    first = draw_dataset(rows("microct", range(6)), name="same")
    text = first.read_text().replace("microct,p0", "microct,other")
    second = first.with_name("second.csv")
    second.write_text(text.replace("microct", "histology"))
    with pytest.raises(ValueError, match=r"belongs to patient 'p0' .* 'other'"):
        join(first, second).join()
