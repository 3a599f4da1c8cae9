"""One-line mistakes in the code that no test notices.

``python -m benchmarks.mutations lotus/losses --sample 50`` changes one place after the other in
memory (an operator, a number, a condition, an argument, a call) and runs the tests that cover the
file in a forked process, so that PyTorch is imported once. What still passes is printed. Tests in
processes of their own see the code as it is. Loops that numba compiles are taken from its cache as
they were: set ``NUMBA_DISABLE_JIT=1`` for files that have some.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

import pytest

from benchmarks.mutants import Mutant, mutants

EXAMPLES = "tests/test_doctests.py::test_examples_run[{module}]"
STEPS = ("tests/tasks/test_distillation_equations.py", "tests/tasks/test_baseline_equations.py")
ZARR = ("tests/imaging/test_ome_zarr.py", "tests/imaging/test_ome_zarr_writer.py")
PATIENTS = ("tests/data_modules/test_folds.py", "tests/data_modules/test_patients.py")
SLABS, RECIPES = "tests/data_modules/test_slabs.py", "tests/test_porosity_recipes.py"
TILES = ("tests/transforms/test_tiles.py", "tests/data_modules/test_tiles.py")
DOMAINS = "tests/data_modules/test_multi_domain.py"
PHANTOMS = "tests/data_modules/phantoms"
SECTION = "tests/morphometry/test_section.py"
BALLS = tuple(f"tests/morphometry/test_{name}.py" for name in ("balls", "ridge", "thickness"))
TESTS = {
    "lotus/losses": (EXAMPLES, "tests/losses", *STEPS),
    "lotus/tasks/distillation.py": (
        *(STEPS[0], "tests/tasks/test_distillation_task.py", "tests/tasks/test_gamma_plateau.py"),
        "tests/tasks/test_ignored_pixels.py",
    ),
    "lotus/networks/feature_diffusion.py": ("tests/networks/test_feature_diffusion.py", STEPS[0]),
    "lotus/metrics/functional": (EXAMPLES, "tests/metrics"),
    "data_modules/splits.py": ("tests/data_modules/test_splits.py", *PATIENTS),
    "data_modules/folds.py": PATIENTS,
    "data_modules/diagnoses.py": ("tests/data_modules/test_diagnoses.py",),
    "data_modules/sampler.py": ("tests/data_modules/test_sampler.py",),
    "data_modules/patches.py": ("tests/data_modules/test_patches.py",),
    "data_modules/tiles.py": TILES,
    "lotus/transforms/tiles.py": TILES,
    "data_modules/tile_segmentation.py": (DOMAINS,),
    "data_modules/multi_domain.py": (DOMAINS,),
    "data_modules/adapters/drawn_masks.py": ("tests/data_modules/test_drawn_masks.py",),
    "lotus/imaging/channels.py": ("tests/imaging/test_channels.py",),
    "data_modules/blocks.py": ("tests/data_modules/test_blocks.py", SLABS),
    "data_modules/slab_dataset.py": (SLABS,),
    "data_modules/slab_source.py": (SLABS,),
    "data_modules/slabs.py": (SLABS,),
    "lotus/windows/volume.py": ("tests/windows/test_volume.py",),
    "lotus/networks/conv_lstm.py": ("tests/networks/test_conv_lstm.py",),
    "lotus/networks/sensor3d.py": ("tests/networks/test_sensor3d.py",),
    "lotus/tasks/slab_segmentation.py": ("tests/tasks/test_slab_segmentation.py", RECIPES),
    "lotus/tasks/initial_weights.py": ("tests/tasks/test_slab_segmentation.py", RECIPES),
    "lotus/imaging/pyramid.py": ("tests/imaging/test_pyramid.py",),
    "lotus/imaging/zarr_files.py": ZARR,
    "lotus/imaging/ome_zarr.py": ZARR,
    "lotus/imaging/ome_zarr_writer.py": ZARR,
    "lotus/imaging/ome_zarr_metadata.py": ZARR,
    "lotus/transforms/volume_input.py": ("tests/transforms/test_volume_input.py",),
    "lotus/inference/volume_blocks.py": ("tests/inference/test_segment_volume.py",),
    "lotus/inference/volume_spacing.py": ("tests/inference/test_segment_volume.py",),
    "lotus/masks/thresholds.py": (EXAMPLES, "tests/masks/test_thresholds.py"),
    **{
        f"lotus/morphometry/{name}.py": (EXAMPLES, f"tests/morphometry/test_{name}.py")
        for name in ("anisotropy", "connectivity", "distance", "surface")
    },
    **{
        f"lotus/morphometry/{name}.py": (EXAMPLES, f"tests/morphometry/test_{name}.py", SECTION)
        for name in ("histomorphometry", "interlabel", "label_lines", "lines", "osteoid")
    },
    "lotus/morphometry/section.py": (EXAMPLES, SECTION),
    "lotus/morphometry/skeleton_paths.py": (EXAMPLES, "tests/morphometry/test_skeleton_paths.py"),
    "lotus/measurement/histomorphometry.py": ("tests/measurement/test_histomorphometry.py",),
    **{f"lotus/morphometry/{name}.py": (EXAMPLES, *BALLS) for name in ("balls", "ridge")},
    "lotus/morphometry/thickness.py": (EXAMPLES, BALLS[-1]),
    "lotus/measurement/trabecular.py": ("tests/measurement/test_trabecular.py",),
    "lotus/measurement/phase_thickness.py": ("tests/measurement/test_phase_thickness.py",),
    **{
        f"data_modules/phantoms/{name}.py": (f"{PHANTOMS}/test_forming_section.py",)
        for name in ("surface", "formation", "forming_section")
    },
    "data_modules/phantoms/optics.py": (f"{PHANTOMS}/test_optics.py",),
    "data_modules/phantoms/tomography.py": (f"{PHANTOMS}/test_tomography.py",),
    "data_modules/phantoms/spine.py": (f"{PHANTOMS}/test_spine.py",),
    "data_modules/phantoms/spine_voxels.py": (f"{PHANTOMS}/test_spine.py",),
    "data_modules/phantoms/zernike_truth.py": (f"{PHANTOMS}/test_zernike_scan.py",),
}
# Imported before the first fork, with all that they import of other packages.
COMMON = (
    *("hypothesis", "monai.inferers", "monai.losses", "monai.networks.schedulers"),
    *("lotus.evaluation.folders", "lotus.tasks", "lotus.training.cli"),
)


class _MutantLoader(SourceFileLoader):
    """Finds and loads one module with its change."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(mutant.path))
        self.tree = mutant.tree

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        found = name == self.name
        return spec_from_file_location(name, self.path, loader=self) if found else None

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.tree, self.path, "exec")


def run_tests(mutant: Mutant | None, tests: list[str], marker: str) -> None:
    """Run tests in this process, silently; its exit status is 0 if they pass."""
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    if mutant is not None:
        sys.meta_path.insert(0, _MutantLoader(mutant))
    sys.exit(pytest.main(["-x", "-p", "no:cacheprovider", "-m", marker, *tests]))


def exit_status(
    mutant: Mutant | None, tests: list[str], marker: str, limit: float | None = None
) -> int | None:
    """Of :func:`run_tests` in a process of its own; None if it took longer than the limit."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=run_tests, args=(mutant, tests, marker))
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def tests_of(path: Path) -> list[str]:
    """What covers a file."""
    covering = next(tests for part, tests in TESTS.items() if path.is_relative_to(part))
    module = ".".join(path.with_suffix("").parts)
    return [test.format(module=module) for test in covering]


def survives(mutant: Mutant, limit: float) -> bool:
    """Whether all tests pass; the slow ones are run only if the others do."""
    passing = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    tests = tests_of(mutant.path)
    return all(exit_status(mutant, tests, mark, limit) in passing for mark in ("not slow", "slow"))


def import_once() -> None:
    """Import what all tests need, and forget what belongs to the project."""
    # Before PyTorch is imported, as in the tests: threads that wait would take the cores.
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    for name in COMMON:
        import_module(name)
    for name in [name for name in sys.modules if name.startswith(("lotus", "data_modules"))]:
        del sys.modules[name]


def files_of(path: Path) -> list[Path]:
    """A file, or the modules in a folder but for those that only import."""
    files = [path] if path.is_file() else path.rglob("*.py")
    return sorted(file for file in files if file.stem != "__init__")


def seconds_of_tests(file: Path) -> float:
    """How long the tests of a file take; they have to pass as it is."""
    begun = time.perf_counter()
    if exit_status(None, tests_of(file), "not slow") != 0:
        sys.exit(f"{file} as it is does not pass its tests: {' '.join(tests_of(file))}")
    return time.perf_counter() - begun


def examine(path: Path, sample: int | None, seed: int) -> None:
    """Print what survives of a sample of the mutants of a file or folder."""
    begun, noticed = time.perf_counter(), 0
    found = [mutant for file in files_of(path) for mutant in mutants(file)]
    if sample is not None and sample < len(found):
        found = random.Random(seed).sample(found, sample)
    # A loop that does not end any more is noticed, too.
    limits = {file: 60 + 10 * seconds_of_tests(file) for file in {m.path for m in found}}
    for mutant in found:
        if survives(mutant, limits[mutant.path]):
            print(f"{mutant.path}:{mutant.line}: {mutant.change}", flush=True)
        else:
            noticed += 1
    seconds = time.perf_counter() - begun
    print(f"{path}: {noticed} of {len(found)} noticed, {seconds:.0f} s", flush=True)


def main() -> None:
    """Print the survivors and how many of how many were noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=[Path(part) for part in TESTS])
    parser.add_argument("--sample", type=int, help="so many of each path's mutants; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    arguments = parser.parse_args()
    import_once()
    with tempfile.TemporaryDirectory() as examples:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = examples
        for path in arguments.paths:
            examine(path, arguments.sample, arguments.seed)


if __name__ == "__main__":
    main()
