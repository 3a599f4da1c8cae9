"""Files of studies: what they say, and what is wrong with them."""

from pathlib import Path

import pytest
import yaml

from lotus.studies.placeholders import filled
from lotus.studies.stages import Command, Training
from lotus.studies.study import read_study
from tests.conftest import FLAT_STUDIES, parsed

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
CONTENT = {
    "reference": "ours",
    "variables": {"data": "m.csv", "shots": 4, "range": {"class_path": "A"}},
    "methods": {
        "ours": {
            "configs": ["{data}/x.yaml"],
            "arguments": {"n": "{shots}", "m": "{teacher}", "r": "{range}", "text": "k{shots}"},
        },
        "teacher": {"configs": ["t.yaml"], "compared": False},
        "U²-Net + kl": {"configs": ["u.yaml"], "note": "unlike the paper's"},
    },
}


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return to_file


def changed(**top):
    return {**CONTENT, **top}


def test_arguments_of_a_method(write):
    study = read_study(write(CONTENT), {"shots": 8})
    arguments = study.command_line(study.methods["ours"], Path("runs/small/a"))
    assert arguments == [
        "--config=m.csv/x.yaml",
        "--n=8",
        "--m=runs/small/a/teacher/fold{fold}/checkpoints/best.ckpt",
        '--r={"class_path": "A"}',
        "--text=k8",
    ]


def test_a_method_comes_after_those_whose_checkpoints_it_needs(write):
    study = read_study(write(CONTENT), {})
    names = [[method.name for method in level] for level in study.levels()]
    assert names == [["teacher", "U²-Net + kl"], ["ours"]]
    circle = {name: {"configs": [f"{{{other}}}"]} for name, other in (("a", "b"), ("b", "a"))}
    with pytest.raises(ValueError, match="each of a, b needs what another leaves"):
        read_study(write(changed(reference="a", methods=circle)), {}).levels()


def test_names_of_folders():
    names = ["U²-Net", "seg + diff", "UNet++", "Student U-Net"]
    assert [Training(name).folder for name in names] == [
        *("u2-net", "seg-plus-diff", "unet-plus-plus", "student-u-net"),
    ]


def test_a_placeholder_alone_keeps_the_type_of_its_value():
    values = {"a": [1, {"b": 2}], "c": 0.5}
    assert filled({"x": "{a}", "y": ["{c}", "v{c}"], "z": 3}, values.__getitem__) == {
        "x": [1, {"b": 2}],
        "y": [0.5, "v0.5"],
        "z": 3,
    }


@pytest.mark.parametrize(
    ("content", "variables", "message"),
    [
        ([], {}, "not a study"),
        (changed(methods={"ours": {}}), {}, "not a study .*'configs'"),
        (changed(methods={"ours": {"configs": [], "colour": 1}}), {}, "not a study .*colour"),
        (
            changed(methods={"ours": {"configs": "a.yaml"}}),
            {},
            "configs is 'a.yaml', expected a list",
        ),
        (
            changed(methods={"ours": {"configs": [], "arguments": None}}),
            {},
            "arguments is None, expected keys",
        ),
        (changed(variables=["data"]), {}, "not a study"),
        (changed(reference="theirs"), {}, "reference 'theirs' is none"),
        (changed(reference="teacher"), {}, "reference 'teacher' is none"),
        (CONTENT, {"shot": 3}, "no variable 'shot'; found data, shots, range"),
        (
            changed(methods={**CONTENT["methods"], "Teacher": {"configs": []}}),
            {},
            "teacher and Teacher would share the folder teacher",
        ),
    ],
)
def test_what_is_wrong_is_said(write, content, variables, message):
    with pytest.raises(ValueError, match=message):
        read_study(write(content), variables)


def test_an_unknown_placeholder(write):
    said = r"ours has \{range\}; expected one of fold, splits, data, shots"
    with pytest.raises(ValueError, match=said):
        read_study(write(changed(variables={"data": "d", "shots": 1})), {})


STAGES = {
    "variables": {"images": "ct"},
    "stages": {
        "U-Net-1": {"configs": ["u.yaml"]},
        "pseudo-labels": {
            "command": "segment",
            "arguments": ["{images}", "--checkpoint", "{U-Net-1}", "--output", "{folder}"],
            "leaves": {"masks": "labels", "table": "objects.csv"},
        },
        "encoder": {"configs": ["e.yaml"], "per": "study"},
        "U-Net-2": {
            "configs": ["u.yaml"],
            "arguments": {"masks": "{pseudo-labels}", "start": "{encoder.last}"},
            "tested": True,
        },
    },
}


def test_stages_build_on_what_others_leave(write):
    study = read_study(write(STAGES), {})
    assert study.methods == {}
    assert study.tables == {}
    levels = [[stage.name for stage in level] for level in study.levels()]
    assert levels == [["U-Net-1", "encoder"], ["pseudo-labels"], ["U-Net-2"]]
    first, labels, encoder, second = study.stages.values()
    assert isinstance(labels, Command)
    assert (first.per, labels.per, encoder.per) == ("fold", "fold", "study")
    assert (first.tested, second.tested) == (False, True)
    runs = Path("runs")
    assert study.command_line(labels, runs) == [
        *("segment", "ct", "--checkpoint", "runs/u-net-1/fold{fold}/checkpoints/best.ckpt"),
        *("--output", "runs/pseudo-labels/fold{fold}"),
    ]
    assert study.inputs(labels, runs) == ("runs/u-net-1/fold{fold}/checkpoints/best.ckpt",)
    assert study.command_line(second, runs) == [
        "--config=u.yaml",
        "--masks=runs/pseudo-labels/fold{fold}/labels",
        "--start=runs/encoder/checkpoints/last.ckpt",
    ]
    made = [stage.name for stage in study.stages.values() if study.needs_made_data(stage)]
    assert made == ["U-Net-2"]


def test_a_stage_with_a_dot_in_its_name_is_not_taken_for_an_output(write):
    stages = {"w 0.1": {"configs": []}, "next": {"configs": ["{w 0.1}", "{w 0.1.folder}"]}}
    study = read_study(write({"stages": stages}), {})
    assert study.command_line(study.stages["next"], Path("r")) == [
        "--config=r/w-0-1/fold{fold}/checkpoints/best.ckpt",
        "--config=r/w-0-1/fold{fold}",
    ]


def test_splits_of_a_fold_are_those_of_the_stage_itself(write):
    labels = {"command": "segment", "arguments": ["{splits}", "{fold}"]}
    study = read_study(write({"stages": {"labels": labels}}), {})
    assert study.command_line(study.stages["labels"], Path("r")) == [
        *("segment", "r/labels/splits/fold{fold}.json", "{fold}"),
    ]


def test_repeated_by_seeds_the_seed_is_no_variable(write):
    content = {
        "variables": {"seed": 0},
        "stages": {
            "teacher": {"configs": [], "arguments": {"data.seed": "{seed}"}},
            "student": {"configs": ["{teacher}"]},
        },
    }
    by_fold = read_study(write(content), {})
    assert by_fold.command_line(by_fold.stages["teacher"], Path("r")) == ["--data.seed=0"]
    by_seed = read_study(write(content), {}, "seed")
    assert by_seed.command_line(by_seed.stages["teacher"], Path("r")) == ["--data.seed={seed}"]
    assert by_seed.command_line(by_seed.stages["student"], Path("r")) == [
        "--config=r/teacher/seed{seed}/checkpoints/best.ckpt"
    ]
    content["stages"]["student"]["configs"] = ["{fold}"]
    with pytest.raises(ValueError, match=r"student has \{fold\}; expected one of seed"):
        read_study(write(content), {}, "seed")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({"a": {"configs": ["{b.scores}"]}, "b": {"configs": []}}, "b leaves checkpoint, last, f"),
        ({"a": {"command": "segment", "arguments": "x"}}, "arguments of a command is 'x', expect"),
        ({"a": {"command": "segment", "leaves": ["x"]}}, r"leaves is \['x'\], expected names"),
        ({"a": {"command": "segment", "colour": 1}}, "not a study .*colour"),
        ({"a": {"configs": [], "per": "patient"}}, "per is 'patient', expected one of fold, study"),
        (
            {"a": {"configs": []}, "b": {"configs": ["{a}"], "per": "study"}},
            r"b is run once, but \{a\} is made in every fold; give b `per: fold` or a `per: study`",
        ),
        ({"a": {"configs": ["{splits}"], "per": "study"}}, r"a has \{splits\}; expected one of"),
        ({"images": {"configs": []}}, "images is the name of two things"),
        ({"fold": {"configs": []}}, "fold is the name of two things"),
        ({}, "neither methods nor stages"),
    ],
)
def test_what_is_wrong_with_a_stage_is_said(write, stages, message):
    with pytest.raises(ValueError, match=message):
        read_study(write({"variables": {"images": "ct"}, "stages": stages}), {})


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no study at"):
        read_study(tmp_path / "x.yaml", {})


def test_rows_of_the_papers_ablation():
    study = read_study(EXPERIMENTS / "studies/ablation.yaml", {})
    rows = {}
    for name, method in study.methods.items():
        if method.row == "compared":
            terms = ("diff", "kl", "ifv")
            values = [method.arguments[f"model.init_args.lambda_{term}"] for term in terms]
            rows[name] = tuple(values)
            assert set(name.split(" + ")) == {"seg"} | {
                term for term, value in zip(terms, values, strict=True) if value
            }
    assert sorted(rows.values()) == [
        *((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)),
    ]


@pytest.mark.parametrize("name", ["table1", "ablation"])
@pytest.mark.parametrize("weights", [None, "a.ckpt"])
def test_a_teacher_may_start_from_other_weights(name, weights, monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)
    variables = {} if weights is None else {"teacher_weights": weights}
    study = read_study(EXPERIMENTS / f"studies/{name}.yaml", variables)
    config, _ = parsed(study.command_line(study.methods["Teacher U-Net"], Path("runs")))
    found = config.model.init_args.initial_weights
    assert found == (None if weights is None else Path(weights))


def test_rows_that_are_not_what_their_paper_ran_say_so():
    study = read_study(EXPERIMENTS / "studies/table1.yaml", {})
    (maml,) = (method for name, method in study.methods.items() if name.startswith("MAML"))
    assert maml.name == "MAML (pseudo-paired)"
    assert maml.folder == "maml-pseudo-paired"
    assert "of its group" in maml.note


@pytest.mark.parametrize("preset", ["quick", "paper", "brief"])
@pytest.mark.parametrize("path", FLAT_STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_name_files_that_exist(path, preset):
    study = read_study(path, {"preset": preset})
    assert len(study.levels()) == (1 if path.stem == "schemes" else 2)
    for method in study.stages.values():
        for text in study.command_line(method, Path("runs")):
            if text.startswith("--config="):
                assert (EXPERIMENTS.parent / text.removeprefix("--config=")).is_file(), text


TABLES = {
    "variables": {"data": "m.csv"},
    "tables": {
        "a": {"reference": "U-Net-2", "title": "Segmentation", "scores": ["dice"]},
        "b": {"reference": "MGA", "published": "mga2023-classification", "rule": "mean"},
    },
    "methods": {
        "U-Net-2": {"configs": [], "table": "a"},
        "MGA": {"configs": [], "table": "b"},
        "VGG16": {"configs": [], "table": "b", "compared": False},
    },
}


def test_methods_are_rows_of_the_table_that_they_name(write):
    study = read_study(write(TABLES), {})
    first, second = study.tables.values()
    assert (first.name, first.reference, first.scores) == ("a", "U-Net-2", ("dice",))
    assert (second.published, second.rule, second.level) == ("mga2023-classification", "mean", None)
    assert [method.table for method in study.methods.values()] == ["a", "b", "b"]


def test_one_table_needs_no_name(write):
    (table,) = read_study(write(changed(published="lotus2024")), {}).tables.values()
    assert (table.name, table.reference, table.published) == ("", "ours", "lotus2024")


def with_table(**fields):
    return {**TABLES, "tables": {**TABLES["tables"], "b": {"reference": "MGA", **fields}}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**TABLES, "reference": "MGA"}, "reference and published belong into the tables"),
        (with_table(reference="U-Net-2"), "reference 'U-Net-2' is none of .* of the table b"),
        (with_table(reference="VGG16"), "reference 'VGG16' is none of .* of the table b"),
        (with_table(published="x"), "no published table 'x'"),
        (with_table(level="pixel"), "level is 'pixel', expected one of patch, slice, patient"),
        (with_table(scores="dice"), "scores of the table b is 'dice', expected a list"),
        (with_table(colour=1), "not a study .*colour"),
        (
            {**TABLES, "methods": {**TABLES["methods"], "x": {"configs": []}}},
            "x has the table '', expected 'a', 'b'",
        ),
        (changed(methods={"ours": {"configs": [], "table": "a"}}), "ours has the table 'a', expec"),
        (
            {**TABLES, "stages": {"Tables": {"configs": []}}},
            "the tables and Tables would share the",
        ),
    ],
)
def test_what_is_wrong_with_tables_is_said(write, content, message):
    with pytest.raises(ValueError, match=message):
        read_study(write(content), {})


GRID = {
    "reference": "unet, 10 slices",
    "variables": {"data": "m.csv"},
    "methods": {
        "{network}, {slices} slices": {
            "each": {"network": ["unet", "sensor3d"], "slices": [10, 20]},
            "configs": ["experiments/{network}.yaml"],
            "arguments": {"n": "{slices}", "m": "{data}", "text": "k{slices}"},
            "note": "with {slices}",
        },
        "other": {"configs": [], "arguments": {"start": "{sensor3d, 20 slices.last}"}},
    },
}


def test_one_entry_stands_for_a_grid_of_methods(write):
    study = read_study(write(GRID), {})
    assert list(study.methods) == [
        *("unet, 10 slices", "unet, 20 slices", "sensor3d, 10 slices", "sensor3d, 20 slices"),
        "other",
    ]
    method = study.methods["sensor3d, 20 slices"]
    assert method.levels == {"network": "sensor3d", "slices": 20}
    assert (method.note, method.folder) == ("with 20", "sensor3d-20-slices")
    assert study.command_line(method, Path("runs")) == [
        *("--config=experiments/sensor3d.yaml", "--n=20", "--m=m.csv", "--text=k20")
    ]
    assert study.methods["other"].levels == {}
    assert [len(level) for level in study.levels()] == [4, 1]


def test_levels_may_be_a_variable(write):
    method = {"configs": [], "each": {"a": "{levels}"}, "arguments": {"n": "{a}"}}
    content = {"reference": "by 1", "variables": {"levels": [1, 2]}, "methods": {"by {a}": method}}
    assert list(read_study(write(content), {}).methods) == ["by 1", "by 2"]
    study = read_study(write(content), {"levels": [1, 5, 9]})
    assert [method.levels for method in study.methods.values()] == [{"a": 1}, {"a": 5}, {"a": 9}]


@pytest.mark.parametrize(
    ("name", "each", "message"),
    [
        ("{a}", {"a": [1], "b": [2]}, r"the name '\{a\}' does not hold \{b\}"),
        ("{a}", {"a": "{b}"}, r"each of \{a\} is .*expected factors with lists"),
        ("{a}", {"a": 1}, r"each of \{a\} is .*expected factors with lists"),
        ("{a}", {"a": []}, "expected factors with lists of levels"),
        ("{a}", [1], "expected factors with lists of levels"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(write, name, each, message):
    content = {"reference": "x", "methods": {name: {"configs": [], "each": each}}}
    with pytest.raises(ValueError, match=message):
        read_study(write(content), {})
