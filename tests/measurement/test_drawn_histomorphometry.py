"""Histomorphometry of drawings: real tracings through the command, and figures by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import yaml

from lotus.cli import main
from lotus.imaging import read_label_map
from lotus.imaging.drawings import Drawing, read_drawings, write_imagej_rois
from lotus.imaging.outlines import outline_objects
from lotus.measurement.drawn_section import measure_drawings
from lotus.morphometry.outline import ring_perimeter

KINDS = {"POLYGON": "polygon", "POINT": "points"}


def area(name, *rings):
    return Drawing(name, "polygon", tuple(np.array(ring, float) for ring in rings))


def line(name, *points):
    return Drawing(name, "line", (np.array(points, float),))


def square(start, stop):
    return [(start, start), (start, stop), (stop, stop), (stop, start)]


def measured(tmp_path, source, roles, *options):
    (tmp_path / "roles.yaml").write_text(yaml.safe_dump(roles))
    command = ["measure", "histomorphometry", source, "--roles", tmp_path / "roles.yaml"]
    assert main([str(each) for each in (*command, "--output", tmp_path / "out", *options)]) == 0
    (row,) = pd.read_csv(tmp_path / "out/histomorphometry.csv").to_dict("records")
    return row


@pytest.mark.parametrize(
    ("surface", "ms_bs", "single", "double", "width", "sd", "n"),
    [
        ("ps", 63.44, 2454.2, 1456.5, 6.677, 0.981, 96),
        ("es", 52.67, 1434.5, 803.3, 3.964, 0.799, 48),
    ],
)
def test_tracings_of_a_real_bone(
    shared_data, tmp_path, surface, ms_bs, single, double, width, sd, n
):
    folder = shared_data / "dynamic_labels_mouse"
    stored = json.loads((folder / "dynamic_label_rois.json").read_text())
    files = ("RR297RFRR_R_label-Measured.zip", "RR297RFRR_R-Interlabel-Measured.zip")
    drawings = [
        Drawing(roi["name"], KINDS.get(roi["type"], "line"), (np.array(roi["xy"])[:, ::-1],))
        for file in files
        for roi in stored[file]
    ]
    write_imagej_rois(tmp_path / "mouse.zip", drawings)
    roles = {
        f"{surface}-Perim": "bone_perimeter",
        f"{surface}-sL*": "single_label",
        f"{surface}-dL*": "double_label",
        f"{surface.capitalize()}-IL-*": "interlabel_line",
        "*": "ignore",
    }
    days = ("--interlabel-days", 5)
    row = measured(tmp_path, tmp_path / "mouse.zip", roles, "--pixel-size-um", 1 / 2.03, *days)
    assert row["MS/BS (%)"] == pytest.approx(ms_bs, abs=0.1)
    assert 1000 * row["sL.Pm (mm)"] == pytest.approx(single, abs=0.1)
    assert 1000 * row["dL.Pm (mm)"] == pytest.approx(double, abs=0.1)
    assert row["Ir.L.Wi (um)"] == pytest.approx(width, rel=0.01)
    assert row["Ir.L.Wi SD (um)"] == pytest.approx(sd, rel=0.01)
    assert row["Ir.L.Wi n"] == n
    assert row["MAR (um/d)"] == pytest.approx(math.pi / 4 * width / 5, rel=0.01)
    assert math.isnan(row["O.Th (um)"])


@pytest.mark.parametrize("pair", [("ps0", "ps1"), ("ps2", "ps3"), ("es4", "es5")])
def test_width_between_two_traced_labels_is_the_area_between_them_by_their_length(
    shared_data, pair
):
    file = shared_data / "dynamic_labels_mouse" / "dynamic_label_rois.json"
    stored = json.loads(file.read_text())["RR297RFRR_R_interlabel.zip"]
    places = {roi["name"]: np.array(roi["xy"])[:, ::-1] for roi in stored}
    older, younger = (places[name] for name in pair)
    y, x = np.concatenate([older, younger[::-1]]).T
    between = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    lengths = [np.linalg.norm(np.diff(each, axis=0), axis=1).sum() for each in (older, younger)]
    drawings = {"label1": [line("old", *older)], "label2": [line("young", *younger)]}
    primary = measure_drawings(drawings, 1 / 2.03).primary
    width = between / np.mean(lengths) / 2.03
    assert primary.interlabel_width.mean == pytest.approx(width, rel=0.01)
    assert primary.double_label_perimeter == pytest.approx(np.mean(lengths) / 2.03, rel=0.01)


@pytest.mark.slow
def test_pores_of_a_real_rib_are_those_of_their_own_tables(shared_data, tmp_path):
    folder = shared_data / "rib_pores"
    labels = read_label_map(folder / "rib_pores_labels_4272x5905.tif")
    name = "Sample_Rib_PoreAnalyzer_{}.csv"
    bone = pd.read_csv(folder / name.format("Cross_Sectional_Geometry")).iloc[0]
    pores = pd.read_csv(folder / name.format("Individual_Pore_Measurements"))
    total = pd.read_csv(folder / name.format("Total_Summary_Pore_Measurements")).iloc[0]
    pixel = 1000 / bone["Scale (pixels/mm)"]
    # Of the outlines of the section the tables keep the areas alone: squares as large.
    sides = [np.sqrt(bone[f"{part} Area (mm^2)"]) * 1000 / pixel for part in ("Total", "Endosteal")]
    drawings = [area("section", square(0, sides[0])), area("marrow", square(0, sides[1]))]
    drawings.append(area("tissue", square(0, sides[0])))
    for number, parts in outline_objects(labels).items():
        rings = [np.array(ring[:-1], float)[:, ::-1] for part in parts for ring in part]
        drawings.append(area(f"pore {number}", *rings))
    write_imagej_rois(tmp_path / "rib.zip", drawings)
    roles = {"section": "bone", "marrow": "marrow", "tissue": "tissue", "pore*": "pore"}
    row = measured(tmp_path, tmp_path / "rib.zip", roles, "--pixel-size-um", pixel)
    assert row["Po.N"] == len(pores) == 305
    assert row["Po.Ar (mm2)"] == pytest.approx(total["Total Pore Area (um^2)"] / 1e6, rel=1e-3)
    assert row["Ct.Po (%)"] == pytest.approx(total["Percent Porosity (%)"], rel=1e-3)
    assert row["Po.Dn (1/mm2)"] == pytest.approx(total["Pore Density (1/mm^2)"], rel=1e-3)
    assert row["BV/TV (%)"] == pytest.approx(total["% Bone Area"], rel=1e-3)
    assert row["Po.Pm (mm)"] == pytest.approx(pores["Perimeter (um)"].sum() / 1000, rel=0.01)
    # The other convention, all edges of pixels, is near to 4 / pi of it.
    read = [each for each in read_drawings(tmp_path / "rib.zip") if each.name.startswith("pore")]
    edges = sum(
        np.abs(ring - np.roll(ring, 1, axis=0)).sum() for each in read for ring in each.rings
    )
    assert edges * pixel / pores["Perimeter (um)"].sum() == pytest.approx(4 / math.pi, rel=0.05)
    per_pore = np.array([sum(map(ring_perimeter, each.rings)) for each in read]) * pixel
    off = np.abs(per_pore / pores["Perimeter (um)"].to_numpy() - 1)
    assert np.median(off) < 0.003
    assert np.quantile(off, 0.9) < 0.01


def test_areas_and_perimeters_of_a_drawn_square():
    # Of 2 µm a pixel: bone 100 x 100 px with a hole of 20 x 20, marrow of 30 x 30 taken off it,
    # an osteoid seam of 100 x 5 px along its left side.
    drawings = {
        "tissue": [area("t", square(0, 200))],
        "bone": [area("b", square(50, 150), square(60, 80))],
        "marrow": [area("m", square(100, 130))],
        "osteoid": [area("o", [(50, 50), (150, 50), (150, 55), (50, 55)])],
        "osteoid_line": [line("w", (100, 50), (100, 55))],
    }
    primary = measure_drawings(drawings, 2.0).primary
    assert primary.tissue_area == pytest.approx(4 * 200**2)
    assert primary.bone_area == pytest.approx(4 * (100**2 - 20**2 - 30**2))
    assert primary.osteoid_area == pytest.approx(4 * 500)
    assert primary.mineralised_area == pytest.approx(4 * (100**2 - 20**2 - 30**2 - 500))
    assert primary.osteoid_width.mean == pytest.approx(10.0)
    # The left side, and 5 + 2 px of the two that meet it; outlines along pixels read a bit less.
    assert primary.osteoid_perimeter == pytest.approx(2 * (100 + 2 * 7), rel=0.03)
    assert primary.bone_perimeter == pytest.approx(2 * (4 * 100 + 4 * 20 + 4 * 30), rel=0.06)
    # Nobody drew or looked for labels.
    assert math.isnan(primary.double_label_perimeter)


def test_bone_that_ends_with_the_tissue_has_no_surface_there():
    drawings = {
        "tissue": [area("t", square(0, 100))],
        "bone": [area("b", [(0, 0), (0, 40), (100, 40), (100, 0)])],
    }
    primary = measure_drawings(drawings, 1.0).primary
    assert primary.bone_perimeter == pytest.approx(100, abs=3)


def test_labels_are_told_apart_by_geometry_and_named_ones_are_taken_as_they_are():
    # The younger label runs beside the first half of the older one.
    older, younger = line("1", (0, 0), (0, 100)), line("2", (10, 0), (10, 50))
    surface = [line("p", (20, 0), (20, 100))]
    found = measure_drawings(
        {"bone_perimeter": surface, "label1": [older], "label2": [younger]}, 1.0
    ).primary
    assert found.double_label_perimeter == pytest.approx(50, abs=2)
    assert found.single_label_perimeter == pytest.approx(50, abs=4)
    assert found.interlabel_width.mean == pytest.approx(10, rel=0.02)
    named = measure_drawings(
        {"bone_perimeter": surface, "single_label": [older], "double_label": [younger]}, 1.0
    ).primary
    assert (named.single_label_perimeter, named.double_label_perimeter) == (100, 50)


def test_one_label_alone_is_single_and_said():
    section = measure_drawings({"label1": [line("1", (0, 0), (0, 100))]}, 1.0)
    assert section.primary.single_label_perimeter == pytest.approx(100)
    assert section.primary.double_label_perimeter == 0
    assert section.primary.interlabel_width.n == 0
    assert "label1 alone is drawn: no double label" in section.doubts


def test_labels_that_cross_are_said():
    crossing = {
        "label1": [line("1", (0, 0), (100, 100))],
        "label2": [line("2", (0, 100), (100, 0))],
    }
    doubts = " ".join(measure_drawings(crossing, 1.0).doubts)
    assert "label1 and label2 touch or cross, such as at x 50, y 50 px" in doubts


def test_pores_are_counted_and_are_no_bone():
    drawings = {
        "bone": [area("b", square(0, 100))],
        "pore": [area("p", square(10, 20)), area("q", square(50, 70))],
    }
    primary = measure_drawings(drawings, 1.0).primary
    assert (primary.pore_number, primary.pore_area) == (2, 500)
    assert primary.bone_area == 100**2 - 500


@pytest.mark.parametrize(
    ("drawings", "said"),
    [
        ({"bone": [line("b", (0, 0), (0, 9))]}, "b is an open line, and its role bone needs a"),
        ({"osteoid_line": [area("o", square(0, 5))]}, "o is an area, and its role osteoid_line"),
        ({"wall": [area("w", square(0, 5))]}, "wall is no role; known are tissue, bone, "),
    ],
)
def test_drawings_that_cannot_have_their_role_are_refused(drawings, said):
    with pytest.raises(ValueError, match=said):
        measure_drawings(drawings, 1.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--roles", "roles.yaml"],
            "drawings are in pixels, and there is no pixel size; give --pi",
        ),
        (["--roles", "roles.yaml", "--pixel-size-um", "0"], "there is a pixel size of 0 µm; give"),
        (
            ["--roles", "roles.yaml", "--classes", "a=1"],
            "--classes is for class maps and --roles f",
        ),
        ([], "bone.zip holds drawings; say by --roles what their names mean"),
    ],
)
def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    write_imagej_rois(tmp_path / "bone.zip", [area("bone", square(0, 50))])
    (tmp_path / "roles.yaml").write_text("bone: bone\n")
    assert main(["measure", "histomorphometry", "bone.zip", "--output", "out", *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_drawings_has_a_region_for_each_file(tmp_path):
    for name, edge in (("a", 50), ("b", 80)):
        write_imagej_rois(tmp_path / f"{name}.zip", [area("bone", square(0, edge))])
    (tmp_path / "roles.yaml").write_text("bone: bone\n")
    (tmp_path / "cases.csv").write_text("roi,case\na,P1\nb,P1\n")
    command = ["measure", "histomorphometry", tmp_path, "--roles", tmp_path / "roles.yaml"]
    options = ["--pixel-size-um", 10, "--cases", tmp_path / "cases.csv", "--output", tmp_path / "o"]
    assert main([str(each) for each in (*command, *options)]) == 0
    rows = pd.read_csv(tmp_path / "o/histomorphometry.csv").set_index("roi")
    assert rows["B.Ar (mm2)"].to_dict() == pytest.approx({"a": 0.25, "b": 0.64})
    (case,) = pd.read_csv(tmp_path / "o/cases.csv").to_dict("records")
    assert (case["case"], case["ROIs"]) == ("P1", 2)
    assert case["B.Ar (mm2)"] == pytest.approx(0.89)
