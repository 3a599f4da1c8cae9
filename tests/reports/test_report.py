import base64
import html
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from argparse import ArgumentParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lotus.commands import report as command
from lotus.reports.overlays import AGREEMENT_COLOUR, TARGET_COLOUR
from lotus.reports.report import write_report

pytestmark = pytest.mark.slow


def read(run):
    """The text of a run's new report."""
    return write_report(run).read_text(encoding="utf-8")


def cells_of(text, label):
    """Cells of the table row that begins with a label, as a reader sees them."""
    row = re.search(rf"<tr><th[^>]*>{re.escape(label)}</th>(.*?)</tr>", text, re.DOTALL)
    return [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row[1])]


def pictures_of(text, kind):
    found = re.findall(rf'src="data:image/{re.escape(kind)};base64,([^"]+)"', text)
    return [base64.b64decode(content) for content in found]


@pytest.fixture(scope="module")
def full_report(full_run):
    return read(full_run)


def test_score_table_holds_the_numbers_computed_by_hand(full_report):
    text = full_report
    # Dice 1, 1/2, 0 over three images: mean 1/2, sample SD 1/2; both empty is undefined.
    assert cells_of(text, "Dice")[:4] == ["0.500 ± 0.500", "0.500", "3", "1"]
    # IoU 1, 1/3, 0.
    assert cells_of(text, "IoU")[:4] == ["0.444 ± 0.509", "0.333", "3", "1"]
    # True objects 2, 1, 2, 0, and predicted 2, 1, 0, 0.
    assert cells_of(text, "true objects")[:4] == ["1.2 ± 1.0", "1.5", "4", "0"]
    assert cells_of(text, "predicted objects")[:4] == ["0.8 ± 1.0", "0.5", "4", "0"]
    # HD 0, 5 px and, where nothing was found, the diagonal of 60 x 80 pixels.
    distances = [0.0, 5.0, float(np.hypot(60, 80))]
    expected = f"{np.mean(distances):.2f} ± {np.std(distances, ddof=1):.2f}"
    assert cells_of(text, "HD [px]")[:2] == [expected, "5.00"]


def test_what_was_found_comes_first(full_report):
    headings = re.findall(r'<section id="[^"]*"><h2>(.*?)</h2>', full_report)
    assert headings == [
        *("Scores", "Best, median and worst", "Warnings", "Data and split", "Training"),
        *("Distillation", "What was run", "Reproduce"),
    ]
    assert re.findall(r'<li><a href="#[^"]*">(.*?)</a>', full_report) == headings


def test_warnings_stand_in_the_report(full_report, tmp_path):
    listed = re.search(r'<ul class="warnings">(.*?)</ul>', full_report, re.DOTALL)[1]
    assert re.findall("<li>(.*?)</li>", listed) == [
        "Images with objects in which none was found: 1 of 4.",
        "The checkout had uncommitted changes: its commit is not all that was run.",
    ]
    (tmp_path / "metrics.csv").touch()
    assert "nothing that stands in the way of the scores" in read(tmp_path)


def test_undefined_and_replaced_scores_are_counted(full_run, full_report):
    text = full_report
    scores = pd.read_csv(full_run / "scores.csv").set_index("name")
    total = int(scores.loc[["empty", "nothing_found"], "undefined"].sum())
    assert scores.loc["nothing_found", "undefined"] >= 2  # both Hausdorff distances
    assert f"replaced by the image diagonal: {total}, in 2 of the images" in text
    cells = cells_of_image(text, "empty")
    assert cells[0] == "P4"
    assert "undefined" in cells


def cells_of_image(text, name):
    row = re.search(rf"<tr><td>{name}</td>(.*?)</tr>", text, re.DOTALL)
    return re.findall(r"<td[^>]*>(.*?)</td>", row[1])


def test_best_median_and_worst_are_shown_with_their_outlines(full_report):
    text = full_report
    titles = re.findall(r'<article class="example"><h3>(.*?)</h3>', text)
    assert titles == ["Best: same", "Median: half", "Worst: nothing_found"]
    overlays = [np.array(Image.open(io.BytesIO(png))) for png in pictures_of(text, "png")[1::2]]
    assert len(overlays) == 3
    has = [[(picture == colour).all(axis=2).any() for colour in (AGREEMENT_COLOUR, TARGET_COLOUR)]
           for picture in overlays]  # fmt: skip
    assert has[0] == [True, False]
    assert has[2] == [False, True]


def test_curves_are_drawn(full_report):
    text = full_report
    titles = re.findall(r'<figcaption class="title">(.*?)</figcaption>', text)
    for title in ("Loss", "Loss terms", "Validation scores", "Learning rate", "Noise adapter γ",
                  "Prototype cosine", "Dice, AJI, PQ", "HD95"):  # fmt: skip
        assert title in titles
    drawings = pictures_of(text, "svg+xml")
    assert len(drawings) == len(titles)
    for drawing in drawings:
        assert ElementTree.fromstring(drawing).tag.endswith("svg")


def test_what_was_run_is_said(full_report):
    text = full_report
    visible = html.unescape(re.sub(r"<[^>]+>", "", text))
    assert "lotus fit --config a.yaml --run '<b>'" in visible
    assert "<b>" not in text
    assert "2 min 5 s" in visible
    assert "torch 2.9.9" in visible
    assert cells_of(text, "weights.kl") == ["0.25"]
    assert cells_of(text, "class") == ["DistillationTask"]
    assert "git checkout 0123456789abcdef" in visible
    assert "uncommitted changes" in visible
    assert "best checkpointepoch 1, phase 2 of 2" in visible
    assert "<td>train</td><td>2</td><td>P1, P2</td>" in text
    assert "<td>images</td><td>12</td><td>4</td>" in text


def test_the_file_refers_to_nothing_outside_itself(full_report):
    text = full_report
    assert not re.search(r"https?://|//cdn|<script|<link|@import", text)
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', text))
    targets = re.findall(r'href="([^"]*)"', text)
    assert all(f'id="{target.removeprefix("#")}"' in text for target in targets)
    assert len(text) < 5e6


@pytest.mark.parametrize("marker", ["data.json", "truth.csv", "sr_microct/truth.csv"])
def test_phantoms_are_said_to_be_phantoms(run_folder, monkeypatch, marker):
    (run_folder / "scores.csv").unlink()
    monkeypatch.chdir(run_folder.parent)  # the manifest's path is relative
    assert "Phantom data" not in read(run_folder)
    if marker == "data.json":
        (run_folder / marker).write_text(json.dumps({"student": {"phantom": True}}))
    else:
        (run_folder.parent / "manifest.csv").touch()
        path = run_folder.parent / marker
        path.parent.mkdir(exist_ok=True)
        path.touch()
    text = read(run_folder)
    assert "<strong>Phantom data.</strong>" in text
    assert "Not available: contact_sheet.png" in text


def test_the_contact_sheet_beside_the_manifest_is_shown(run_folder, monkeypatch):
    monkeypatch.chdir(run_folder.parent)
    (run_folder / "scores.csv").unlink()
    (run_folder.parent / "manifest.csv").touch()
    (run_folder.parent / "truth.csv").touch()
    Image.new("L", (30, 20), 10).save(run_folder.parent / "contact_sheet.png")
    sheets = re.findall(r'class="sheet"><img src="data:image/png;base64,([^"]+)"', read(run_folder))
    shown = [np.array(Image.open(io.BytesIO(base64.b64decode(sheet)))) for sheet in sheets]
    assert [int(picture[0, 0, 0]) for picture in shown] == [10]


@pytest.mark.parametrize(
    "name", ["config.yaml", "environment.json", "splits.json", "data.json", "metrics.csv",
             "scores.csv"],
)  # fmt: skip
def test_a_missing_or_damaged_file_is_named(tmp_path, name):
    (tmp_path / "metrics.csv").touch()
    assert f"Not available: {name} " in read(tmp_path)
    (tmp_path / name).write_text("{ :")
    assert f"Not available: {name} cannot be read" in read(tmp_path)


def test_a_missing_prediction_is_named(run_folder):
    (run_folder / "predictions" / "half.tif").unlink()
    text = read(run_folder)
    assert re.search(r"Not available: .*predictions/half\.tif", text)
    assert len(pictures_of(text, "png")) == 4


def test_one_file_makes_a_report(tmp_path):
    (tmp_path / "config.yaml").write_text("seed_everything: 0\n")
    text = read(tmp_path)
    assert text.count("Not available") >= 5
    assert "<h2>Distillation" not in text


@pytest.mark.parametrize("score", ["accuracy", "a_new_score"])
def test_a_run_of_another_task_shows_its_own_scores(tmp_path, score):
    curves = f"epoch,step,val_loss,val_{score}\n0,1,2.0,0.25\n1,2,1.0,0.5\n"
    (tmp_path / "metrics.csv").write_text(curves)
    (tmp_path / "scores.csv").write_text(f"name,{score},patient\na,1,P1\nb,0,P2\nmean,0.5,\n")
    text = read(tmp_path)
    assert cells_of(text, score)[:4] == ["0.500 ± 0.707", "0.500", "2", "0"]
    assert f"<dt>mean {score}</dt><dd>0.500</dd>" in text
    assert cells_of_image(text, "b") == ["P2", "0.000"]
    titles = re.findall(r'<figcaption class="title">(.*?)</figcaption>', text)
    assert titles == [score, "Loss", "Validation scores"]
    assert "Not available: no image has a defined Dice or AJI" in text


def test_command_writes_one_report_per_run(run_folder, capsys):
    (run_folder / "scores.csv").unlink()
    other = run_folder.parent / "other"
    other.mkdir()
    (other / "metrics.csv").write_text("epoch,step,val_dice\n0,1,0.5\n")
    parser = ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(run_folder), str(other)]))
    assert capsys.readouterr().out.split() == [
        str(run_folder / "report.html"), str(other / "report.html")
    ]  # fmt: skip
    assert (other / "report.html").is_file()


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_that_is_no_run_is_refused(tmp_path, make):
    folder = tmp_path / "not_a_run"
    if make:
        folder.mkdir()
    with pytest.raises(ValueError, match="not_a_run") as failure:
        write_report(folder)
    assert "\n" not in str(failure.value)
    assert not list(folder.glob("*"))
