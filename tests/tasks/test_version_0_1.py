"""A checkpoint that version 0.1 wrote, before classes moved, goes on being used.

It is the teacher of a tiny run: U-Net with four and eight filters, boundary and watershed, of
``lotus.transforms.instances.BoundaryWatershed`` as the schemes were called then.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lotus.imaging import read_label_map, write_image
from lotus.inference.segment import segment_image
from lotus.inference.segmenter import load_segmenter
from lotus.networks import UNet
from lotus.schemes import BoundaryWatershed
from lotus.tasks import DistillationTask, SegmentationTask
from lotus.tasks.checkpoint import read_checkpoint
from lotus.training.configuration import read_configuration
from lotus.training.known_patients import COHORT
from lotus.training.layers import composed, of_this_version
from lotus.training.same_configuration import refuse_another_configuration
from lotus.transforms import DtypeRange

FOLDER = Path(__file__).resolve().parents[1] / "data" / "version_0_1"
TEACHER = FOLDER / "teacher.ckpt"


@pytest.fixture
def field(tmp_path):
    """Four dark discs, stained; their labels are what version 0.1 found."""
    rows, columns = np.mgrid[:64, :64]
    grey = np.full((64, 64), 180)
    for y, x in ((12, 14), (20, 44), (45, 20), (48, 50)):
        grey[(rows - y) ** 2 + (columns - x) ** 2 < 30] = 60
    grey += (7 * rows + 11 * columns) % 23 - 11
    image = np.stack([grey, grey // 2, 255 - grey], axis=-1).astype(np.uint8)
    write_image(tmp_path / "field.png", image)
    return tmp_path / "field.png"


def test_it_still_holds_the_old_paths():
    """Otherwise the tests below would show nothing."""
    record = read_checkpoint(TEACHER)["segmenter"]
    assert record["instances"]["class_path"] == "lotus.transforms.instances.BoundaryWatershed"
    assert record["preprocessing"]["class_path"] == "lotus.transforms.intensity_range.DtypeRange"


def test_it_segments_as_it_did(field, tmp_path):
    segmenter = load_segmenter(TEACHER, device="cpu")
    assert isinstance(segmenter.instances, BoundaryWatershed)
    assert isinstance(segmenter.preprocessing, DtypeRange)
    assert segmenter.class_names == ["lacuna"]
    assert segmenter.spacing_um == (1.6, 1.6)
    segment_image(segmenter, field, tmp_path / "out")
    found = read_label_map(tmp_path / "out/field_labels.tif")
    np.testing.assert_array_equal(found, read_label_map(FOLDER / "labels.png"))


def test_it_starts_and_teaches_what_is_trained_now():
    def network():
        return UNet(out_channels=3, filters=(4, 8))

    scheme = BoundaryWatershed()
    started = SegmentationTask(network(), ["lacuna"], instances=scheme, initial_weights=TEACHER)
    saved = read_checkpoint(TEACHER)["state_dict"]
    for name, weight in started.network.state_dict().items():
        assert torch.equal(weight, saved[f"network.{name}"])
    student = DistillationTask(
        network=network(), teacher=TEACHER, class_names=["lacuna"], instances=scheme
    )
    assert torch.equal(student.teacher.head.weight, saved["network.head.weight"])


def test_it_says_whom_it_knows():
    record = read_checkpoint(TEACHER)["patients"]
    assert record["unrecorded"] == []
    assert len(record["cohorts"][COHORT]) == 8


def test_a_configuration_with_an_old_path_is_read(tiny_manifest, tmp_path):
    experiment = Path(__file__).resolve().parents[2] / "experiments/lotus/teacher.yaml"
    layer = tmp_path / "touching.yaml"
    layer.write_text(
        "model:\n"
        "  init_args:\n"
        "    instances:\n"
        "      class_path: lotus.transforms.BoundaryWatershed\n"
        "      init_args: {minimum_size: 8}\n"
    )
    manifest = f"--data.init_args.manifest={tiny_manifest}"
    keys = read_configuration([f"--config={experiment}", f"--config={layer}", manifest]).keys
    assert keys["model"]["init_args"]["instances"] == {
        "class_path": "lotus.schemes.BoundaryWatershed",
        "init_args": {"minimum_size": 8, "boundary_width": 1},
    }


@pytest.mark.parametrize(
    ("inferer", "expected"),
    [
        ("null", {"window": 512, "overlap": 0.25}),
        (
            "{class_path: monai.inferers.SlidingWindowInferer, init_args: "
            "{roi_size: [250, 256], sw_batch_size: 8, overlap: 0.5, mode: gaussian}}",
            {"window": 256, "overlap": 0.5},
        ),
        (
            "{class_path: monai.inferers.SlidingWindowInferer, init_args: {roi_size: 100}}",
            {"window": 128, "overlap": 0.25},
        ),
        (
            "{class_path: monai.inferers.SlidingWindowInferer, init_args: {roi_size: [-1, -1]}}",
            {"window": 1024, "overlap": 0.25},
        ),
        ("{class_path: monai.inferers.SimpleInferer}", {"window": 1024, "overlap": 0.25}),
    ],
    ids=["default", "windows", "one side", "whole", "none"],
)
def test_windows_take_the_place_of_an_inferer(inferer, expected, tiny_manifest, tmp_path):
    experiment = Path(__file__).resolve().parents[2] / "experiments/lotus/student.yaml"
    layer = tmp_path / "windows.yaml"
    layer.write_text(f"model:\n  init_args:\n    inferer: {inferer}\n")
    manifest = f"--data.init_args.manifest={tiny_manifest}"
    arguments = [f"--config={experiment}", f"--config={layer}", manifest]
    if inferer == "null":
        keys = read_configuration(arguments).keys
    else:
        with pytest.warns(UserWarning, match=f"earlier version; window: {expected['window']}"):
            keys = read_configuration(arguments).keys
    found = keys["model"]["init_args"]
    assert {name: found[name] for name in expected} == expected
    assert "inferer" not in found


def test_what_is_said_of_windows_goes_before_an_inferer(tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_text("inferer: {init_args: {roi_size: 64}}\nwindow: 96\n")
    with pytest.warns(UserWarning, match="window: 64 stands for it"):
        assert of_this_version(composed(path)) == {"window": 96}


def test_an_inferer_on_the_command_line_is_answered_with_what_there_is(tiny_manifest):
    experiment = Path(__file__).resolve().parents[2] / "experiments/lotus/student.yaml"
    given = "--model.init_args.inferer=monai.inferers.SimpleInferer"
    with pytest.raises(ValueError, match=r"inferer.*window, overlap"):
        read_configuration([f"--config={experiment}", given])


def test_an_old_path_on_the_command_line_is_answered_with_the_new_one(tiny_manifest):
    experiment = Path(__file__).resolve().parents[2] / "experiments/lotus/teacher.yaml"
    given = "--model.init_args.instances=lotus.transforms.FlowField"
    with pytest.raises(ValueError, match=r"it is lotus.schemes.FlowField now$"):
        read_configuration([f"--config={experiment}", given])


@pytest.mark.slow
def test_a_run_of_then_goes_on_with_the_same_configuration(tiny_manifest, tmp_path):
    """Its configuration names the class by the module it stood in; another class is refused."""
    experiment = Path(__file__).resolve().parents[2] / "experiments/lotus/student.yaml"
    arguments = [f"--config={experiment}", f"--data.init_args.manifest={tiny_manifest}"]
    keys = read_configuration(arguments).keys
    now = "lotus.transforms.SRMicroCTEnhancement"
    assert keys["data"]["init_args"]["preprocessing"]["class_path"] == now
    keys["data"]["init_args"]["preprocessing"]["class_path"] = (
        "lotus.transforms.enhancement.SRMicroCTEnhancement"
    )
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(keys))
    refuse_another_configuration(tmp_path, arguments)
    other = [*arguments, "--data.init_args.preprocessing=lotus.transforms.PercentileRange"]
    with pytest.raises(ValueError, match=r"was begun with data.init_args.preprocessing.class_path"):
        refuse_another_configuration(tmp_path, other)
