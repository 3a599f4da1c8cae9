"""From ROIs of two domains to their measures by the shipped study, with few and short trainings."""

from pathlib import Path

import pandas as pd
import pytest

from data_modules.manifest import read_manifest, write_manifest
from data_modules.splits import read_splits
from lotus.cli import main
from lotus.imaging.file_names import image_stem
from lotus.runs.class_maps import read_class_maps
from lotus.studies.stages import Training
from lotus.studies.study import read_study
from lotus.training.configuration import read_configuration
from tests.conftest import TINY
from tests.engines.in_process import IN_PROCESS

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
STUDY = "studies/histomorphometry.yaml"
SHORT = (
    *TINY[:-2],
    *("--trainer.num_sanity_val_steps", "0", "--trainer.max_epochs", "1"),
    *("--trainer.limit_train_batches", "1", "--trainer.check_val_every_n_epoch", "1"),
    *("--trainer.devices", "1"),
)


@pytest.fixture(scope="module")
def rois(tmp_path_factory):
    """Phantoms of four patients in both domains; P02 has two more ROIs, without masks."""
    folder = tmp_path_factory.mktemp("rois")
    given = ["phantom", "fluorescence", "trichrome", "--output", str(folder), "--size", "160"]
    given += ["--patients", "4", "--groups", "healthy", "--slices", "2", "--labelled-slices", "1"]
    assert main(given) == 0
    records = read_manifest(folder / "manifest.csv")
    kept = [each for each in records if each.mask is not None or each.patient == "P02"]
    write_manifest(folder / "manifest.csv", kept)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quick", "paper"])
@pytest.mark.parametrize("name", ["histomorphometry", "pretraining"])
def test_every_key_of_the_study_is_taken(name, preset, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    study = read_study(EXPERIMENTS / f"studies/{name}.yaml", {"preset": preset})
    for stage in study.stages.values():
        # The tables of more labels have the keys of the first.
        if isinstance(stage, Training) and stage.table in ("", "segmentation", "labels-5"):
            given = study.command_line(stage, Path("runs"))
            config = read_configuration([text.replace("{fold}", "0") for text in given])
            assert list(config.data.domains) == ["fluorescence", "trichrome"]


def test_what_is_compared_with_what():
    """Rows differ in what they start from and in their share of labels, and in nothing else."""
    study = read_study(EXPERIMENTS / "studies/pretraining.yaml", {})
    assert len(study.methods) == 12
    share = "data.init_args.domains.{}.init_args.training_share"
    weights = "model.init_args.network.init_args.encoder.init_args.weights"
    starts = {"LeJEPA": "{LeJEPA.encoder}", "DINO": "{DINO.encoder}", "random": None, "U-Net": None}
    rest = set()
    for name, method in study.methods.items():
        start, _, percent = name.removesuffix(" %").partition(", ")
        assert method.table == f"labels-{percent}"
        given = dict(method.arguments)
        for domain in ("fluorescence", "trichrome"):
            assert given.pop(share.format(domain)) == float(percent) / 100
        assert given.pop(weights, None) == starts[start]
        assert ("unet" in method.configs[0]) == (start == "U-Net")
        given.pop("model.init_args.fine_tuned", None)
        rest.add(tuple(sorted(given.items())))
    assert len(rest) == 1


@pytest.mark.slow
def test_from_rois_to_the_measures_of_cases(rois, tmp_path, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    truth = [str(rois / f"{name}/truth.csv") for name in ("fluorescence", "trichrome")]
    variables = [
        f"data={rois / 'manifest.csv'}",
        f"truth=[{', '.join(truth)}]",
        "tile=64",
        "unlabelled=64",
    ]
    study = ["study", str(EXPERIMENTS / STUDY), "--run", "tiny", "--runs", str(tmp_path)]
    options = ["--folds", "2", *IN_PROCESS, "--set", *variables, "region=128"]
    assert main([*study, *options, *SHORT]) == 0

    folder = tmp_path / "histomorphometry/tiny"
    scores = pd.read_csv(folder / "heads/scores.csv").set_index("name")
    assert len(scores) == 8 + 1
    folds = [pd.read_csv(folder / f"heads/fold{n}/scores.csv").set_index("name") for n in (0, 1)]
    apart = pd.concat([table.drop(index="mean") for table in folds])
    pd.testing.assert_series_equal(scores["dice"][apart.index], apart["dice"])
    assert scores.loc["mean", "routed"] == pytest.approx(apart["routed"].mean())
    for number in (0, 1):
        encoder = folder / f"encoder/fold{number}/encoder.safetensors"
        config = (folder / f"heads/fold{number}/config.yaml").read_text()
        assert encoder.is_file()
        assert str(encoder) in config

    records = read_manifest(rois / "manifest.csv")
    measured = folder / "measured/measured"
    regions = pd.read_csv(measured / "histomorphometry.csv").set_index("roi")
    assert set(regions.index) == {record.name for record in records}
    patient_of = {record.name: record.patient for record in records}
    for number in (0, 1):
        maps = read_class_maps(folder / f"segmented/fold{number}")
        tested = read_splits(folder / f"heads/splits/fold{number}.json").test
        found = {image_stem(each.image): each.domain for each in maps}
        assert {patient_of[name] for name in found} == set(tested)
        assert all(regions.loc[name, "domain"] == domain for name, domain in found.items())
    cases = pd.read_csv(measured / "cases.csv").set_index("case").sort_index()
    assert list(cases.index) == [f"P0{n}" for n in range(1, 5)]
    assert cases["ROIs"].tolist() == [2, 4, 2, 2]
    against = pd.read_csv(measured / "against.csv")
    assert set(against["other"]) == {str(folder / "masks/measured"), *truth}
    of_truth = pd.read_csv(folder / "masks/measured/against.csv")
    (volume,) = of_truth.query("domain == 'trichrome' and measure == 'BV/TV'").to_dict("records")
    assert volume["largest"] < 0.5
