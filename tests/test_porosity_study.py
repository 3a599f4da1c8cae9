"""From nanoCT to the measures of its pores by the shipped studies, with few and short trainings."""

from pathlib import Path

import pandas as pd
import pytest

from data_modules.manifest import read_manifest
from lotus.cli import main
from lotus.imaging.ome_zarr import OmeZarr
from lotus.studies.stages import Training
from lotus.studies.study import read_study
from lotus.training.configuration import read_configuration
from tests.conftest import TINY
from tests.engines.in_process import IN_PROCESS
from tests.test_porosity_recipes import nanoct

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
STUDIES = ("porosity", "porosity_staged")
SHAPE = (120, 32, 40)
TESTED = slice(116, 120)
# A network of one step may say that all is background, which cannot be cleaned. The models of
# Fig. 5, whose volumes nobody measures, have one step all the same, of four crops.
FEW_STEPS = (
    *TINY[:-2],
    *("--trainer.num_sanity_val_steps", "0", "--trainer.max_epochs", "1"),
    *("--trainer.limit_train_batches", "4", "--trainer.limit_val_batches", "1"),
    *("--trainer.check_val_every_n_epoch", "1", "--trainer.devices", "1"),
    *("--data.init_args.patch_size", "32", "--data.init_args.num_workers", "0"),
    *("--model.init_args.window", "32"),
)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("name", STUDIES)
def test_every_key_of_the_study_is_taken(name, preset, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    study = read_study(EXPERIMENTS / f"studies/{name}.yaml", {"preset": preset}, "seed")
    for stage in study.stages.values():
        if isinstance(stage, Training):
            given = study.command_line(stage, Path("runs"))
            config = read_configuration([text.replace("{seed}", "1") for text in given])
            assert config.data.modality == "zernike_nanoct"


def test_what_builds_on_what():
    study = read_study(EXPERIMENTS / "studies/porosity.yaml", {}, "seed")
    grid = [method for method in study.methods.values() if method.table == "labels"]
    assert len(grid) == 20
    assert {tuple(m.levels.values()) for m in grid} == {
        (network, slices, batch)
        for network in ("unet", "sensor3d")
        for slices in (10, 20, 30, 50, 70)
        for batch in (32, 64)
    }
    levels = [{stage.name for stage in level} for level in study.levels()]
    order = {name: number for number, level in enumerate(levels) for name in level}
    assert order["Sensor3D"] < order["Segmented"] < order["Cleaned"] < order["Pores"]
    assert order["Sensor3D"] < order["fine-tuned"]


@pytest.mark.slow
def test_from_volumes_to_measures(tmp_path, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    first = nanoct(tmp_path / "a", shape=SHAPE, tested=TESTED)
    second = nanoct(tmp_path / "b", seed=1, patient="B", shape=SHAPE, tested=TESTED)
    variables = [
        *(f"data={first}", f"volume={tmp_path}/a/A.tif", f"labels={tmp_path}/a/A_labels.tif"),
        *(f"other_data={second}", f"other_volume={tmp_path}/b/B.tif"),
        *(f"other_labels={tmp_path}/b/B_labels.tif", "crops=4", "canaliculus=0.2"),
        *("labelled_slices=[10, 70]", "batch_sizes=[32, 64]"),
    ]
    study = ["study", "experiments/studies/porosity.yaml", "--run", "tiny", "--runs", str(tmp_path)]
    options = ["--seeds", "3", *IN_PROCESS, "--set", *variables]
    assert main([*study, *options, *FEW_STEPS]) == 0

    folder = tmp_path / "porosity/tiny"
    for table, rows in (("segmentation", 3), ("labels", 8), ("transfer", 2)):
        scores = pd.read_csv(folder / f"tables/{table}/comparison.csv")
        assert scores["method"].nunique() == rows
    factors = pd.read_csv(folder / "tables/labels/factors.csv")
    assert set(factors["factor"]) == {"network", "slices", "batch"}
    (row,) = factors.query("factor == 'network' and score == 'accuracy'").to_dict("records")
    assert row["n"] == 4
    cleaned = OmeZarr.open(folder / "cleaned/seed3/cleaned.ome.zarr")
    assert cleaned.class_names == {1: "lcn", 3: "bone"}
    for stage in ("pores", "lacunae"):
        against = pd.read_csv(folder / f"{stage}/seed3/measured/against.csv")
        true = pd.read_csv(folder / f"true-{stage}/measured/summary.csv").set_index("measure")
        for row in against.dropna(subset=["against"]).to_dict("records"):
            assert row["against"] == pytest.approx(true.loc[row["measure"], "value"])
    as_it_is = pd.read_csv(folder / "as-it-is/seed3/scores.csv", index_col="slice")
    assert as_it_is.index[-1] == "all"
    assert list(as_it_is) == ["dice", "dice_lcn", "dice_bone", "accuracy"]


@pytest.mark.slow
def test_labelling_in_stages(tmp_path, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    manifest = nanoct(tmp_path / "a", shape=SHAPE, tested=TESTED)
    study = ["study", "experiments/studies/porosity_staged.yaml", "--run", "tiny"]
    options = ["--runs", str(tmp_path), "--seeds", "3", *IN_PROCESS]
    assert main([*study, *options, "--set", f"data={manifest}", "network=unet", *FEW_STEPS]) == 0

    folder = tmp_path / "porosity_staged/tiny"
    rounds = ["slices-1-to-20", "slices-21-to-50/seed3", "slices-51-to-70/seed3"]
    seen = set()
    for stage, count in zip(rounds, (20, 50, 70), strict=True):
        rows = read_manifest(folder / stage / "slices/manifest.csv")
        labelled = {r.z_start for r in rows if r.mask is not None and r.split is None}
        assert len(labelled) == count
        assert seen < labelled
        assert max(labelled) < TESTED.start
        seen = labelled
    assert pd.read_csv(folder / "comparison.csv")["method"].nunique() == 5
