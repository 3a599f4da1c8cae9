"""The `lotus` command: one entry point, every command in a module of its own."""

import argparse
import atexit
import gc
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

# The help of each command stands here so that `lotus --help` imports none of them.
TRAINING = {
    "fit": "train a teacher, a student or a baseline: --config FILE [--KEY VALUE ...]",
    "validate": "score a checkpoint on the validation images of its configuration",
    "test": "score a checkpoint on the test images and keep the predictions",
    "predict": "write the predictions of a checkpoint, without scores",
}
COMMANDS = {
    "crossval": "every fold of a cross-validation, out-of-fold predictions and scores",
    "study": "stages and methods of a YAML file, over folds or seeds, and their table",
    "sweep": "search parameters by a sweep file of W&B, on validation images",
    "compare": "a table of runs as in the papers, with paired tests",
    "evaluate": "Dice, HD, HD95, AJI, PQ and detection scores of two folders of masks",
    "evaluate-volume": "Dice of every class of a segmented volume",
    "segment": "masks, probabilities, GeoJSON and an object table of images and slides",
    "pseudo-label": "masks that a network draws on its training patients, with a review list",
    "pre-label": "slices of volumes to label next, with a network's draft, and back again",
    "explain": "GradCAM of a classification's test patches, and how good the maps are",
    "clean": "a segmented volume without islands, its gaps closed, shade-off made bone",
    "measure": "bone, pores or lacunae of a segmented volume, or sections, as tables in µm",
    "enhance": "the SR-microCT enhancement of an image, a folder or a volume",
    "tile": "the tiles of ROI images that show tissue, as tables",
    "patches": "the patches of slices that lie in bone, as a table",
    "phantom": "synthetic images with ground truth and a manifest",
    "prepare": "the manifest of a data set in its own layout",
    "nnunet": "images and folds handed to nnU-Net, and its predictions taken back",
    "report": "the self-contained HTML report of a run",
}

TAKING_FIT_ARGUMENTS = ("crossval", "study", "sweep", "nnunet")


def main(arguments: list[str] | None = None) -> int:
    """Run one `lotus` command.

    Args:
        arguments: The command line without the program's name; ``sys.argv[1:]`` by default.

    Returns:
        The exit status: 0, 2 after bad input, 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    name = arguments[0] if arguments else ""
    try:
        if name in TRAINING:
            _command("training").run(arguments)
        elif name in COMMANDS:
            _run_command(name, arguments[1:])
        else:
            _overview().parse_args(arguments or ["--help"])
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except KeyboardInterrupt as stopped:
        print("; ".join((f"lotus {name}: interrupted", *map(str, stopped.args))), file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"lotus {name}: {_text_of(error)}", file=sys.stderr)
        return 2
    return 0


def entry_point() -> None:
    """The console script."""
    sys.exit(main())


def _run_command(name: str, arguments: list[str]) -> None:
    module = _command(name)
    parser = argparse.ArgumentParser(f"lotus {name}", description=module.__doc__)
    module.add_arguments(parser)
    if name in TAKING_FIT_ARGUMENTS:
        module.run(*parser.parse_known_args(arguments))
    else:
        module.run(parser.parse_args(arguments))


def _command(name: str) -> ModuleType:
    """The module of a command, with everything that it imports.

    Modules stay until the end, so the garbage collector neither runs while they come in nor looks
    at them later; otherwise it would take a quarter of the start.
    """
    path = f"lotus.commands.{name.replace('-', '_')}"
    if path not in sys.modules:
        gc.disable()
        try:
            import_module(path)
            gc.freeze()
            # Extensions report what is left at the end as leaked.
            atexit.register(gc.unfreeze)
        finally:
            gc.enable()
    return sys.modules[path]


def _overview() -> argparse.ArgumentParser:
    described = {**TRAINING, **COMMANDS}
    width = max(map(len, described))
    rows = "\n".join(f"  {name:<{width}} {text}" for name, text in described.items())
    parser = argparse.ArgumentParser(
        "lotus",
        description="From images of bone to measured microstructure.",
        epilog=f"commands:\n{rows}\n\n`lotus COMMAND --help` tells more; --debug shows tracebacks.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=[*TRAINING, *COMMANDS], metavar="COMMAND")
    parser.add_argument("--version", action="version", version=f"lotus {version('lotus-bone')}")
    return parser


def _text_of(error: BaseException) -> str:
    """One line, or a line for each of several problems where the error says that it lists them."""
    text = str(error)
    if hasattr(error, "problems"):
        return text
    if isinstance(error, OSError) and error.strerror:
        text = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    return " ".join(text.split()) or type(error).__name__


if __name__ == "__main__":
    entry_point()
