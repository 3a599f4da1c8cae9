"""Configuration files composed of parts; every expected mapping is merged by hand."""

from pathlib import Path

import pytest
import yaml

from lotus.cli import main
from lotus.training.layers import composed, merged
from tests.conftest import parsed

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Function that writes files given by name as texts; the first is where names start from."""
    monkeypatch.chdir(tmp_path)

    def to_files(**texts):
        for name, text in texts.items():
            path = Path(name.replace("__", "/")).with_suffix(".yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return Path(next(iter(texts))).with_suffix(".yaml")

    return to_files


def test_mappings_are_merged_and_everything_else_is_replaced():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 3, "e": {"f": 4}}
    above = {"a": {"c": [5], "g": {"h": 6}}, "d": {"i": 7}, "e": None}
    assert merged(below, above) == {
        "a": {"b": 1, "c": [5], "g": {"h": 6}},
        "d": {"i": 7},
        "e": None,
    }
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 3, "e": {"f": 4}}


def test_a_part_is_put_at_its_key_below_the_keys_of_the_file(write):
    path = write(
        top="{parts: {x.y: p/one.yaml, x: p/two.yaml, z: p/one.yaml}, x: {y: {b: 20}}, w: 9}",
        p__one="{a: 1, b: 2}",
        p__two="{y: {a: 10}, v: [3]}",
    )
    assert composed(path) == {
        "x": {"y": {"a": 10, "b": 20}, "v": [3]},
        "z": {"a": 1, "b": 2},
        "w": 9,
    }


def test_parts_have_parts_relative_to_themselves(write):
    path = write(
        top="parts: {a: p/one.yaml}",
        p__one="{parts: {b.c: ../q/two.yaml}, b: {d: 1}}",
        q__two="{e: 1e-3}",
    )
    assert composed(path) == {"a": {"b": {"c": {"e": 0.001}, "d": 1}}}


def test_a_file_may_be_a_part_twice_but_not_of_itself(write):
    path = write(top="parts: {a: one.yaml, b: one.yaml}", one="parts: {c: two.yaml}", two="d: 1")
    assert composed(path) == {"a": {"c": {"d": 1}}, "b": {"c": {"d": 1}}}
    write(two="parts: {e: ./one.yaml}")
    with pytest.raises(
        ValueError, match=r"^top.yaml -> one.yaml -> two.yaml -> one.yaml: a circle"
    ):
        composed(path)


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("parts: {a: p/none.yaml}", r"top.yaml: no part at p/none.yaml"),
        ("parts: {a: p/list.yaml}", r"top.yaml -> p/list.yaml: found list, expected a mapping"),
        ("parts: {a: p/empty.yaml}", r"top.yaml -> p/empty.yaml: found NoneType, expected"),
        ("parts: {a: p/broken.yaml}", r"top.yaml -> p/broken.yaml: not YAML \(.*line 2"),
        ("parts: p/one.yaml", r"top.yaml: parts is 'p/one.yaml', expected a mapping from keys"),
        ("parts: {a: [p/one.yaml]}", r"top.yaml: parts is .* expected a mapping from keys"),
        (
            "{parts: {a.b.c: p/one.yaml}, a: {b: text}}",
            r"top.yaml: no place for p/one.yaml at a.b.c: a.b is no mapping",
        ),
        ("{parts: {a.b: p/one.yaml}, a: {b: null}}", r"at a.b: a.b is no mapping"),
        ("parts: {a: p/one.yaml, a.x.y: p/one.yaml}", r"at a.x.y: a.x is no mapping"),
    ],
)
def test_parts_that_cannot_be_used_are_refused_with_both_names(write, top, message):
    path = write(top=top, p__one="x: 1", p__list="[1]", p__empty="", p__broken="{a: [")
    with pytest.raises((ValueError, FileNotFoundError), match=message) as refused:
        composed(path)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "given", [("--config", "top.yaml"), ("--config=top.yaml",), ("-c", "top.yaml")]
)
def test_later_layers_and_the_command_line_go_before_a_layer_of_parts(write, given):
    write(
        top="parts: {trainer: t.yaml}\ntrainer: {max_epochs: 5}",
        t="{max_epochs: 3, check_val_every_n_epoch: 4, devices: 2}",
        later="trainer: {devices: 1}",
    )
    base = ("--config", str(EXPERIMENTS / "lotus/student.yaml"))
    more = ("--config", "later.yaml", "--trainer.log_every_n_steps", "7")
    config, parser = parsed([*base, *given, *more])
    trainer = config.trainer
    found = (trainer.max_epochs, trainer.check_val_every_n_epoch, trainer.devices)
    assert (*found, trainer.log_every_n_steps) == (5, 4, 1, 7)
    # What a run keeps needs no other file.
    assert "parts" not in yaml.safe_load(parser.dump(config))


def test_the_command_line_names_both_files_in_one_line(write, capsys):
    write(top="parts: {trainer: none.yaml}")
    assert main(["fit", "--config", "top.yaml"]) == 2
    assert capsys.readouterr().err == "lotus fit: top.yaml: no part at none.yaml\n"
    write(top="parts: {trainer: t.yaml}", t="{max_epoch: 3}")
    assert main(["fit", "--config", "top.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lotus fit: Subcommand 'fit' does not accept option 'trainer.max_epoch'")
