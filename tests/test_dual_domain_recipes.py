"""Both domains by the shipped configurations: from training to the class maps of new ROIs."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from data_modules.manifest import Record, read_manifest, write_manifest
from lotus.cli import main
from lotus.imaging import read_image, read_label_map, write_image, write_label_map
from lotus.imaging.raster import read_pixel_size
from lotus.inference.roi_segmenter import load_roi_segmenter
from lotus.runs.class_maps import read_class_maps
from tests.conftest import TINY

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
RECIPES = {
    "dual_domain/segmentation": (
        "dual_domain/quick/segmentation",
        "dual_domain/paper/segmentation",
    ),
    "dual_domain/unet": ("dual_domain/quick/unet", "dual_domain/paper/unet"),
}
CLASSES = {
    "fluorescence": ["mineralised", "osteoid", "label"],
    "trichrome": ["mineralised", "osteoid"],
}
TISSUE = {
    "fluorescence": [(4, 4, 4), (40, 60, 50), (25, 30, 28), (120, 240, 80)],
    "trichrome": [(240, 238, 242), (60, 110, 170), (190, 50, 70)],
}
NETWORK = "--model.init_args.network.init_args"
SMALL = {
    "dual_domain/segmentation": [
        *(f"{NETWORK}.encoder.init_args.name", "vit_tiny_patch16_224"),
        *(f"{NETWORK}.encoder.init_args.options", "{embed_dim: 24, depth: 2, num_heads: 3}"),
        *(
            text
            for name in CLASSES
            for key, value in {"dim": 24, "blocks": 2, "attention": 3, "width": 8}.items()
            for text in (f"{NETWORK}.heads.{name}.init_args.{key}", str(value))
        ),
    ],
    "dual_domain/unet": [
        text
        for name in CLASSES
        for text in (f"{NETWORK}.heads.{name}.init_args.network.init_args.filters", "[4, 8]")
    ],
}


def roi(modality, patient, size=(64, 80)):
    """Pixels and classes of stripes of every class, in the colours of a domain."""
    random = np.random.default_rng([patient, len(modality)])
    mask = np.zeros(size, np.uint8)
    for number in range(1, len(CLASSES[modality]) + 1):
        mask[:, 16 * number : 16 * number + 10 + patient % 3] = number
    pixels = np.array(TISSUE[modality])[mask] + random.integers(-4, 5, (*size, 3))
    return pixels.clip(0, 255).astype(np.uint8), mask


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """A ROI of five patients in both domains."""
    folder = tmp_path_factory.mktemp("rois")
    records = []
    for modality in CLASSES:
        for patient in range(5):
            name = f"p{patient}_{modality}"
            pixels, mask = roi(modality, patient)
            write_image(folder / f"{name}.tif", pixels, (0.65, 0.65))
            write_label_map(folder / f"{name}.png", mask)
            files = (folder / f"{name}.tif", folder / f"{name}.png")
            records.append(Record(*files, "semantic", modality, f"p{patient}", "unknown", 0.65))
    write_manifest(folder / "manifest.csv", records)
    return folder / "manifest.csv"


def fit(manifest, runs, base, preset, extra=()):
    domains = "--data.init_args.domains"
    settings = {
        "manifest": str(manifest),
        "region": "64",
        "batch_size": "4",
        "samples_per_epoch": "16",
        "num_workers": "0",
        "cache": str(runs / "cache"),
        "split_fractions": "[0.6, 0.2, 0.2]",
    }
    return [
        "fit",
        *("--config", str(EXPERIMENTS / f"{base}.yaml")),
        *("--config", str(EXPERIMENTS / f"{preset}.yaml")),
        *("--runs", str(runs), "--run", "tiny", *TINY),
        *("--trainer.devices", "1", "--trainer.check_val_every_n_epoch", "1"),
        *("--model.init_args.tile", "32", *SMALL[base]),
        *(
            text
            for name in CLASSES
            for key, value in settings.items()
            for text in (f"{domains}.{name}.init_args.{key}", value)
        ),
        *extra,
    ]


@pytest.fixture(scope="module")
def trained(manifest, tmp_path_factory):
    """A run of the heads, long enough to tell the domains apart."""
    runs = tmp_path_factory.mktemp("trained")
    arguments = fit(
        manifest,
        runs,
        "dual_domain/segmentation",
        "dual_domain/quick/segmentation",
        [
            *("--trainer.max_epochs", "30", "--trainer.check_val_every_n_epoch", "15"),
            *("--model.init_args.optimizer", "torch.optim.AdamW"),
            *("--model.init_args.optimizer.init_args.lr", "0.01"),
        ],
    )
    assert main(arguments) == 0
    run = runs / "dual_domain" / "tiny"
    assert main(["test", "--config", str(run / "config.yaml")]) == 0
    return run


@pytest.mark.slow
@pytest.mark.parametrize("preset", [0, 1])
@pytest.mark.parametrize("base", RECIPES)
def test_every_recipe_trains_tests_and_predicts(base, preset, manifest, tmp_path):
    assert main(fit(manifest, tmp_path, base, RECIPES[base][preset])) == 0
    (run,) = tmp_path.glob("dual_domain*/tiny")
    curves = pd.read_csv(run / "metrics.csv")
    wanted = {"train_loss_router", "train_loss_trichrome", "val_dice", "val_fluorescence_routed"}
    wanted |= {"val_trichrome_pooled_iou", "val_fluorescence_f1", "val_trichrome_iou_macro"}
    assert wanted <= set(curves.columns)
    config = str(run / "config.yaml")
    assert main(["test", "--config", config]) == 0
    scores = pd.read_csv(run / "scores.csv")
    names = list(scores["name"])
    assert names[-1] == "mean"
    assert {name.split("_")[1] for name in names[:-1]} == set(CLASSES)
    domains = pd.read_csv(run / "domains.csv").set_index("domain")
    assert list(domains.index) == list(CLASSES)
    for name, row in domains.iterrows():
        own = scores[scores["name"].str.endswith(str(name))]
        assert row["dice_macro"] == pytest.approx(own["dice"].mean(), abs=1e-5)
        assert row["routed"] == pytest.approx(own["routed"].mean())
    assert domains["pooled_iou"].between(0, 1).all()
    assert main(["predict", "--config", config]) == 0
    for part in ("targets", "images", "predictions", "predict/predictions"):
        assert sorted(path.stem for path in (run / part).glob("*.tif")) == names[:-1] or (
            part == "images"
        )
    assert main(["report", str(run)]) == 0
    load_roi_segmenter(run, "cpu")


@pytest.mark.slow
def test_what_is_tested_is_what_is_deployed(trained, manifest, tmp_path):
    """`lotus segment` gives the class maps of the test, and says the same of their domains."""
    tested = {each.labels.stem: each for each in read_class_maps(trained / "predictions")}
    rois = tmp_path / "rois"
    rois.mkdir()
    for name in tested:
        shutil.copy(manifest.parent / f"{name}.tif", rois)
    output = tmp_path / "segmented"
    given = ["segment", str(rois), "--checkpoint", str(trained), "--output", str(output)]
    assert main([*given, "--device", "cpu"]) == 0
    found = read_class_maps(output)
    assert {each.image.stem for each in found} == set(tested)
    for each in found:
        other = tested[each.image.stem]
        assert np.array_equal(read_label_map(each.labels), read_label_map(other.labels))
        assert (each.domain, each.uncertain_tiles) == (other.domain, other.uncertain_tiles)
        assert each.certainty == pytest.approx(other.certainty, abs=1e-5)
        assert each.domain == each.image.stem.split("_")[1]
        assert each.certainty > 0.8
        assert each.classes == {n: i + 1 for i, n in enumerate(CLASSES[each.domain])}
        spacing = read_pixel_size(each.labels)
        assert spacing is not None
        assert tifffile.TiffFile(each.labels).is_ome
        overlay = read_image(output / f"{each.image.stem}_overlay.png").array
        assert overlay.shape[:2] == (64, 80)
        assert (output / f"{each.image.stem}.geojson").is_file()


@pytest.mark.slow
def test_of_a_manifest_those_are_segmented_whom_the_network_does_not_know(
    trained, manifest, tmp_path, capsys
):
    tested = {each.labels.stem for each in read_class_maps(trained / "predictions")}
    records = [replace(each, mask=None) for each in read_manifest(manifest)]
    write_image(tmp_path / "new.tif", roi("trichrome", 9)[0], (0.65, 0.65))
    other = {"image": tmp_path / "new.tif", "modality": "histology", "patient": "new"}
    records.append(replace(records[0], **other))
    write_manifest(manifest.parent / "bare.csv", records)
    given = ["segment", str(manifest.parent / "bare.csv"), "--checkpoint", str(trained)]
    assert main([*given, "--output", str(tmp_path / "out"), "--device", "cpu"]) == 0
    found = read_class_maps(tmp_path / "out")
    assert {each.image.stem for each in found} == tested
    known = [each for each in records if each.name not in tested][:-1]
    write_manifest(manifest.parent / "bare.csv", known)
    assert main([*given, "--output", str(tmp_path / "none"), "--device", "cpu"]) == 2
    assert "8 ROIs of fluorescence, trichrome, and all are of patients" in capsys.readouterr().err


@pytest.mark.slow
def test_classes_are_learnt(trained):
    scores = pd.read_csv(trained / "scores.csv").set_index("name")
    assert scores["routed"].min() == 1
    assert scores.loc["mean", "dice"] > 0.6


@pytest.mark.slow
def test_a_domain_that_the_router_has_not_seen_is_reported(trained, tmp_path, capsys):
    random = np.random.default_rng(0)
    write_image(tmp_path / "strange.png", random.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    given = ["segment", str(tmp_path / "strange.png"), "--checkpoint", str(trained)]
    assert main([*given, "--output", str(tmp_path / "out"), "--device", "cpu"]) == 0
    (found,) = read_class_maps(tmp_path / "out")
    assert found.uncertain
    assert "may be of no domain that this network knows" in capsys.readouterr().out


@pytest.mark.slow
def test_bad_rois_and_options(trained, tmp_path, capsys):
    write_image(tmp_path / "in/small.png", np.eye(20, 40, dtype=np.uint8) * 200)
    given = ["segment", str(tmp_path / "in"), "--checkpoint", str(trained)]
    given += ["--output", str(tmp_path / "out"), "--device", "cpu"]
    assert main(given) == 2
    assert "20 x 40 px as the network sees it; expected at least a tile" in capsys.readouterr().err
    assert main([*given, "--window", "64"]) == 2
    assert "--window does not go with" in capsys.readouterr().err


@pytest.mark.slow
def test_quadrants_lie_side_by_side(trained, manifest, tmp_path):
    maps = {}
    for tiling in ("overlapped", "quadrants"):
        given = ["segment", str(manifest.parent / "p0_trichrome.tif"), "--device", "cpu"]
        given += ["--checkpoint", str(trained), "--output", str(tmp_path / tiling)]
        assert main([*given, "--tiling", tiling]) == 0
        (maps[tiling],) = read_class_maps(tmp_path / tiling)
    assert maps["quadrants"].tiles == 2 * 3
    assert maps["overlapped"].tiles == 3 * 3
    network = load_roi_segmenter(trained, "cpu")
    pixels, _ = roi("trichrome", 0)
    image = torch.from_numpy(network.preprocessing(pixels.transpose(2, 0, 1)))
    with torch.no_grad():
        probabilities, _ = network.network(image[None, :, 32:64, 32:64])
    alone = probabilities[0, network.network.channels["trichrome"]].argmax(dim=0).numpy()
    whole = read_label_map(maps["quadrants"].labels)
    assert np.array_equal(whole[32:64, 32:48], alone[:, :16])
