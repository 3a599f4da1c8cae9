"""A run is where its config.yaml lies, and its data are found from anywhere."""

import shutil
from pathlib import Path

import pytest
import yaml

from data_modules.manifest import read_manifest, write_manifest
from data_modules.splits import make_splits, read_splits, write_splits
from lotus.cli import main
from lotus.runs import RunFolder
from lotus.training.configuration import read_configuration
from lotus.training.place import in_its_folder
from lotus.training.same_configuration import refuse_another_configuration
from tests.conftest import tiny_arguments
from tests.test_bad_input import contents

MANIFEST = "--data.init_args.manifest"


@pytest.fixture
def run(tmp_path):
    """A folder with a checkpoint, whose configuration names another one."""
    folder = RunFolder(tmp_path / "here/mine/renamed")
    folder.checkpoints.mkdir(parents=True)
    folder.config.write_text("{runs: there, experiment: yours, run: old}")
    return folder


@pytest.mark.slow
def test_the_place_of_a_run_is_that_of_its_folder(run, tmp_path):
    content = yaml.safe_load(run.config.read_text())
    place = {"runs": str(tmp_path / "here"), "experiment": "mine", "run": "renamed"}
    assert in_its_folder({**content, "monitor": "dice"}, run) == {**place, "monitor": "dice"}


@pytest.mark.slow
def test_only_what_lies_in_a_run_is_its_configuration(run, tmp_path):
    assert RunFolder.of_config(run.config) == run
    for other in (run.path / "other.yaml", tmp_path / "config.yaml"):
        shutil.copy(run.config, other)
        assert RunFolder.of_config(other) is None


@pytest.mark.slow
def test_a_split_file_that_is_gone_is_that_of_the_run(run, tmp_path):
    kept = tmp_path / "kept.json"
    kept.touch()
    parts = [{"splits": str(tmp_path / "gone.json")}, {"splits": None}, {"splits": str(kept)}]
    content = {"splits": "gone.json", "data": {"parts": parts}}
    assert in_its_folder(content, run)["data"] == content["data"]
    run.splits.touch()
    found = in_its_folder(content, run)
    own = str(run.splits)
    assert found["splits"] == own
    assert [part["splits"] for part in found["data"]["parts"]] == [own, None, str(kept)]


@pytest.fixture(scope="module")
def renamed(tiny_manifest, tmp_path_factory):
    """A run that was trained with relative names, and renamed; another one has the old name."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        shutil.copytree(tiny_manifest.parent, "data")
        split = ("--splits", "split.json")
        assert main([*tiny_arguments("teacher", "data/manifest.csv", "runs"), *split]) == 0
    old = home / "runs/teacher/tiny"
    shutil.copytree(old, home / "archive/best/of-march")
    (home / "split.json").unlink()
    return home / "archive/best/of-march", old


@pytest.mark.slow
def test_a_renamed_run_is_tested_where_it_lies_from_anywhere(renamed, tmp_path, monkeypatch):
    folder, old = renamed
    before = contents(old)
    monkeypatch.chdir(tmp_path)
    assert main(["test", "--config", str(folder / "config.yaml")]) == 0
    tested = {path.stem for path in (folder / "predictions").iterdir()}
    split = read_splits(folder / "splits.json")
    assert tested == {f"histology_{patient.removeprefix('P')}" for patient in split.test}
    monkeypatch.chdir(folder)
    assert main(["predict", "--config", "config.yaml"]) == 0
    assert (folder / "predict/predictions").is_dir()
    assert contents(old) == before
    assert not (old.parents[2] / "split.json").exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_renamed_run_goes_on_where_it_lies(renamed, tmp_path, monkeypatch, capsys):
    folder, old = renamed
    before = contents(old)
    copy = shutil.copytree(folder, tmp_path / "runs/teacher/copy")
    monkeypatch.chdir(tmp_path)
    more = ("--ckpt_path", "last", "--trainer.max_epochs", "3")
    assert main(["fit", "--config", "runs/teacher/copy/config.yaml", *more]) == 0
    kept = yaml.safe_load((copy / "config.yaml").read_text())
    assert (kept["run"], kept["trainer"]["max_epochs"]) == ("copy", 3)
    # A new run, by its name, is no other run.
    assert main(["fit", "--config", str(copy / "config.yaml")]) == 2
    assert "copy holds a finished or interrupted run" in capsys.readouterr().err
    assert contents(old) == before


@pytest.mark.slow
def test_paths_are_kept_absolute(renamed):
    folder, old = renamed
    kept = yaml.safe_load((folder / "config.yaml").read_text())
    assert kept["data"]["init_args"]["manifest"] == str(old.parents[2] / "data/manifest.csv")
    assert Path(kept["splits"]).is_absolute()


@pytest.mark.slow
def test_the_same_data_elsewhere_are_the_same_configuration(tiny_manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_manifest.parent, "data")
    run = RunFolder(Path("run"))
    run.path.mkdir()
    arguments = tiny_arguments("teacher", "data/manifest.csv", "runs")[1:]
    run.config.write_text(yaml.safe_dump(read_configuration(arguments).keys))
    records = read_manifest("data/manifest.csv")
    write_splits(run.splits, make_splits(records))

    Path("data").rename("moved")
    refuse_another_configuration(run.path, [*arguments, MANIFEST, "moved/manifest.csv"])
    write_manifest(Path("moved/fewer.csv"), read_manifest("moved/manifest.csv")[:-1])
    with pytest.raises(ValueError, match=r"run was begun with data.init_args.manifest = .*data"):
        refuse_another_configuration(run.path, [*arguments, MANIFEST, "moved/fewer.csv"])


@pytest.mark.slow
def test_a_relative_name_that_an_earlier_version_kept_is_the_same_file(tiny_manifest, tmp_path):
    arguments = tiny_arguments("teacher", tiny_manifest, "runs")[1:]
    keys = read_configuration([*arguments, "--data.init_args.cache", "cache"]).keys
    keys["data"]["init_args"]["cache"] = "cache"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(keys))
    refuse_another_configuration(tmp_path, [*arguments, "--data.init_args.cache", "cache"])
    with pytest.raises(ValueError, match=r"was begun with data.init_args.cache = cache"):
        refuse_another_configuration(tmp_path, [*arguments, "--data.init_args.cache", "other"])
