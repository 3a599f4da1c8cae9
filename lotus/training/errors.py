"""What is wrong with a configuration, in one line instead of a page."""

import inspect
import re
from difflib import get_close_matches
from importlib import import_module

from lotus.tasks.description import MOVED

# Lines of jsonargparse about its own types and copies of the whole value.
_NOISE = (
    "Does not validate against any of the Union subtypes",
    "Subtypes: ",
    "Errors:",
    "Expected a <class 'NoneType'>",
    "Expected a path but ",
    "Given value type: ",
    *("Given value: {", "Given value: [", "Given value: Namespace(", "Given value: NestedArg("),
)


def shortened(message: str, command: str) -> str:
    """One line of an error of jsonargparse: where in the configuration, what, and what would fit.

    Args:
        message: The error's text.
        command: The command whose help lists all keys.

    Returns:
        For example ``model: lotus.tasks.SegmentationTask: network: lotus.networks.UNet: Option
        'filter' is not accepted; it takes in_channels, out_channels, filters``.
    """
    text = without_dump(message)
    class_paths = re.findall(r"class_path[= ]'([\w.]+)'", text)
    text = re.sub(r"Parser key \"([^\"]+)\":", r"\1:", text)
    text = re.sub(r"Problem with given class_path '([\w.]+)':", r"\1:", text)
    text = re.sub(r"Type typing\.\S+ .*? expects a function or a callable class: ", "", text)
    text = re.sub(r"[.;]? Got value: Namespace\(.*", "", text)
    return f"{text}; {_remedy(text, class_paths, command)}"


def without_dump(message: str) -> str:
    """The same message without jsonargparse's lines about types and copies of whole values.

    Args:
        message: The error's text, in lines.

    Returns:
        One line; a message in which there is nothing to leave out is kept as it is.
    """
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(_NOISE))


def _remedy(text: str, class_paths: list[str], command: str) -> str:
    misspelt = re.search(r"module '([\w.]+)' has no attribute '(\w+)'", text)
    if misspelt and (now := MOVED.get(f"{misspelt[1]}.{misspelt[2]}")):
        return f"it is {now} now"
    if misspelt:
        near = get_close_matches(misspelt[2], dir(import_module(misspelt[1])), n=1)
        return f"did you mean {misspelt[1]}.{near[0]}?" if near else f"see {misspelt[1]}"
    if "is not accepted" in text and class_paths and "." in class_paths[-1]:
        return f"it takes {', '.join(_arguments(class_paths[-1]))}"
    return f"`lotus {command} --help` lists all keys"


def _arguments(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    parameters = inspect.signature(getattr(import_module(module), name)).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
