"""`lotus measure histomorphometry`: from class maps to tables, drawings and messages."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from roifile import roiread

from lotus.cli import main
from lotus.imaging import read_image, write_image, write_label_map
from lotus.runs.class_maps import ClassMap, write_class_maps

PIXEL = 2.0
CLASSES = ("--classes", "mineralised=1", "osteoid=2", "label1=3", "label2=4")


def lotus(*arguments):
    return main(["measure", "histomorphometry", *map(str, arguments)])


def golden() -> np.ndarray:
    """10 mm of surface: 1 mm of double label 15 µm wide, 1 mm of single label; 2 µm pixels.

    The surface goes from the middle of the first to that of the last pixel.
    """
    section = np.zeros((160, 5001), np.uint8)
    section[40:] = 1
    section[58:62, 1000:1500] = 4  # its middle 20 px below the surface
    section[65:70, 1000:1500] = 3  # 7.5 px = 15 µm deeper
    section[58:62, 3000:3500] = 4
    section[40:46, 2000:4000] = 2
    return section


@pytest.fixture
def maps(tmp_path) -> Path:
    folder = tmp_path / "maps"
    write_label_map(folder / "P1_a.tif", golden(), (PIXEL, PIXEL))
    small = golden()[:, 900:2600].copy()
    write_label_map(folder / "P2_a.tif", small, (PIXEL, PIXEL))
    small[small >= 3] = 1
    small[58:62, 100:300] = 3
    write_label_map(folder / "P2_b.tif", small, (PIXEL, PIXEL))
    return folder


def rows(path: Path, index: str) -> pd.DataFrame:
    return pd.read_csv(path).set_index(index)


def test_golden_case(maps, tmp_path, capsys):
    out = tmp_path / "out"
    assert lotus(maps / "P1_a.tif", *CLASSES, "--interlabel-days", 15, "--output", out) == 0
    row = rows(out / "histomorphometry.csv", "roi").loc["P1_a"]
    assert row["B.Pm (mm)"] == pytest.approx(10.0, rel=1e-3)
    assert row["sL.Pm (mm)"] == pytest.approx(1.0, rel=0.01)
    assert row["dL.Pm (mm)"] == pytest.approx(1.0, rel=0.01)
    assert row["Ir.L.Wi (um)"] == pytest.approx(15.0, rel=2e-3)
    assert row["Ir.L.Wi by fill (um)"] == pytest.approx(15.0, rel=0.01)
    assert row["MS/BS (%)"] == pytest.approx(15.0, rel=0.01)
    assert row["MAR (um/d)"] == pytest.approx(0.785, abs=2e-3)
    assert row["BFR/BS (um3/um2/yr)"] == pytest.approx(43.0, rel=0.01)
    assert row["OS/BS (%)"] == pytest.approx(40.0, rel=0.01)
    assert row["O.Th (um)"] == pytest.approx(math.pi / 4 * 12, rel=0.01)
    assert row["BV/TV (%)"] == pytest.approx(75.0)
    printed = capsys.readouterr().out
    assert "each region is a case of its own" in printed
    assert "section factor isotropic" in printed


def test_cases_of_a_table_and_of_a_manifest(maps, tmp_path):
    table = tmp_path / "cases.csv"
    table.write_text("roi,case\nP1_a,P1\nP2_a,P2\nP2_b,P2\n")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("image,mask,patient\ni/P1_a.png,,P1\ni/P2_a.png,,P2\nx.png,P2_b.tif,P2\n")
    found = []
    for cases in (table, manifest):
        out = tmp_path / cases.stem
        options = ("--cases", cases, "--interlabel-days", 15, "--output", out)
        assert lotus(maps, *CLASSES, *options) == 0
        found.append(rows(out / "cases.csv", "case"))
    pd.testing.assert_frame_equal(*found)
    assert found[0]["ROIs"].tolist() == [1, 2]
    regions = rows(out / "histomorphometry.csv", "roi")
    together = regions.loc[["P2_a", "P2_b"], ["dL.Pm (mm)", "sL.Pm (mm)", "B.Pm (mm)"]].sum()
    expected = 100 * (together.iloc[0] + together.iloc[1] / 2) / together.iloc[2]
    assert found[0].loc["P2", "MS/BS (%)"] == pytest.approx(expected)


def test_workbook_report_and_drawings(maps, tmp_path):
    out = tmp_path / "out"
    options = ("--section-factor", "iliac", "--interlabel-days", 15, "--output", out)
    assert lotus(maps / "P2_a.tif", *CLASSES, *options) == 0
    book = pd.read_excel(out / "histomorphometry.xlsx", sheet_name=None)
    assert list(book) == ["regions", "cases", "conventions", "definitions"]
    table = pd.read_csv(out / "histomorphometry.csv")
    assert book["regions"]["MAR (um/d)"][0] == pytest.approx(table["MAR (um/d)"][0])
    assert table["MAR (um/d)"][0] == pytest.approx(15 / 15 / 1.2, rel=3e-3)
    assert table["section factor"][0] == "iliac 1.2000"
    report = (out / "histomorphometry.html").read_text()
    assert "iliac, 1.2000" in report
    assert "MAR" in report
    picture = read_image(out / "overlays" / "P2_a.png").array
    assert (picture == (0, 200, 130)).all(axis=2).sum() > 500
    lengths: dict[str, float] = {}
    for roi in roiread(out / "overlays" / "P2_a.zip"):
        name = roi.name.split(" ")[0]
        sides = np.linalg.norm(np.diff(roi.coordinates(), axis=0), axis=1)
        lengths[name] = lengths.get(name, 0.0) + sides.sum() * PIXEL / 1000
    # What ImageJ measures along these lines is what stands in the table.
    assert lengths["B.Pm"] + lengths["O.Pm"] == pytest.approx(table["B.Pm (mm)"][0], rel=0.01)
    assert lengths["dL.Pm"] / 2 == pytest.approx(table["dL.Pm (mm)"][0], rel=0.01)
    count = table["Ir.L.Wi n"][0]
    assert lengths["Ir.L.Wi"] / count * 1000 == pytest.approx(table["Ir.L.Wi (um)"][0], rel=1e-5)


def test_single_labels_alone(maps, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = (maps / "P2_b.tif", *CLASSES, "--interlabel-days", 15, "--output", out)
    assert lotus(*arguments) == 0
    [row] = pd.read_csv(out / "histomorphometry.csv").to_dict("records")
    assert math.isnan(row["MAR (um/d)"])
    assert row["MS/BS (%)"] > 0
    assert "WARNING: case P2_b: single labels alone: MAR is not defined" in capsys.readouterr().out
    assert lotus(*arguments, "--impute-mar") == 0
    [row] = pd.read_csv(out / "histomorphometry.csv").to_dict("records")
    assert row["MAR (um/d)"] == 0.3
    assert row["MAR imputed"] == "yes"


def test_the_given_pixel_size_goes_first(maps, tmp_path):
    for size, out in ((2.0, tmp_path / "as_stated"), (1.0, tmp_path / "given")):
        options = ("--pixel-size-um", size, "--smallest-hole-um2", 0, "--output", out)
        assert lotus(maps / "P2_a.tif", *CLASSES, *options) == 0
    first, second = (
        pd.read_csv(out / "histomorphometry.csv") for out in (tmp_path / "as_stated", out)
    )
    assert second["B.Pm (mm)"][0] == pytest.approx(first["B.Pm (mm)"][0] / 2)
    assert second["T.Ar (mm2)"][0] == pytest.approx(first["T.Ar (mm2)"][0] / 4)


def test_a_folder_of_segmented_images_says_its_classes_and_domains(tmp_path, capsys):
    folder = tmp_path / "segmented"
    section = golden()[:, 900:2600]
    trichrome = np.where(section > 2, 1, section)
    fluorescence = np.array([0, 1, 1, 3, 3], np.uint8)[section]
    write_label_map(folder / "t.ome.tif", trichrome, (PIXEL, PIXEL))
    write_label_map(folder / "f.ome.tif", fluorescence, (PIXEL, PIXEL))
    shown = np.full((*section.shape, 3), 255, np.uint8)
    write_image(tmp_path / "t.tif", shown)
    three = {"mineralised": 1, "osteoid": 2, "label": 3}
    two = {"mineralised": 1, "osteoid": 2}
    write_class_maps(
        folder,
        [
            ClassMap(tmp_path / "t.tif", folder / "t.ome.tif", "trichrome", two, 1.0, 0, 4, False),
            ClassMap(
                tmp_path / "f.tif", folder / "f.ome.tif", "fluorescence", three, 0.6, 2, 4, True
            ),
        ],
    )
    table = tmp_path / "cases.csv"
    table.write_text("roi,case\nt,P1\nf,P1\n")
    out = tmp_path / "out"
    options = ("--cases", table, "--interlabel-days", 15, "--output", out)
    assert lotus(folder, *options) == 0
    regions = rows(out / "histomorphometry.csv", "roi")
    assert regions["domain"].to_dict() == {"t": "trichrome", "f": "fluorescence"}
    assert math.isnan(regions.loc["t", "MS/BS (%)"])
    assert regions.loc["f", "OS/BS (%)"] == 0
    case = rows(out / "cases.csv", "case").loc["P1"]
    assert case["OS/BS (%)"] == pytest.approx(regions.loc["t", "OS/BS (%)"])
    assert case["MAR (um/d)"] == pytest.approx(regions.loc["f", "MAR (um/d)"])
    assert case["Mlt (d)"] > 0
    assert "uncertain that it is fluorescence (certainty 0.60)" in capsys.readouterr().out
    # Drawn upon the image where it is there.
    assert (read_image(out / "overlays" / "t.png").array == 255).all(axis=2).mean() > 0.5


def bad(capsys, *arguments) -> str:
    assert lotus(*arguments) == 2
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    return error


def test_no_pixel_size(tmp_path, capsys):
    write_label_map(tmp_path / "a.png", golden()[:, :300])
    error = bad(capsys, tmp_path / "a.png", *CLASSES, "--output", tmp_path / "out")
    assert "a.png states no pixel size" in error
    assert "--pixel-size-um" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--classes mineralised=1 osteoid=2"),
        (("--classes", "mineralised=1", "osteoid=2"), "P1_a.tif: the map holds the value 3"),
        (("--classes", "bone=1"), "P1_a.tif: bone is no class"),
        ((*CLASSES, "--interlabel-days", "0"), "interlabel time is 0 days"),
        ((*CLASSES, "--pixel-size-um", "0"), "pixel size is 0 µm"),
        ((*CLASSES, "--cases", "{table}"), "P2_b.tif: the table of cases has no row for P2_b"),
    ],
)
def test_bad_input(maps, tmp_path, capsys, options, message):
    table = tmp_path / "cases.csv"
    table.write_text("roi,case\nP1_a,P1\nP2_a,P2\n")
    options = [option.format(table=table) for option in options]
    assert message in bad(capsys, maps, *options, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_there_and_two_of_one_name(maps, tmp_path, capsys):
    out = ("--output", tmp_path / "out")
    assert "does not exist" in bad(capsys, tmp_path / "none", *CLASSES, *out)
    (tmp_path / "empty").mkdir()
    assert "holds no class map" in bad(capsys, tmp_path / "empty", *CLASSES, *out)
    write_label_map(maps / "P1_a.png", golden()[:, :100])
    assert "are both called P1_a" in bad(capsys, maps, *CLASSES, *out)
    table = tmp_path / "cases.csv"
    table.write_text("name,patient\nP1_a,P1\n")
    (maps / "P1_a.png").unlink()
    assert "has the columns name, patient" in bad(capsys, maps, *CLASSES, "--cases", table, *out)


@pytest.fixture
def manifest(maps) -> Path:
    """The three maps as masks: those of P2 in trichrome, one twice as fine as the others."""
    values = "mineralised=1 osteoid=2"
    lines = ["image,mask,mask_kind,modality,patient,group,pixel_size_um,mask_values"]
    for roi, modality, size, said in (
        ("P1_a", "fluorescence", PIXEL, f"{values} label1=3 label2=4"),
        ("P2_a", "trichrome", PIXEL / 2, f"{values} label1=3 label2=4"),
        ("P2_b", "trichrome", PIXEL, f"{values} label1=3 label2=4"),
    ):
        write_image(maps / f"{roi}.png", np.zeros((160, 5001 if roi == "P1_a" else 1700), np.uint8))
        lines.append(f"{roi}.png,{roi}.tif,semantic,{modality},{roi[:2]},old,{size},{said}")
    (maps / "manifest.csv").write_text("\n".join(lines) + "\n")
    return maps / "manifest.csv"


def test_masks_of_a_manifest(manifest, tmp_path):
    out = tmp_path / "out"
    assert lotus(manifest, "--interlabel-days", 15, "--output", out) == 0
    regions = rows(out / "histomorphometry.csv", "roi")
    assert regions["case"].tolist() == ["P1", "P2", "P2"]
    assert regions["domain"].tolist() == ["fluorescence", "trichrome", "trichrome"]
    # The manifest's pixel size goes before that of the file.
    assert regions.loc["P2_a", "T.Ar (mm2)"] == pytest.approx(regions.loc["P2_b", "T.Ar (mm2)"] / 4)
    assert rows(out / "cases.csv", "case")["ROIs"].tolist() == [1, 2]


def test_masks_of_a_manifest_that_does_not_say_what_they_show(manifest, tmp_path, capsys):
    manifest.write_text(
        manifest.read_text()
        .replace(",mask_values", "")
        .replace(",mineralised=1 osteoid=2 label1=3 label2=4", "")
    )
    assert lotus(manifest, "--output", tmp_path / "out") == 2
    assert "does not say what the values of P1_a.tif stand for" in capsys.readouterr().err
    assert lotus(manifest, *CLASSES, "--output", tmp_path / "out") == 0


def test_beside_other_measures(maps, tmp_path):
    first, out = tmp_path / "first", tmp_path / "out"
    options = (*CLASSES, "--interlabel-days", 15)
    assert lotus(maps, *options, "--output", first) == 0
    table = pd.read_csv(first / "histomorphometry.csv")
    truth = table[["roi", "BV/TV (%)", "MAR (um/d)"]].rename(columns={"roi": "image"})
    truth["BV/TV (%)"] -= [1.0, 2.0, 6.0]
    truth["MAR (um/d)"] *= 2
    truth[truth["image"] != "P2_b"].to_csv(tmp_path / "truth.csv", index=False)
    given = ("--against", first, tmp_path / "truth.csv", "--output", out)
    assert lotus(maps, *options, *given) == 0
    found = pd.read_csv(out / "against.csv").set_index(["other", "measure"])
    itself, other = found.loc[str(first)], found.loc[str(tmp_path / "truth.csv")]
    assert (itself["largest"].dropna() < 1e-9).all()
    assert itself.loc["MAR", ["n", "undefined"]].tolist() == [2, 1]  # single labels alone
    assert "O.Th n" not in itself.index
    assert other.index.tolist() == ["BV/TV", "MAR"]
    assert other["n"].tolist() == [2, 2]
    assert other.loc["BV/TV", ["difference", "largest"]].tolist() == pytest.approx([1.5, 2.0])
    assert other.loc["BV/TV", "sd"] == pytest.approx(0.5**0.5)
    assert other.loc["MAR", "relative"] == pytest.approx(-0.5)
    assert "truth.csv" in (out / "histomorphometry.html").read_text()


def test_nothing_to_compare(maps, tmp_path, capsys):
    (tmp_path / "other.csv").write_text("roi,BV/TV (%)\nQ,1\n")
    (tmp_path / "twice.csv").write_text("roi,BV/TV (%)\nP1_a,1\nP1_a,2\n")
    (tmp_path / "nameless.csv").write_text("BV/TV (%)\n1\n")
    (tmp_path / "unlike.csv").write_text("roi,BV\nP1_a,1\n")
    for name, said in (
        ("other", "no region in common"),
        ("twice", "P1_a is there twice"),
        ("nameless", "expected roi (or image)"),
        ("unlike", "no measure in common"),
        ("absent", "absent.csv is not there"),
    ):
        given = ("--against", tmp_path / f"{name}.csv", "--output", tmp_path / "out")
        assert lotus(maps / "P1_a.tif", *CLASSES, *given) == 2
        assert said in capsys.readouterr().err
