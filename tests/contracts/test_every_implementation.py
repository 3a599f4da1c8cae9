"""No scheme, preprocessing, alignment, engine or store without the checks of its protocol."""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import data_modules
import lotus
from lotus.engines import Engine
from lotus.imaging.voxels import VolumeStore
from lotus.losses import Alignment
from lotus.schemes import InstanceScheme
from lotus.transforms import Preprocessing
from tests.contracts.alignments import AlignmentContract
from tests.contracts.engines import EngineContract
from tests.contracts.preprocessings import PreprocessingContract
from tests.contracts.schemes import SchemeContract
from tests.contracts.volume_stores import VolumeStoreContract

TESTS = Path(__file__).resolve().parents[1]
PARAMETERS = [*inspect.signature(Engine.run).parameters]


def subclasses(parent: type) -> Iterator[type]:
    for child in parent.__subclasses__():
        yield child
        yield from subclasses(child)


def classes_of_the_project() -> Iterator[type]:
    """Every class that the packages define, wherever it stands."""
    for package in (lotus, data_modules):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(import_module(module.name)).values():
                if isinstance(value, type) and value.__module__ == module.name:
                    yield value


def is_engine(kind: type) -> bool:
    """Engines have no common parent; what makes them one is how they run jobs."""
    run = getattr(kind, "run", None)
    return (
        kind is not Engine and callable(run) and [*inspect.signature(run).parameters] == PARAMETERS
    )


def is_store(kind: type) -> bool:
    """Stores have no common parent either."""
    steps = ("begin", "is_begun", "write", "finish")
    return kind is not VolumeStore and all(hasattr(kind, step) for step in steps)


def is_kind_of(parent: type) -> Callable[[type], bool]:
    return lambda kind: issubclass(kind, parent) and not inspect.isabstract(kind)


@pytest.fixture(scope="module")
def project() -> list[type]:
    return [*classes_of_the_project()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_one", "contract", "one"),
    [
        (is_kind_of(InstanceScheme), SchemeContract, "FlowField"),
        (is_kind_of(Preprocessing), PreprocessingContract, "Degraded"),
        (is_kind_of(Alignment), AlignmentContract, "ClassAlignment"),
        (is_engine, EngineContract, "LocalEngine"),
        (is_store, VolumeStoreContract, "ZarrStore"),
    ],
    ids=["scheme", "preprocessing", "alignment", "engine", "store"],
)
def test_every_implementation_is_asked_what_its_protocol_keeps(is_one, contract, one, project):
    for path in TESTS.rglob("test_*_contract.py"):
        import_module(".".join(("tests", *path.relative_to(TESTS).with_suffix("").parts)))
    asked = {
        kind.implementation for kind in subclasses(contract) if kind.__name__.startswith("Test")
    }
    found = {kind for kind in project if is_one(kind)}
    assert one in {kind.__name__ for kind in found}
    assert sorted(kind.__name__ for kind in found - asked) == []
