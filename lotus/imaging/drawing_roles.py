"""What drawings are meant as, by their names: a YAML file of patterns and roles.

    "ps-Perim": bone_perimeter
    "ps-dL*": double_label
    "*": ignore

``*`` stands for any letters, ``?`` for one, ``[ab]`` for one of them; capitals count. A pattern may
match the name or the class of a drawing. A name in full goes before patterns, and the pattern ``*``
is for what no other one matches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from lotus.imaging.drawing import Drawing

IGNORE = "ignore"
_REST = "*"
_MOST_NAMES = 5


@dataclass(frozen=True)
class Assigned:
    """Drawings by what they are meant as.

    Attributes:
        drawings: Of each role, in the order of the file; what is ignored is not there.
        unused: Patterns that matched nothing.
    """

    drawings: Mapping[str, list[Drawing]]
    unused: Sequence[str]


def read_roles(path: Path, known: Collection[str]) -> dict[str, str]:
    """Read patterns and their roles.

    Args:
        path: YAML file with a role for each pattern.
        known: Roles there are, besides ``ignore``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is something else, or has a role that is not known.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; a YAML file of patterns and roles")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f'{path} has no patterns; a line each is expected, such as "dL*": bone')
    roles = {str(pattern): str(role) for pattern, role in content.items()}
    for pattern, role in roles.items():
        if role not in known and role != IGNORE:
            raise ValueError(
                f"{path}: {pattern} has the role {role}; known are {', '.join([*known, IGNORE])}"
            )
    return roles


def assign_roles(drawings: Sequence[Drawing], roles: Mapping[str, str]) -> Assigned:
    """Find what each drawing is meant as.

    Args:
        drawings: Of one file.
        roles: Of :func:`read_roles`.

    Raises:
        ValueError: A drawing that no pattern matches, or two of different roles; or nothing is left
            but what is ignored.
    """
    found: dict[str, list[Drawing]] = {}
    used: set[str] = set()
    without: list[str] = []
    for drawing in drawings:
        patterns = _matching(drawing, roles)
        used.update(patterns)
        meant = sorted({roles[pattern] for pattern in patterns})
        if len(meant) > 1:
            said = ", ".join(f"{pattern}: {roles[pattern]}" for pattern in patterns)
            raise ValueError(f"{drawing.title} has two roles ({said}); change a pattern")
        if not meant:
            without.append(drawing.title)
        elif meant[0] != IGNORE:
            found.setdefault(meant[0], []).append(drawing)
    if without:
        raise ValueError(
            f'{_listed(without)} without a role; add patterns, or "*": ignore for all the rest'
        )
    if not found:
        titles = _listed([drawing.title for drawing in drawings])
        raise ValueError(f"no role but {IGNORE} for any of {titles}")
    return Assigned(found, [pattern for pattern in roles if pattern not in {*used, _REST}])


def _matching(drawing: Drawing, roles: Mapping[str, str]) -> list[str]:
    """Patterns of the first kind that matches: a name in full, patterns, ``*``."""
    names = [name for name in (drawing.name, drawing.classification) if name]
    for patterns in (
        [name for name in names if name in roles],
        [each for each in roles if each != _REST and any(fnmatchcase(n, each) for n in names)],
    ):
        if patterns:
            return patterns
    return [_REST] if _REST in roles else []


def _listed(titles: Sequence[str]) -> str:
    more = len(titles) - _MOST_NAMES
    return ", ".join(titles[:_MOST_NAMES]) + (f" and {more} others" if more > 0 else "")
