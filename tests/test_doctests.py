"""Examples in docstrings run, and every public function of the pure rooms has one."""

import dataclasses
import doctest
import importlib
import inspect
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = (
    "lotus/evaluation",
    "lotus/losses",
    "lotus/masks",
    "lotus/metrics/functional",
    "lotus/morphometry",
)
MODULES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for room in ROOMS
    for path in sorted((REPOSITORY / room).glob("*.py"))
    if path.stem != "__init__"
]
# They work on whole run folders, which an example of a few lines does not make.
ON_RUN_FOLDERS = {
    "lotus.evaluation.classified_runs.gather_classified_folds",
    "lotus.evaluation.classified_runs.gather_classified_seeds",
    "lotus.evaluation.crossval.gather_folds",
    "lotus.evaluation.crossval.have_objects",
    "lotus.evaluation.crossval.score_folds",
    "lotus.evaluation.crossval.score_their_own",
    "lotus.evaluation.nnunet.import_predictions",
    "lotus.evaluation.seeds.score_seeds",
}


def is_record(item):
    """Whether a class only names values, as dataclasses and named tuples do."""
    return inspect.isclass(item) and (dataclasses.is_dataclass(item) or issubclass(item, tuple))


def public_items(module):
    """Functions and classes that do something, by dotted name, of the module itself."""
    return {
        f"{module.__name__}.{name}": item
        for name, item in vars(module).items()
        if (inspect.isfunction(item) or inspect.isclass(item))
        and item.__module__ == module.__name__
        and not name.startswith("_")
        and not is_record(item)
        and not inspect.isabstract(item)
    }


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report = []
    for example in doctest.DocTestFinder().find(importlib.import_module(name)):
        runner.run(example, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    items = public_items(importlib.import_module(name))
    without = {item for item, value in items.items() if ">>>" not in (value.__doc__ or "")}
    assert without <= ON_RUN_FOLDERS
