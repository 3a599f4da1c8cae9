"""`lotus compare` from the command line."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lotus.cli import main
from lotus.runs.classified import read_classified, write_classified
from tests.evaluation.test_classification import GROUPS, patches

COLOURS = ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73))
PATIENTS = ["a", "a", "b", "b", "c", "d"]


def save(scores, path):
    """Write scores as a run does: with a row of means at the end."""
    mean = scores.mean(numeric_only=True).to_frame().T.assign(name="mean")
    pd.concat([scores, mean]).to_csv(path, index=False)


def load(path):
    return pd.read_csv(path).iloc[:-1]


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
        save(scores, tmp_path / name / "scores.csv")
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
    assert lines[-1].endswith("Undefined and left out: other HD (px) in 1 image (n = 3).")


@pytest.mark.slow
def test_latex_takes_any_name(runs, tmp_path):
    student, *others = runs
    renamed = student.replace("student=", "U & V_1 {50 %} #2 $x$=")
    assert main(["compare", renamed, *others, "--output", str(tmp_path / "out")]) == 0
    latex = (tmp_path / "out/comparison.tex").read_text()
    assert r"U \& V\_1 \{50 \%\} \#2 \$x\$ & " in latex


def test_files(runs, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--unit", "image", "--published", "lotus2024", "--output", out]
    assert main(["compare", *runs, *map(str, options)]) == 0
    printed = capsys.readouterr().out
    assert (out / "comparison.md").read_text() == printed
    assert "| LOTUS (published, other data) | 61.59 ± 7.87 |" in printed
    assert "HD is their HD95 and AJI their IoU of the foregrounds." in printed
    frame = pd.read_csv(out / "comparison.csv").set_index(["method", "score"])
    assert frame.loc[("lotus", "dice"), "mean"] == pytest.approx(4.81 / 6)
    assert frame.loc[("student", "dice"), "pairs"] == 6
    latex = (out / "comparison.tex").read_text()
    assert latex.count(r"\\") == 1 + 3 + 1 + 3
    assert r"\textbf{80.17 $\pm$" in latex
    assert "%" not in latex.replace(r"\%", "")
    images = pd.read_csv(out / "per_image.csv")
    assert list(images) == ["name", "patient", "method", "dice", "hd", "aji", "pq"]
    assert images["method"].value_counts().to_dict() == dict.fromkeys(
        ["student", "other", "lotus"], 6
    )
    assert images["patient"].tolist() == PATIENTS * 3
    assert np.isnan(images["hd"][11])


@pytest.mark.slow
def test_box_plots(runs, tmp_path, capsys):
    """Every panel has boxes in the colours of the methods; one score less is one panel less."""
    drawn = []
    for scores in (["dice", "hd", "aji"], ["dice", "hd"]):
        assert main(["compare", *runs, "--output", str(tmp_path), "--scores", *scores]) == 0
        drawn.append(np.array(Image.open(tmp_path / "comparison.png").convert("RGB")))
    for picture, rows in zip(drawn, (2, 1), strict=True):
        quarters = [
            part for row in np.array_split(picture, rows) for part in np.array_split(row, 2, axis=1)
        ]
        # Blue, vermilion and green of Okabe and Ito, as solid lines.
        has_boxes = [
            all((part == colour).all(axis=2).sum() > 100 for colour in COLOURS) for part in quarters
        ]
        assert has_boxes == ([True, True, True, False] if rows == 2 else [True, True])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reference", "teacher"], "no method is called 'teacher'; found student, other, lotus"),
        (["--scores", "dice", "auc"], "student has no score 'auc'"),
        (["--published", "lotus2023"], "no published table 'lotus2023'; expected lotus2024"),
    ],
)
def test_bad_arguments(runs, arguments, message, capsys):
    assert main(["compare", *runs, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_two_runs_of_one_name(runs, tmp_path, capsys):
    assert main(["compare", str(tmp_path / "lotus"), str(tmp_path / "student/../lotus")]) == 2
    assert "two runs have the same name" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_on_other_images_is_shown_and_not_tested(runs, tmp_path, capsys):
    path = tmp_path / "A|B=1"
    path.mkdir()
    scores = load(tmp_path / "lotus/scores.csv")
    save(scores.assign(name=list("abcdef"), dice=1.0), path / "scores.csv")
    assert main(["compare", *runs, "--apart", str(path), "--output", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(r"| A\|B=1 | 100.00 ± 0.00 |")
    assert r"A|B=1: other images, n = 4 patients, not tested." in lines[-1]
    frame = pd.read_csv(tmp_path / "out/comparison.csv").set_index(["method", "score"])
    assert pd.isna(frame.loc[("A|B=1", "dice"), "reference"])
    assert r"A|B=1 & 100.00 $\pm$ 0.00" in (tmp_path / "out/comparison.tex").read_text()


def test_runs_that_were_scored_on_other_images(runs, tmp_path, capsys):
    path = tmp_path / "student/scores.csv"
    scores = load(path)
    save(scores.assign(name=[*"uvwxy", "other"]), path)
    assert main(["compare", *runs]) == 2
    assert "image other was scored for student and not for other" in capsys.readouterr().err
    save(scores.assign(n_true=[5, 5, 4, 5, 3, 5]), path)
    assert main(["compare", *runs, "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "image w has 4 true objects for student and 5 for other: the targets differ" in said
    assert not (tmp_path / "out").exists()


def test_a_run_of_an_older_version_has_no_patients(runs, tmp_path, capsys):
    path = tmp_path / "other/scores.csv"
    save(load(path).drop(columns="patient"), path)
    assert main(["compare", *runs]) == 2
    said = capsys.readouterr().err
    assert "patients of other are not in its table of scores; use --unit image" in said
    assert main(["compare", *runs, "--unit", "image"]) == 0
    assert "over 6 images" in capsys.readouterr().out


@pytest.fixture
def classifiers(tmp_path):
    """Two runs that say of each image whether it was classified rightly."""
    rightly = {"mga": [1, 1, 1, 1, 1, 0], "plain": [1, 0, 1, 0, 0, 0]}
    for name, accuracy in rightly.items():
        (tmp_path / name).mkdir()
        frame = {"name": list("uvwxyz"), "accuracy": accuracy, "patient": PATIENTS}
        save(pd.DataFrame(frame), tmp_path / name / "scores.csv")
    return [f"{name}={tmp_path / name}" for name in rightly]


def test_classifiers_are_compared_by_their_accuracy(classifiers, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["compare", *classifiers, "--output", str(out)]) == 0
    head, _, mga, plain, *_ = capsys.readouterr().out.splitlines()
    assert head == "| method | accuracy (%) |"
    # By patient 1, 1, 1, 0 and 1/2, 1/2, 0, 0; the difference has a p-value of 0.092.
    assert mga == "| mga | **75.00 ± 50.00** |"
    assert plain == "| plain | 25.00 ± 28.87 |"
    frame = pd.read_csv(out / "comparison.csv").set_index("method")
    assert frame.loc["mga", "p_t"] == pytest.approx(0.0917, abs=1e-4)
    images = pd.read_csv(out / "per_image.csv")
    assert list(images) == ["name", "patient", "method", "accuracy"]
    assert images["accuracy"].tolist() == [1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0]
    assert (out / "comparison.png").is_file()


def test_classifiers_without_patients(classifiers, tmp_path, capsys):
    for name in ("mga", "plain"):
        path = tmp_path / name / "scores.csv"
        save(load(path).drop(columns="patient"), path)
    assert main(["compare", *classifiers]) == 2
    assert "use --unit image" in capsys.readouterr().err
    assert main(["compare", *classifiers, "--unit", "image"]) == 0
    _, _, mga, plain, *_ = capsys.readouterr().out.splitlines()
    assert mga.startswith("| mga | **83.33 ± 40.82** |")
    assert plain.startswith("| plain | 33.33 ± 51.64 |")


def test_scores_that_nobody_knows_go_by_their_names(classifiers, tmp_path, capsys):
    for name, value in (("mga", 2.0), ("plain", 1.0)):
        path = tmp_path / name / "scores.csv"
        save(load(path).assign(new_score=value, new_loss=value), path)
    assert main(["compare", *classifiers, "--scores", "new_score", "new_loss"]) == 0
    head, _, mga, plain, *_ = capsys.readouterr().out.splitlines()
    assert head == "| method | new_score | new_loss |"
    assert mga.startswith("| mga | **2.00 ± 0.00**")
    assert plain == "| plain | 1.00 ± 0.00 | **1.00 ± 0.00** |"


def test_a_table_without_scores(classifiers, tmp_path, capsys):
    for name in ("mga", "plain"):
        path = tmp_path / name / "scores.csv"
        save(load(path).drop(columns="accuracy"), path)
    assert main(["compare", *classifiers]) == 2
    assert "no score to compare; the tables have patient" in capsys.readouterr().err


@pytest.fixture
def patch_classifiers(tmp_path):
    """Three classifiers of six patients: one always right, one wrong in a patient, one always."""
    right = patches(6, GROUPS[:2], n=2)
    right = right.assign(predicted=right["group"])
    other = right["group"].map({"ill": "well", "well": "ill"})
    tables = {
        "plain": right.assign(predicted=other),
        "joint": right.assign(predicted=right["group"].where(right["patient"] != "P0", other)),
        "MGA": right,
    }
    for name, table in tables.items():
        write_classified(table, tmp_path / name / "classified.csv")
        scores = table.assign(accuracy=(table["group"] == table["predicted"]).astype(float))
        save(scores[["name", "accuracy", "patient"]], tmp_path / name / "scores.csv")
    return [f"{name}={tmp_path / name}" for name in tables]


def test_the_table_of_classifiers(patch_classifiers, capsys):
    options = ["--level", "patch", "--published", "mga2023-classification"]
    assert main(["compare", *patch_classifiers, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| method | accuracy (%) | precision (%) | recall (%) | F1 (%) |"
    plain, joint, mga = lines[2:5]
    # All six exchanges at once, or none: 2 of 2^6; twice that after Holm's correction.
    assert plain.startswith(r"| plain | 0.00 [0.0, 0.0] \* |")
    assert joint.startswith("| joint | 83.33 [50.0, 100.0] |")
    assert mga.startswith("| MGA | **100.00 [100.0, 100.0]** |")
    assert "| MGA (published, other data) | 62.89 | n/a | n/a | 63.24 |" in lines
    assert lines[-1].startswith("Patch level: 24 patches of 6 patients (ill 3, well 3).")
    assert "(n = 6 patients, so that no p is below 0.031)" in lines[-1]
    assert "they cannot be shares of patients" in lines[-1]


@pytest.mark.slow
def test_files_of_classifiers(patch_classifiers, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        main(["compare", *patch_classifiers, "--scores", "accuracy", "ece", "--output", str(out)])
        == 0
    )
    printed = capsys.readouterr().out
    assert (out / "comparison.md").read_text() == printed
    captions = [line for line in printed.splitlines() if " level: " in line]
    assert [caption.split()[0] for caption in captions] == ["Patch", "Slice", "Patient"]
    frame = pd.read_csv(out / "comparison.csv").set_index(["level", "method", "score"])
    joint = frame.loc[("patient", "joint", "accuracy")]
    assert (joint["value"], joint["n"], joint["patients"]) == (pytest.approx(5 / 6), 6, 6)
    assert joint["difference"] == pytest.approx(-1 / 6)
    # The one patient that differs may be exchanged or not: the difference is as large.
    assert joint["p_exchange"] == 1
    assert (out / "comparison.tex").read_text().count(r"\begin{table}") == 3
    images = pd.read_csv(out / "per_image.csv")
    assert images.groupby("method")["accuracy"].mean()["joint"] == pytest.approx(5 / 6)
    picture = np.array(Image.open(out / "comparison.png").convert("RGB"))
    left, right = np.array_split(picture, 2, axis=1)
    for half in (left, right):
        assert all((half == colour).all(axis=2).sum() > 50 for colour in COLOURS)


def test_classifiers_are_compared_with_their_like_and_over_patients(
    patch_classifiers, runs, capsys
):
    assert main(["compare", *patch_classifiers, runs[1]]) == 2
    said = capsys.readouterr().err
    assert "plain classified patches and other did not (no " in said
    assert "compare them in tables of their own" in said
    assert main(["compare", *patch_classifiers, "--unit", "image"]) == 2
    assert "patches of a patient are not independent" in capsys.readouterr().err


def test_several_runs_of_a_name_are_its_seeds(patch_classifiers, runs, tmp_path, capsys):
    plain, joint, mga = patch_classifiers
    other = joint.replace("joint=", "MGA=")
    both = [plain, plain, mga, other]
    assert main(["compare", *both, "--level", "patient", "--scores", "accuracy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].startswith("| MGA | **91.67 [75.0, 100.0]** |"), "of 6 and of 5 patients of 6"
    assert "6 patients (ill 3, well 3), mean of 2 seeds, decided" in lines[-1]
    # Segmentations: patients of both runs together. The student lies 0.1 below.
    student, _, lotus = runs
    mixed = [student.replace("student=", "both="), lotus.replace("lotus=", "both="), lotus, lotus]
    assert main(["compare", *mixed, "--scores", "dice"]) == 0
    assert "| both | 76.85 ±" in capsys.readouterr().out
    path = tmp_path / "joint/classified.csv"
    write_classified(read_classified(path).iloc[1:], path)
    assert main(["compare", *both]) == 2
    assert "runs 0 and 1 of MGA are of different images: P0s0@0,0" in capsys.readouterr().err
