"""The field's formulas, against values computed by hand."""

from __future__ import annotations

import math

import pytest

from lotus.morphometry.histomorphometry import (
    IMPUTED_MAR,
    PrimaryMeasures,
    SectionFactor,
    histomorphometry,
)
from lotus.morphometry.spread import Spread

SECTION = PrimaryMeasures(
    tissue_area=4e6,
    bone_area=1e6,
    mineralised_area=0.97e6,
    osteoid_area=0.03e6,
    bone_perimeter=10_000,
    osteoid_perimeter=2000,
    single_label_perimeter=1000,
    double_label_perimeter=1000,
    osteoid_width=Spread(12.0, 3.0, 40),
    interlabel_width=Spread(15.0, 2.0, 25),
)


def test_golden_case_of_bone_formation() -> None:
    found = histomorphometry(SECTION, interlabel_days=15)
    assert found["MS/BS (%)"] == pytest.approx(15.0)
    assert found["MAR (um/d)"] == pytest.approx(0.785, abs=5e-4)
    assert found["BFR/BS (um3/um2/yr)"] == pytest.approx(43.0, abs=0.05)


# Worked out on paper: k = 4/π; BS = 12.732 mm, so BS/BV = 12.732 /mm and Tb.Th = 157.08 µm.
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("T.Ar (mm2)", 4.0),
        ("B.Pm (mm)", 10.0),
        ("BV/TV (%)", 25.0),
        ("Md.V/BV (%)", 97.0),
        ("OV/BV (%)", 3.0),
        ("OV/TV (%)", 0.75),
        ("BS/TV (1/mm)", 3.1831),
        ("BS/BV (1/mm)", 12.7324),
        ("OS/BS (%)", 20.0),
        ("O.Th (um)", 9.42478),
        ("O.Th SD (um)", 2.35619),
        ("O.Th n", 40),
        ("Tb.Th (um)", 157.080),
        ("Tb.N (1/mm)", 1.59155),
        ("Tb.Sp (um)", 471.239),
        ("sLS/BS (%)", 10.0),
        ("dLS/BS (%)", 10.0),
        ("Ir.L.Wi (um)", 15.0),
        ("BFR/BV (%/yr)", 54.750),
        ("BFR/TV (%/yr)", 13.6875),
        ("Aj.AR (um/d)", 0.589049),
        ("Mlt (d)", 16.0),
        ("Omt (d)", 12.0),
    ],
)
def test_isotropic_values_by_hand(name: str, value: float) -> None:
    found = histomorphometry(SECTION, interlabel_days=15)
    assert found[name] == pytest.approx(value, rel=1e-4)


def test_iliac_factor_divides_widths_and_multiplies_perimeters() -> None:
    found = histomorphometry(SECTION, SectionFactor.ILIAC, 15)
    assert found["O.Th (um)"] == pytest.approx(12 / 1.2)
    assert found["MAR (um/d)"] == pytest.approx(15 / 15 / 1.2)
    assert found["BS/BV (1/mm)"] == pytest.approx(12.0)
    assert found["Tb.Th (um)"] == pytest.approx(2000 / 12)
    assert found["MS/BS (%)"] == pytest.approx(15.0)
    # Width / k and perimeter x k: the formed volume does not depend on the factor.
    assert found["BFR/BV (%/yr)"] == pytest.approx(54.75)


def test_without_labels_nothing_is_formed_and_the_rate_is_not_defined() -> None:
    found = histomorphometry(
        PrimaryMeasures(
            bone_perimeter=500,
            osteoid_perimeter=100,
            single_label_perimeter=0,
            double_label_perimeter=0,
            osteoid_width=Spread(8, 1, 3),
        ),
        interlabel_days=15,
        imputed_mar=IMPUTED_MAR,
    )
    assert found["MS/BS (%)"] == 0
    assert found["BFR/BS (um3/um2/yr)"] == 0
    assert found["Aj.AR (um/d)"] == 0
    assert all(math.isnan(found[name]) for name in ("MAR (um/d)", "Mlt (d)", "Omt (d)"))


def test_single_labels_alone_leave_the_rate_undefined_unless_it_is_imputed() -> None:
    single = PrimaryMeasures(
        bone_perimeter=1000, single_label_perimeter=200, double_label_perimeter=0
    )
    found = histomorphometry(single, interlabel_days=15)
    assert found["MS/BS (%)"] == pytest.approx(10.0)
    assert math.isnan(found["MAR (um/d)"])
    assert math.isnan(found["BFR/BS (um3/um2/yr)"])
    imputed = histomorphometry(single, interlabel_days=15, imputed_mar=IMPUTED_MAR)
    assert imputed["MAR (um/d)"] == IMPUTED_MAR
    assert imputed["BFR/BS (um3/um2/yr)"] == pytest.approx(0.3 * 0.1 * 365)


def test_a_measured_rate_is_never_imputed() -> None:
    found = histomorphometry(SECTION, interlabel_days=15, imputed_mar=IMPUTED_MAR)
    assert found["MAR (um/d)"] == pytest.approx(math.pi / 4)


def test_what_was_not_measured_is_not_zero() -> None:
    trichrome = PrimaryMeasures(bone_area=100, bone_perimeter=40, tissue_area=200)
    found = histomorphometry(trichrome, interlabel_days=15)
    for name in ("MS/BS (%)", "MAR (um/d)", "BFR/BS (um3/um2/yr)", "OS/BS (%)", "O.Th (um)"):
        assert math.isnan(found[name]), name
    assert found["BV/TV (%)"] == 50


def test_no_bone_has_no_ratios_of_bone() -> None:
    found = histomorphometry(
        PrimaryMeasures(tissue_area=100, bone_area=0, osteoid_area=0, bone_perimeter=0)
    )
    assert found["BV/TV (%)"] == 0
    for name in ("OV/BV (%)", "BS/BV (1/mm)", "Tb.Th (um)", "Tb.Sp (um)"):
        assert math.isnan(found[name]), name


@pytest.mark.parametrize("days", [0.0, -3.0, math.nan])
def test_an_interlabel_time_that_is_none_is_refused(days: float) -> None:
    with pytest.raises(ValueError, match="midpoints of the two labellings"):
        histomorphometry(SECTION, interlabel_days=days)


def test_pooled_spread_is_that_of_all_values() -> None:
    parts = [Spread.of([3.0, 4.0, 8.0]), Spread.of([1.0]), Spread(), Spread.of([2.0, 9.0])]
    together = Spread.of([3.0, 4.0, 8.0, 1.0, 2.0, 9.0])
    pooled = Spread.pooled(parts)
    assert pooled.n == 6
    assert pooled.mean == pytest.approx(together.mean)
    assert pooled.sd == pytest.approx(together.sd)
    assert math.isnan(Spread.pooled([Spread(), Spread()]).mean)
