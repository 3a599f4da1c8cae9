"""Porosity against counts by hand and the published tables of a rib and of femurs."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from lotus.imaging import read_label_map
from lotus.masks import connected_components
from lotus.morphometry.objects import object_table
from lotus.morphometry.porosity import (
    porosity_of_bone,
    porosity_of_tissue,
    porosity_profile,
    slice_counts,
)


def test_the_two_porosities_differ_by_what_they_are_related_to():
    assert porosity_of_bone(2, 98) == pytest.approx(2 / 98)
    assert porosity_of_tissue(2, 98) == pytest.approx(0.02)
    assert porosity_of_tissue(5, 0) == 1
    assert np.isnan(porosity_of_bone(5, 0))
    assert np.isnan(porosity_of_tissue(0, 0))
    assert porosity_of_bone(0, 5) == porosity_of_tissue(0, 5) == 0


def test_counts_of_blocks_stack_up_and_other_classes_are_not_counted():
    labels = np.random.default_rng(0).integers(0, 5, (6, 7, 8)).astype(np.uint8)
    counts = slice_counts(labels, (1, 4))
    assert counts.shape == (6, 2)
    assert counts[3].tolist() == [(labels[3] == 1).sum(), (labels[3] == 4).sum()]
    np.testing.assert_array_equal(
        counts, np.concatenate([slice_counts(labels[:4], (1, 4)), slice_counts(labels[4:], (1, 4))])
    )
    with pytest.raises(ValueError, match=r"\(Z, Y, X\) integers"):
        slice_counts(labels[0], (1,))


def test_a_profile_has_a_row_per_slice():
    profile = porosity_profile(np.array([0, 10]), np.array([100, 90]), slice_spacing_um=0.2)
    assert profile["slice"].tolist() == [0, 1]
    assert profile["z_um"].tolist() == pytest.approx([0.1, 0.3])
    assert profile["lcn_per_bone"].tolist() == pytest.approx([0, 1 / 9])
    assert profile["lcn_per_tissue"].tolist() == pytest.approx([0, 0.1])
    assert "z_um" not in porosity_profile(np.array([1]), np.array([1]))


@pytest.mark.slow
def test_pores_of_a_real_rib(shared_data):
    folder = shared_data / "rib_pores"
    labels = tifffile.imread(folder / "rib_pores_labels_4272x5905.tif")
    individual = pd.read_csv(folder / "Sample_Rib_PoreAnalyzer_Individual_Pore_Measurements.csv")
    total = pd.read_csv(folder / "Sample_Rib_PoreAnalyzer_Total_Summary_Pore_Measurements.csv")
    pixel_um = 1000 / 581
    pores = object_table(labels, spacing_um=(pixel_um, pixel_um))
    assert len(pores) == len(individual) == 305
    published = individual.set_index(individual["Pore"] + 1)["Area (um^2)"]
    relative = pores.set_index("label")["area_um2"] / published - 1
    assert relative.abs().max() < 0.017
    assert (relative.abs() < 1e-4).sum() >= 295
    porosity = pores["area_um2"].sum() / total["Cortical Area (um^2)"][0]
    assert porosity == pytest.approx(total["Percent Porosity (%)"][0] / 100, rel=1e-3)


@pytest.mark.parametrize("name", ["391LM_3", "418RL_5"])
def test_osteocytes_and_canals_of_real_femurs(shared_data, name):
    reference = json.loads((shared_data / "reference_values.json").read_text())
    stated = reference["cortical_histology_fexhip"]
    pixel_um, image = stated["pixel_um"], stated["images"][name]
    folder = shared_data / "cortical_histology_fexhip"
    classes = read_label_map(folder / f"{name}_classes.png")
    osteocytes, canals = slice_counts(classes[None], (1, 2))[0] / classes.size
    assert osteocytes == pytest.approx(image["osteocyte_area_fraction"])
    assert canals == pytest.approx(image["haversian_area_fraction"])
    spacing_um = (pixel_um, pixel_um)
    cells = object_table(connected_components(classes == 1), spacing_um=spacing_um)
    assert len(cells) == image["n_osteocytes"]
    assert cells["area_um2"].mean() == pytest.approx(image["osteocyte_mean_area_um2"])
    areas = object_table(connected_components(classes == 2), spacing_um=spacing_um)["area_um2"]
    assert sorted(areas) == pytest.approx(sorted(image["haversian_areas_um2"]), abs=0.05)
