"""The built wheel works by itself, away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that holds what installing the wheel would put into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(folder)], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder / done.stdout.splitlines()[-1]) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def python(site, tmp_path):
    """Function that runs Python on the wheel's packages, in a folder outside the checkout."""

    def run(*arguments) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_wheel_holds_both_packages_and_their_data_and_nothing_else(site):
    info = {path.name for path in site.iterdir() if path.suffix == ".dist-info"}
    assert len(info) == 1
    assert {path.name for path in site.iterdir()} - info == {"lotus", "data_modules"}
    for package in ("lotus", "data_modules"):
        expected = {
            path.relative_to(REPOSITORY)
            for path in (REPOSITORY / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        found = {path.relative_to(site) for path in (site / package).rglob("*") if path.is_file()}
        assert found == expected
        assert (site / package / "py.typed").is_file()


def test_both_packages_come_from_the_wheel(python, site):
    files = python("-c", "import data_modules, lotus; print(lotus.__file__, data_modules.__file__)")
    assert files.split() == [
        str(site / f"{name}/__init__.py") for name in ("lotus", "data_modules")
    ]


@pytest.mark.slow
def test_the_command_answers(python):
    from lotus import cli

    assert python("-m", "lotus.cli", "--version").startswith("lotus ")
    assert "commands:" in python("-m", "lotus.cli", "--help")
    for command in cli.COMMANDS:
        assert f"usage: lotus {command}" in python("-m", "lotus.cli", command, "--help")


@pytest.mark.slow
def test_phantoms_are_made_scored_and_reported(python, tmp_path):
    phantom = ("phantom", "sr_microct", "histology", "--output", "out", "--patients", "2")
    printed = python("-m", "lotus.cli", *phantom, "--slices", "1", "--size", "128")
    assert "4 images in out/manifest.csv" in printed
    rows = pd.read_csv(tmp_path / "out/manifest.csv")
    assert sorted(rows["modality"]) == ["histology"] * 2 + ["sr_microct"] * 2
    masks = str((tmp_path / "out" / rows["mask"][0]).parent)
    evaluate = ("evaluate", "--predictions", masks, "--targets", masks, "--kind", "instances")
    python("-m", "lotus.cli", *evaluate, "--output", "run/scores.csv")
    assert pd.read_csv(tmp_path / "run/scores.csv")["dice"].iloc[-1] == 1
    # Template and styles of the report are data of the package.
    python("-m", "lotus.cli", "report", "run")
    assert "<style>" in (tmp_path / "run/report.html").read_text()
