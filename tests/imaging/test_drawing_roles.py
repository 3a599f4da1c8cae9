"""What drawings are meant as, by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lotus.imaging.drawing import Drawing
from lotus.imaging.drawing_roles import assign_roles, read_roles


def _drawn(*names: str) -> list[Drawing]:
    return [Drawing(name, "line", (np.zeros((2, 2)),)) for name in names]


def _names(drawings: list[Drawing]) -> list[str]:
    return [drawing.name for drawing in drawings]


def test_patterns_give_roles_in_the_order_of_the_file() -> None:
    drawings = _drawn("dL2", "rim", "sL1", "dL1", "note")
    roles = {"dL*": "double_label", "sL?": "single_label", "rim": "bone", "*": "ignore"}
    found = assign_roles(drawings, roles)
    assert {role: _names(each) for role, each in found.drawings.items()} == {
        "double_label": ["dL2", "dL1"],
        "bone": ["rim"],
        "single_label": ["sL1"],
    }
    assert not found.unused


def test_a_name_in_full_goes_before_patterns_and_these_before_the_rest() -> None:
    roles = {"*": "bone", "dL*": "double_label", "dL3": "ignore"}
    found = assign_roles(_drawn("dL2", "dL3", "x"), roles)
    assert {role: _names(each) for role, each in found.drawings.items()} == {
        "double_label": ["dL2"],
        "bone": ["x"],
    }


def test_the_class_of_qupath_counts_as_a_name() -> None:
    drawing = Drawing("12", "line", (np.zeros((2, 2)),), "Old label")
    assert assign_roles([drawing], {"Old*": "label1"}).drawings == {"label1": [drawing]}


def test_two_roles_no_role_and_ignoring_all_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dL1 has two roles \(d\*: a, \*1: b\)"):
        assign_roles(_drawn("dL1"), {"d*": "a", "*1": "b"})
    assert assign_roles(_drawn("dL1"), {"d*": "a", "*1": "a"}).drawings
    with pytest.raises(ValueError, match=r"x0, x1, x2, x3, x4 and 2 others without a role; .*rest"):
        assign_roles(_drawn("dL1", *[f"x{k}" for k in range(7)]), {"d*": "a"})
    with pytest.raises(ValueError, match="no role but ignore for any of dL1"):
        assign_roles(_drawn("dL1"), {"*": "ignore"})
    # Capitals count.
    with pytest.raises(ValueError, match="dL1 without a role"):
        assign_roles(_drawn("dL1"), {"dl*": "a"})


def test_patterns_that_match_nothing_are_said() -> None:
    found = assign_roles(_drawn("dL1"), {"dL*": "a", "sL*": "b", "dL7": "a", "*": "ignore"})
    assert found.unused == ["sL*", "dL7"]


def test_roles_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text('"dL*": a\n7: b\n"*": ignore\n')
    assert read_roles(path, ("a", "b")) == {"dL*": "a", "7": "b", "*": "ignore"}
    with pytest.raises(ValueError, match=r"roles\.yaml: 7 has the role b; known are a, ignore"):
        read_roles(path, ("a",))
    for content, message in (
        ("", "no patterns"),
        ("- a\n- b\n", "no patterns"),
        ("*: ignore\n", "no YAML"),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            read_roles(path, ("a",))
    with pytest.raises(FileNotFoundError, match=r"absent\.yaml"):
        read_roles(tmp_path / "absent.yaml", ("a",))
