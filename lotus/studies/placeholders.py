"""Names in braces that stand for values, in the texts of a study."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

PLACEHOLDER = re.compile(r'\{([^{}":]+)\}')


def placeholders(value: Any) -> set[str]:
    """What stands in braces in a text, or in the texts of a list or mapping.

    >>> sorted(placeholders(["{data}/x.yaml", {"k": "{shots}"}]))
    ['data', 'shots']
    """
    return set(PLACEHOLDER.findall(json.dumps(value, ensure_ascii=False)))


def filled(value: Any, fill: Callable[[str], Any]) -> Any:
    """A value with its placeholders filled in, inside lists and mappings too.

    A text that is one placeholder and nothing else becomes its value, of whatever type.

    >>> filled(["k{shots}", "{shots}"], {"shots": 4}.__getitem__)
    ['k4', 4]
    """
    if isinstance(value, Mapping):
        return {key: filled(item, fill) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, fill) for item in value]
    if not isinstance(value, str):
        return value
    whole = PLACEHOLDER.fullmatch(value)
    if whole:
        return fill(whole.group(1))
    return PLACEHOLDER.sub(lambda found: str(fill(found.group(1))), value)
