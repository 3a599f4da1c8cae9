import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.transforms import (
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandRotate90d,
    RandScaleIntensityd,
)

from data_modules.folds import make_folds
from data_modules.paired import PairedDataModule
from data_modules.segmentation import SegmentationDataModule
from data_modules.splits import write_splits
from lotus.transforms import DtypeRange

KEYS = ["image", "mask", "instances"]
SIDES = ("student", "teacher")


def spatial():
    return [
        RandFlipd(KEYS, prob=0.5, spatial_axis=0),
        RandRotate90d(KEYS, prob=0.75),
        RandAffined(
            KEYS,
            prob=0.8,
            rotate_range=1.0,
            scale_range=0.2,
            mode=["bilinear", "nearest", "nearest"],
            padding_mode="zeros",
        ),
    ]


@pytest.fixture
def draw_pairs(draw_dataset):
    """Two manifests of the same nine fields; images of a field are pixel for pixel the same."""

    def draw(patients=range(9), teacher_patients=None, channels=1, size=(20, 24)):
        manifests = []
        for modality, people in (("microct", patients), ("histology", teacher_patients)):
            rows = [
                {"patient": f"p{i}", "modality": modality}
                for i in (patients if people is None else people)
            ]
            several = channels if modality == "histology" else 1
            manifests.append(draw_dataset(rows, name=modality, channels=several, size=size))
        return manifests

    return draw


def join(manifests, augmentation=(), own=((), ()), **options):
    modules = [
        SegmentationDataModule(
            manifest,
            modality,
            augmentation=list(transforms),
            preprocessing=DtypeRange(),
            **({"patch_size": 12, "batch_size": 3} | options),
        )
        for manifest, modality, transforms in zip(
            manifests, ("microct", "histology"), own, strict=True
        )
    ]
    return PairedDataModule(*modules, list(augmentation))


def epoch(data, number):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


@pytest.fixture
def equal_pairs(draw_pairs):
    data = join(draw_pairs(), spatial())
    data.setup("fit")
    return data.training_dataset()


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**31 - 1))
def test_equal_images_stay_equal_pixel_for_pixel(equal_pairs, seed):
    for index in range(len(equal_pairs)):
        sample = equal_pairs[index, seed]
        for key in (*KEYS, "name", "patient"):
            first, second = (sample[side][key] for side in SIDES)
            assert torch.equal(first, second) if key in KEYS else first == second


def test_the_pair_moves_as_one_image_alone_would(draw_pairs):
    """Cutting and moving a pair is what the same transforms do to one modality."""
    manifests = draw_pairs(channels=3)
    flip = [RandFlipd(KEYS, prob=1.0, spatial_axis=1)]
    plain, flipped = join(manifests), join(manifests, flip)
    for data in (plain, flipped):
        data.setup("fit")
    before, after = plain.training_dataset(), flipped.training_dataset()
    for seed in range(10):
        for side in SIDES:
            for key in KEYS:
                expected = before[0, seed][side][key].flip(-1)
                assert torch.equal(after[0, seed][side][key], expected)
    colour = after[0, 0]["teacher"]["image"]
    assert (colour[0] != colour[1]).any()


def test_grey_values_change_per_modality_and_masks_do_not(draw_pairs):
    noise = RandGaussianNoised(["image"], prob=1.0, std=0.3)
    data = join(draw_pairs(), spatial(), own=([noise], [RandScaleIntensityd(["image"], 0.5, 1.0)]))
    data.setup("fit")
    for sample in (data.training_dataset()[0, seed] for seed in range(10)):
        student, teacher = (sample[side] for side in SIDES)
        assert not torch.equal(student["image"], teacher["image"])
        assert torch.equal(student["mask"], teacher["mask"])
        assert torch.equal(student["instances"], teacher["instances"])


def test_equal_transforms_of_the_modalities_draw_independently(draw_pairs):
    own = [[RandScaleIntensityd(["image"], 0.5, prob=1.0)] for _ in SIDES]
    data = join(draw_pairs(), own=own)
    data.setup("fit")
    dataset = data.training_dataset()
    ratios = [
        float(sample["student"]["image"].sum() / sample["teacher"]["image"].sum())
        for sample in (dataset[0, seed] for seed in range(12))
    ]
    assert len({round(ratio, 4) for ratio in ratios}) == 12


def test_batches_are_a_function_of_seed_and_epoch(draw_pairs):
    manifests = draw_pairs()
    uninterrupted, resumed = join(manifests, spatial()), join(manifests, spatial())
    for data in (uninterrupted, resumed):
        data.setup("fit")
    first = epoch(uninterrupted, 0)
    third = epoch(uninterrupted, 3)
    again = epoch(resumed, 3)
    assert len(third) == len(again) > 1
    for one, other in zip(third, again, strict=True):
        for side in SIDES:
            assert one[side]["name"] == other[side]["name"]
            assert all(torch.equal(one[side][key], other[side][key]) for key in KEYS)
    crops = {
        (name, image.numpy().tobytes())
        for batch in (*first, *third)
        for name, image in zip(batch["student"]["name"], batch["student"]["image"], strict=True)
    }
    assert len(crops) == sum(len(batch["student"]["name"]) for batch in (*first, *third))


@pytest.mark.slow
@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 1000))
def test_nobody_evaluated_is_trained_on_in_either_modality(draw_pairs, seed):
    data = join(draw_pairs(), seed=seed)
    data.setup("fit")
    shown = {name for b in epoch(data, 0) for side in SIDES for name in b[side]["patient"]}
    evaluated = {r.patient for name in ("val", "test") for r in data.parts["student"].select(name)}
    assert evaluated
    assert shown == set(data.splits.train)
    assert not shown & evaluated


def test_fewer_training_images_keep_their_partners(draw_pairs):
    data = join(draw_pairs(), training_images=3)
    data.setup("fit")
    assert len(data.training_dataset()) == 3


def test_an_image_without_its_partner_is_named(draw_pairs):
    data = join(draw_pairs(patients=range(9), teacher_patients=range(8)), split_fractions=(1, 0, 0))
    message = r"is the partner of .*i008\.png: expected an annotated one named 'i008' of .* 'p8'"
    with pytest.raises(ValueError, match=message):
        data.train_dataloader()


def test_a_name_of_another_patient_is_no_partner(draw_pairs):
    student, teacher = draw_pairs()
    teacher.write_text(teacher.read_text().replace(",p4,", ",q4,"))
    data = join((student, teacher), split_fractions=(1, 0, 0))
    with pytest.raises(ValueError, match="named 'i004' of patient 'p4'"):
        data.train_dataloader()


def test_partners_of_unlike_size(draw_dataset):
    manifests = [
        draw_dataset([{"patient": "p0", "modality": modality}], name=modality, size=size)
        for modality, size in (("microct", (20, 24)), ("histology", (22, 24)))
    ]
    data = join(manifests, split_fractions=(1, 0, 0))
    with pytest.raises(ValueError, match=r"is 20 x 24 and its partner .*i000\.png 22 x 24"):
        data.train_dataloader()


def test_transforms_that_would_move_one_modality_alone(draw_pairs):
    with pytest.raises(ValueError, match="RandFlipd moves the pixels of one modality alone"):
        join(draw_pairs(), own=((), [RandFlipd(KEYS, prob=0.5)]))


def test_patch_sizes_must_agree(draw_pairs):
    student, teacher = (
        SegmentationDataModule(manifest, modality, patch_size=size)
        for manifest, modality, size in zip(
            draw_pairs(), ("microct", "histology"), (8, 16), strict=True
        )
    )
    with pytest.raises(ValueError, match="patch_size is 8 for the student and 16"):
        PairedDataModule(student, teacher)


def test_folds_of_a_cross_validation(draw_pairs, tmp_path):
    data = join(draw_pairs())
    folds = make_folds(data.records, 3)
    tested = [record.name for split in folds.splits for record in data.select("test", split)]
    assert sorted(tested) == [f"i{number:03d}" for number in range(9)]
    for number, split in enumerate(folds.splits):
        path = tmp_path / f"fold{number}.json"
        write_splits(path, split)
        data.use_split_file(path)
        data.setup("fit")
        assert data.splits == split
        shown = {name for b in epoch(data, 0) for side in SIDES for name in b[side]["patient"]}
        assert shown == set(split.train)
