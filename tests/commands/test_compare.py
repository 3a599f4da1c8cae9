"""`lotus compare` from the command line."""

import pandas as pd
import pytest

from lotus.cli import main

PATIENTS = ["a", "a", "b", "b", "c", "d"]


@pytest.fixture
def runs(tmp_path):
    """Three runs on six images: one all alike but lower, one undefined in an image."""
    base = [0.80, 0.82, 0.70, 0.74, 0.90, 0.85]
    hd = [3.0, 4.0, 5.0, 3.0, 4.0, 6.0]
    tables = {
        "student": ([value - 0.1 - 0.001 * i for i, value in enumerate(base)], hd),
        "other": (base[::-1], [*hd[:-1], float("nan")]),
        "lotus": (base, hd),
    }
    for name, (dice, distances) in tables.items():
        (tmp_path / name).mkdir()
        frame = {"name": list("uvwxyz"), "n_true": 5, "dice": dice, "hd": distances}
        scores = pd.DataFrame({**frame, "aji": dice, "pq": dice, "patient": PATIENTS})
        scores.to_csv(tmp_path / name / "scores.csv", index=False)
    return [f"{name}={tmp_path / name}" for name in tables]


def test_the_table_of_a_paper(runs, capsys):
    assert main(["compare", *runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| method | DSC (%) | HD (px) | AJI (%) | PQ (%) |"
    student, other, lotus = lines[2:5]
    # Means of the patients a .81, b .72, c .90, d .85, with their SD; the student lies 0.1 below,
    # nearly constantly.
    assert "| lotus | **82.00 ± 7.62** |" in lotus
    assert r"| 71.70 ± 7.52 \*\* (\*\*) |" in student
    assert "**" not in other.split("|")[2]
    assert "over 4 patients" in lines[-1]
    assert "against lotus" in lines[-1]
    assert lines[-1].endswith("Undefined and left out: other: 1 of HD (px).")


def test_files(runs, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--unit", "image", "--published", "lotus2024", "--output", out]
    assert main(["compare", *runs, *map(str, options)]) == 0
    printed = capsys.readouterr().out
    assert (out / "comparison.md").read_text() == printed
    assert "| LOTUS (published, other data) | 61.59 ± 7.87 |" in printed
    frame = pd.read_csv(out / "comparison.csv").set_index(["method", "score"])
    assert frame.loc[("lotus", "dice"), "mean"] == pytest.approx(4.81 / 6)
    assert frame.loc[("student", "dice"), "pairs"] == 6
    latex = (out / "comparison.tex").read_text()
    assert latex.count(r"\\") == 1 + 3 + 1 + 3
    assert r"\textbf{80.17 $\pm$" in latex
    assert "%" not in latex.replace(r"\%", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reference", "teacher"], "no method is called 'teacher'; found student, other, lotus"),
        (["--scores", "dice", "auc"], "student has no score 'auc'"),
    ],
)
def test_bad_arguments(runs, arguments, message, capsys):
    assert main(["compare", *runs, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_two_runs_of_one_name(runs, tmp_path, capsys):
    assert main(["compare", str(tmp_path / "lotus"), str(tmp_path / "student/../lotus")]) == 2
    assert "two runs have the same name" in capsys.readouterr().err
