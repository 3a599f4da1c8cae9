"""The `lotus` command itself: help, version, exit status and what it imports."""

import subprocess
import sys

import pytest

from lotus.cli import COMMANDS, TRAINING, main

HEAVY = (
    *("torch", "pytorch_lightning", "monai", "numpy", "pandas", "scipy", "skimage"),
    *("matplotlib", "tifffile", "jsonargparse", "wandb"),
)


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, text in {**TRAINING, **COMMANDS}.items():
        assert f"  {name} " in printed
        assert text in printed


def test_without_arguments_the_help_is_printed(capsys):
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert f"usage: lotus {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", TRAINING)
def test_every_training_command_has_a_help(command, capsys):
    assert main([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: lotus [options] {command} ")
    assert "--config" in printed
    assert "--ckpt_path" in printed
    assert "--runs" in printed


def test_version_is_that_of_the_distribution(capsys):
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lotus {version('lotus-bone')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["segmentt"], "invalid choice: 'segmentt'"),
        (["evaluate"], "the following arguments are required: --predictions"),
        (["phantom", "mri", "--output", "x"], "invalid choice: 'mri'"),
        (["report"], "the following arguments are required: RUN"),
    ],
)
def test_a_wrong_command_line_has_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_debug_shows_the_traceback(tmp_path, capsys):
    arguments = ["report", str(tmp_path / "absent")]
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", *arguments]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main([*arguments, "--debug"]) == 2
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert "FileNotFoundError" in printed or "ValueError" in printed


def test_overview_and_version_import_nothing_heavy():
    script = (
        "import sys\n"
        "from lotus.cli import main\n"
        "assert main(['--help']) == main(['--version']) == 0\n"
        f"print(sorted(set({HEAVY}) & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


@pytest.mark.slow
def test_commands_answer_help_without_pytorch():
    script = (
        "import sys\n"
        "from lotus.cli import COMMANDS, main\n"
        "assert all(main([name, '--help']) == 0 for name in COMMANDS)\n"
        "print({'torch', 'monai'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set()", done.stdout + done.stderr


def test_the_console_script_hands_over_the_exit_status(monkeypatch, capsys):
    from lotus.cli import entry_point

    monkeypatch.setattr(sys, "argv", ["lotus", "nonsense"])
    with pytest.raises(SystemExit) as stopped:
        entry_point()
    assert stopped.value.code == 2
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err
