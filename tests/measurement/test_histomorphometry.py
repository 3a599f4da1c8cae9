"""Regions become cases: sums before ratios, and two stains of a patient together."""

from __future__ import annotations

import math

import pytest

from lotus.measurement.histomorphometry import (
    Conventions,
    Region,
    case_table,
    region_table,
)
from lotus.measurement.histomorphometry_definitions import DEFINITIONS, measure_of
from lotus.morphometry.histomorphometry import PrimaryMeasures, SectionFactor, histomorphometry
from lotus.morphometry.spread import Spread

DAYS = Conventions(interlabel_days=10)


def trichrome(bone=100.0, osteoid_perimeter=10.0, width=8.0, n=10):
    return PrimaryMeasures(
        tissue_area=400,
        bone_area=bone,
        mineralised_area=bone - 5,
        osteoid_area=5,
        bone_perimeter=50,
        osteoid_perimeter=osteoid_perimeter,
        osteoid_width=Spread(width, 1.0, n),
    )


def fluorescence(double=20.0, single=20.0, n=10, osteoid=math.nan):
    return PrimaryMeasures(
        tissue_area=500,
        bone_area=300,
        osteoid_area=osteoid,
        bone_perimeter=100,
        osteoid_perimeter=osteoid,
        single_label_perimeter=single,
        double_label_perimeter=double,
        interlabel_width=Spread(12.0, 1.0, n) if n else Spread(),
    )


def test_areas_and_perimeters_are_summed_before_ratios_are_formed():
    small = Region("a", "P1", trichrome(bone=100, osteoid_perimeter=10, width=6, n=30))
    large = Region("b", "P1", trichrome(bone=300, osteoid_perimeter=30, width=10, n=10))
    other = Region("c", "P2", trichrome())
    cases = case_table([small, large, other], DAYS).set_index("case")
    assert list(cases.index) == ["P1", "P2"]
    assert cases.loc["P1", "ROIs"] == 2
    assert cases.loc["P1", "BV/TV (%)"] == pytest.approx(100 * 400 / 800)
    assert cases.loc["P1", "OV/BV (%)"] == pytest.approx(100 * 10 / 400)
    assert cases.loc["P1", "OS/BS (%)"] == pytest.approx(100 * 40 / 100)
    # 30 perpendiculars of 6 and 10 of 10 µm.
    assert cases.loc["P1", "O.Th (um)"] == pytest.approx(math.pi / 4 * 7)
    assert cases.loc["P1", "O.Th n"] == 40


def test_two_stains_of_a_case_give_what_needs_both():
    regions = [Region("t", "P1", trichrome()), Region("f", "P1", fluorescence())]
    [row] = case_table(regions, DAYS).to_dict("records")
    assert (row["static ROIs"], row["dynamic ROIs"]) == (1, 1)
    assert row["BV/TV (%)"] == pytest.approx(25)
    assert row["OS/BS (%)"] == pytest.approx(20)
    assert row["MS/BS (%)"] == pytest.approx(30)
    rate = math.pi / 4 * 1.2
    assert row["MAR (um/d)"] == pytest.approx(rate)
    assert row["Aj.AR (um/d)"] == pytest.approx(rate * 30 / 20)
    assert row["Mlt (d)"] == pytest.approx(math.pi / 4 * 8 / (rate * 1.5))
    assert row["Omt (d)"] == pytest.approx(math.pi / 4 * 8 / rate)
    assert row["notes"] == ""


def test_osteoid_is_that_of_the_stain_even_where_fluorescence_has_some():
    regions = [Region("f", "P1", fluorescence(osteoid=90.0)), Region("t", "P1", trichrome())]
    [row] = case_table(regions, DAYS).to_dict("records")
    assert row["OS/BS (%)"] == pytest.approx(20)
    [alone] = case_table(regions[:1], DAYS).to_dict("records")
    assert alone["OS/BS (%)"] == pytest.approx(90)
    assert alone["Aj.AR (um/d)"] == pytest.approx(math.pi / 4 * 1.2 * 30 / 90)


def test_a_case_of_one_stain_says_what_is_missing():
    [static] = case_table([Region("t", "P1", trichrome())], DAYS).to_dict("records")
    assert math.isnan(static["MS/BS (%)"])
    assert math.isnan(static["Aj.AR (um/d)"])
    assert "labels were looked for" in static["notes"]
    [dynamic] = case_table([Region("f", "P1", fluorescence())], DAYS).to_dict("records")
    assert dynamic["MS/BS (%)"] == pytest.approx(30)
    assert math.isnan(dynamic["Mlt (d)"])
    assert "osteoid was looked for" in dynamic["notes"]


def test_single_labels_alone_are_said_and_an_imputed_rate_is_flagged():
    regions = [Region("f", "P1", fluorescence(double=0, n=0))]
    [row] = case_table(regions, DAYS).to_dict("records")
    assert math.isnan(row["MAR (um/d)"])
    assert row["MAR imputed"] == "no"
    assert "single labels alone: MAR is not defined" in row["notes"]
    [imputed] = case_table(regions, Conventions(interlabel_days=10, impute_mar=True)).to_dict(
        "records"
    )
    assert imputed["MAR (um/d)"] == 0.3
    assert imputed["MAR imputed"] == "yes"


def test_every_table_says_what_was_chosen():
    conventions = Conventions(SectionFactor.ILIAC, None, transition="osteoid")
    regions = [Region("f", "P1", fluorescence(), fill_width=11.0, doubts=["a", "b"])]
    for table in (region_table(regions, conventions), case_table(regions, conventions)):
        [row] = table.to_dict("records")
        assert row["section factor"] == "iliac 1.2000"
        assert math.isnan(row["interlabel time (d)"])
        assert row["transition zone"] == "osteoid"
    [row] = region_table(regions, conventions).to_dict("records")
    assert list(row)[:2] == ["roi", "case"]
    assert row["Ir.L.Wi by fill (um)"] == 11.0
    assert row["notes"] == "a; b"


def test_units_of_columns_as_they_are_written_in_the_report():
    assert measure_of("BFR/BS (um3/um2/yr)") == ("BFR/BS", "µm³/µm²/yr")
    assert measure_of("BV/TV (%)") == ("BV/TV", "%")
    assert measure_of("T.Ar (mm2)") == ("T.Ar", "mm²")


def test_every_measure_has_a_definition():
    assert set(histomorphometry(PrimaryMeasures())) == set(DEFINITIONS) - {"Ir.L.Wi by fill (um)"}
