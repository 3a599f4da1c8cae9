"""An enhancement that is stopped goes on, and gives the same to the byte."""

import os
import shutil
from contextlib import suppress

import numpy as np
import pytest

from lotus.imaging import volume_writer, write_image
from lotus.process_pool import in_this_process
from lotus.transforms.enhance_files import BLOCK, enhance_files
from lotus.transforms.enhance_plan import plan_files
from lotus.transforms.enhancement import SRMicroCTEnhancement

DEPTH = 2 * BLOCK + 2
OUTPUTS = ["out.tif", "out.ome.zarr"]


@pytest.fixture
def source(tmp_path):
    """Slices of a square of bone that grows, one of them blank."""
    slices = np.random.default_rng(0).normal(0.2, 0.03, (DEPTH, 60, 60)).astype(np.float32)
    for number, plane in enumerate(slices):
        plane[10 : 30 + number, 10:40] += 0.5
    slices[5] = 0.0
    path = tmp_path / "in.tif"
    with volume_writer(path, slices.shape, np.float32, (2.0, 0.5, 0.5)) as write:
        for plane in slices:
            write(plane)
    return path


def enhancement(opening_px=5):
    return SRMicroCTEnhancement(opening_px=opening_px, closing_px=3)


def stopping(after):
    """Works on some blocks and is then interrupted."""

    def run(function, items):
        yield from map(function, items[:after])
        raise KeyboardInterrupt

    return run


def counting(counted):
    def run(function, items):
        for item in items:
            counted.extend(item.slices)
            yield function(item)

    return run


def contents(folder):
    """Everything written, hidden or not."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(params=OUTPUTS)
def output(request, tmp_path):
    return tmp_path / "stopped" / request.param


@pytest.fixture
def whole(source, output, tmp_path):
    """What a run that nobody stops writes."""
    enhance_files(plan_files(source, tmp_path / "whole" / output.name), enhancement())
    return {
        name: content.replace(b"/whole/", b"/stopped/")
        for name, content in contents(tmp_path / "whole").items()
    }


def test_a_stopped_run_goes_on_where_it_was(source, output, whole):
    plan = plan_files(source, output)
    with pytest.raises(KeyboardInterrupt):
        enhance_files(plan, enhancement(), stopping(after=1))
    assert not output.exists()
    done = []
    found = enhance_files(plan, enhancement(), counting(done))
    assert done == list(range(BLOCK, DEPTH))
    assert [fact.slice for fact in found.facts] == list(range(DEPTH))
    assert contents(output.parent) == whole


def test_a_run_stopped_between_two_slices_repeats_none(source, output, whole):
    plan = plan_files(source, output)
    with pytest.raises(KeyboardInterrupt):
        enhance_files(plan, enhancement(), stopping(after=2))
    # The fact of a slice is written last: without it, the slice counts as not begun.
    next(plan.hidden.glob("*/000003.json")).unlink()
    done = []
    enhance_files(plan, enhancement(), counting(done))
    assert done == [3, *range(2 * BLOCK, DEPTH)]
    assert contents(output.parent) == whole


def test_the_same_volume_is_written_by_one_process_at_a_time(source, output, whole):
    plan = plan_files(source, output)

    def meeting_another(function, items):
        with pytest.raises(ValueError, match=f"another process is writing .*{output.name}"):
            enhance_files(plan, enhancement(opening_px=7))
        return map(function, items)

    enhance_files(plan, enhancement(), meeting_another)
    assert contents(output.parent) == whole


@pytest.mark.slow
@pytest.mark.parametrize("store", ["TiffSlices", "ZarrStore"])
@pytest.mark.parametrize("mask", [None, "mask.tif", "mask.zarr"])
def test_a_run_stopped_in_the_last_step_has_only_that_left(
    store, mask, source, output, tmp_path, monkeypatch
):
    """Image and mask are put into their places one after the other."""
    mask = mask and output.with_name(mask)
    plan = plan_files(source, output, mask)
    enhance_files(plan, enhancement())
    expected = contents(output.parent)

    def interrupted(self):
        raise KeyboardInterrupt

    for target in (output, mask):
        if target:
            shutil.rmtree(target) if target.is_dir() else target.unlink()
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(f"lotus.imaging.volume_stores.{store}.finish", interrupted)
        enhance_files(plan, enhancement())
    done = []
    enhance_files(plan, enhancement(), counting(done))
    assert done in ([], [*range(DEPTH)])  # all, where no store of that kind was stopped
    assert contents(output.parent) == expected


@pytest.mark.slow
def test_other_settings_and_another_input_start_anew(source, output, tmp_path, whole):
    plan = plan_files(source, output)
    with pytest.raises(KeyboardInterrupt):
        enhance_files(plan, enhancement(opening_px=1), stopping(after=1))
    done = []
    enhance_files(plan, enhancement(), counting(done))
    assert done == list(range(DEPTH))
    assert contents(output.parent) == whole
    with pytest.raises(KeyboardInterrupt):
        enhance_files(plan, enhancement(), stopping(after=1))
    os.utime(source, (1, 1))
    done.clear()
    enhance_files(plan, enhancement(), counting(done))
    assert done == list(range(DEPTH))


def test_of_a_folder_finished_files_are_kept(tmp_path):
    (tmp_path / "in").mkdir()
    plane = np.random.default_rng(0).normal(0.2, 0.03, (60, 60)).astype(np.float32)
    plane[10:40, 10:40] += 0.5
    for name in "abc":
        write_image(tmp_path / f"in/{name}.tif", plane)
    plan = plan_files(tmp_path / "in", tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        enhance_files(plan, enhancement(), stopping(after=2))
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tif")) == ["a.tif", "b.tif"]
    (tmp_path / "out/a.tif").unlink()
    done = []
    enhance_files(plan, enhancement(), counting(done))
    assert done == [0, 0]  # what somebody took away, and what was left
    assert sorted(p.name for p in (tmp_path / "out/bone").iterdir()) == ["a.tif", "b.tif", "c.tif"]
    assert not plan.hidden.exists()


def test_an_error_keeps_finished_slices_and_nothing_is_left_of_none(tmp_path):
    (tmp_path / "in").mkdir()
    for name, value in (("a", 0.0), ("b", 1.0)):
        plane = np.random.default_rng(0).normal(0.2, 0.03, (60, 60)).astype(np.float32)
        plane[10:40, 10:40] += 0.5
        write_image(tmp_path / f"in/{name}.tif", plane * np.float32(value))
    plan = plan_files(tmp_path / "in", tmp_path / "out")
    with pytest.raises(ValueError, match=r"a\.tif: image is constant"):
        enhance_files(plan, enhancement())
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
    (tmp_path / "in/a.tif").rename(tmp_path / "in/c.tif")
    plan = plan_files(tmp_path / "in", tmp_path / "out")
    with pytest.raises(ValueError, match=r"c\.tif: image is constant"):
        enhance_files(plan, enhancement(), in_this_process)
    # Once the bad one is gone, nothing is left to do.
    (tmp_path / "in/c.tif").unlink()
    done = []
    plan = plan_files(tmp_path / "in", tmp_path / "out")
    found = enhance_files(plan, enhancement(), counting(done))
    assert done == []
    assert [fact.name for fact in found.facts] == ["b"]
    assert (tmp_path / "out/b.tif").is_file()
    assert not plan.hidden.exists()
