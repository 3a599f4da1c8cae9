"""The directions of imports that keep the parts of the project apart."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = ("lotus", "data_modules")
# Needed by some trainings only, and each a second of the start.
NAMED_BEFORE_LOADED = {
    *("albumentations", "monai", "pandas", "segmentation_models_pytorch", "timm", "wandb"),
}
OPTIONAL_EXTRAS = {"ray", "nnunetv2", "cellpose", "onnx", "onnxruntime", "optuna", "lightly"}

# What a room may import of the project, itself apart; from the ground up, so that there is no
# circle. The commands stand on top and may use everything.
GROUND = ("lotus.atomic", "lotus.batch", "lotus.masks", "lotus.process_pool", "lotus.progress")
ALLOWED = {
    "lotus.atomic": (),
    "lotus.batch": (),
    "lotus.process_pool": (),
    "lotus.progress": ("lotus.atomic",),
    "lotus.masks": (),
    "lotus.losses": (),
    "lotus.networks": (),
    "lotus.imaging": GROUND,
    "lotus.metrics": GROUND,
    "lotus.morphometry": GROUND,
    "lotus.schemes": (*GROUND, "lotus.losses"),
    "lotus.transforms": (*GROUND, "lotus.imaging"),
    "lotus.runs": GROUND,
    "lotus.engines": (*GROUND, "lotus.runs"),
    "lotus.sweeps": (*GROUND, "lotus.engines", "lotus.runs"),
    "lotus.evaluation": (*GROUND, "lotus.metrics", "lotus.imaging", "lotus.runs"),
    "lotus.reports": (
        *(*GROUND, "lotus.evaluation", "lotus.metrics", "lotus.morphometry"),
        *("lotus.imaging", "lotus.runs"),
    ),
    "lotus.measurement": (
        *(*GROUND, "lotus.morphometry", "lotus.imaging", "lotus.engines", "lotus.reports"),
        "lotus.runs",
    ),
    "lotus.windows": (*GROUND, "lotus.schemes"),
    "lotus.tasks": (
        *(*GROUND, "lotus.networks", "lotus.losses", "lotus.metrics", "lotus.schemes"),
        *("lotus.transforms", "lotus.windows", "lotus.runs", "lotus.callbacks", "lotus.imaging"),
    ),
    "data_modules": (*GROUND, "lotus.transforms", "lotus.imaging", "lotus.windows"),
    "lotus.callbacks": (
        *(*GROUND, "lotus.evaluation", "lotus.reports", "lotus.imaging", "lotus.metrics"),
        "lotus.runs",
    ),
    "lotus.inference": (
        *(
            *GROUND,
            "lotus.tasks",
            "lotus.networks",
            "lotus.windows",
            "lotus.schemes",
            "lotus.transforms",
        ),
        *("lotus.imaging", "lotus.metrics", "lotus.morphometry", "lotus.runs", "data_modules"),
    ),
    "lotus.training": (
        *(*GROUND, "lotus.tasks", "lotus.callbacks", "data_modules", "lotus.runs"),
        "lotus.metrics",
    ),
    "lotus.studies": (
        *(*GROUND, "lotus.training", "lotus.engines", "lotus.evaluation", "lotus.reports"),
        "lotus.sweeps",
        *("data_modules", "lotus.runs", "lotus.metrics"),
    ),
    "lotus.cli": (),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path for package in PROJECT for path in (REPOSITORY / package).rglob("*.py")
}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imported_names(node: ast.AST, module: str) -> list[str]:
    """Dotted names that an import statement asks for, e.g. ``lotus.imaging.raster.read_image``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module}: imports are absolute"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@cache
def imports_of(module: str, lazy: bool) -> frozenset[str]:
    """Names imported when a module is imported, and with ``lazy`` later by its functions too.

    What only a type checker reads is left out.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(SOURCES[module].read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        names.update(imported_names(node, module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not lazy:
            continue
        if is_type_checking(node):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)
    return frozenset(names)


def is_within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def top_level_package(name: str) -> str:
    return name.partition(".")[0]


def project_module(name: str) -> str | None:
    """The module of the project that a dotted name is, or is an attribute of."""
    while name not in SOURCES and "." in name:
        name = name.rpartition(".")[0]
    return name if name in SOURCES else None


def test_all_modules_are_seen():
    assert {"lotus.cli", "lotus.imaging", "data_modules.phantoms.anatomy"} <= SOURCES.keys()


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_lies_below_it(part):
    members = [module for module in SOURCES if is_within(module, part)]
    assert members
    wrong = [
        f"{module} imports {name}"
        for module in members
        for name in sorted(imports_of(module, lazy=True))
        if top_level_package(name) in PROJECT
        and not any(is_within(name, other) for other in (part, *ALLOWED[part]))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("part", "users"),
    [
        (
            "data_modules",
            (
                *("data_modules", "lotus.inference", "lotus.training", "lotus.studies"),
                "lotus.commands",
            ),
        ),
        ("lotus.training", ("lotus.training", "lotus.studies", "lotus.commands")),
        ("lotus.studies", ("lotus.studies", "lotus.commands")),
        ("lotus.commands", ("lotus.commands",)),
        ("lotus.cli", ()),
    ],
)
def test_what_lies_on_top_is_known_to_nothing_below(part, users):
    wrong = [
        f"{module} imports {name}"
        for module in SOURCES
        for name in sorted(imports_of(module, lazy=True))
        if is_within(name, part) and not any(is_within(module, user) for user in users)
    ]
    assert wrong == []


def test_there_is_no_circle():
    graph = {
        module: {
            found
            for name in imports_of(module, lazy=False)
            if (found := project_module(name)) is not None
        }
        for module in SOURCES
    }
    assert any("lotus.atomic" in imported for imported in graph.values())
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_command_line_imports_the_standard_library_alone():
    packages = {top_level_package(name) for name in imports_of("lotus.cli", lazy=False)}
    assert packages <= sys.stdlib_module_names | {"lotus"}


@pytest.mark.slow
def test_a_training_loads_no_library_before_its_configuration_names_it():
    script = "import sys, lotus.training.cli; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "lotus.training.cli" in loaded
    assert NAMED_BEFORE_LOADED & set(loaded) == set()


def test_optional_extras_are_imported_by_the_functions_that_need_them():
    wrong = [
        f"{module} imports {name}"
        for module in SOURCES
        for name in imports_of(module, lazy=False)
        if top_level_package(name) in OPTIONAL_EXTRAS
    ]
    assert wrong == []
