"""Where the values of a parameter come from: W&B's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.random import Generator

Description = dict[str, Any]
"""``value``, ``values``, ``min`` and ``max``, ...: what a distribution is described by."""

_NUMBERS = frozenset({"min", "max", "q", "mu", "sigma"})
# What each distribution is described by, and how it is drawn from.
_DRAW: dict[str, tuple[frozenset[str], Callable[[Description, Generator], Any]]] = {
    "constant": (frozenset({"value"}), lambda of, _: of["value"]),
    "categorical": (
        frozenset({"values"}),
        lambda of, random: of["values"][random.integers(len(of["values"]))],
    ),
    "categorical_w_probabilities": (
        frozenset({"values", "probabilities"}),
        lambda of, random: of["values"][random.choice(len(of["values"]), p=of["probabilities"])],
    ),
    "int_uniform": (
        frozenset({"min", "max"}),
        lambda of, random: int(random.integers(of["min"], of["max"], endpoint=True)),
    ),
    "uniform": (
        frozenset({"min", "max"}),
        lambda of, random: float(random.uniform(of["min"], of["max"])),
    ),
    "q_uniform": (
        frozenset({"min", "max", "q"}),
        lambda of, random: _rounded(random.uniform(of["min"], of["max"]), of["q"]),
    ),
    "log_uniform_values": (
        frozenset({"min", "max"}),
        lambda of, random: math.exp(random.uniform(math.log(of["min"]), math.log(of["max"]))),
    ),
    "q_log_uniform_values": (
        frozenset({"min", "max", "q"}),
        lambda of, random: _rounded(
            math.exp(random.uniform(math.log(of["min"]), math.log(of["max"]))), of["q"]
        ),
    ),
    "normal": (
        frozenset({"mu", "sigma"}),
        lambda of, random: float(random.normal(of["mu"], of["sigma"])),
    ),
    "log_normal": (
        frozenset({"mu", "sigma"}),
        lambda of, random: float(random.lognormal(of["mu"], of["sigma"])),
    ),
}


@dataclass(frozen=True)
class Distribution:
    """Values of one parameter.

    Attributes:
        name: Of the distribution, as in W&B.
        of: What describes it.
    """

    name: str
    of: Description

    def draw(self, random: Generator) -> Any:
        """One value."""
        return _DRAW[self.name][1](self.of, random)

    @property
    def choices(self) -> list[Any] | None:
        """All values, if there is a finite number of them; else None."""
        if "values" in self.of:
            return list(self.of["values"])
        if self.name == "constant":
            return [self.of["value"]]
        if self.name == "int_uniform":
            return list(range(self.of["min"], self.of["max"] + 1))
        return None


def distribution_of(key: str, content: object) -> Distribution:
    """A parameter of a sweep file; the distribution's name is W&B's default if none is given.

    Args:
        key: Name of the parameter.
        content: Its description.

    Raises:
        ValueError: A description that is not complete, or a distribution that is not known here.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{key} is {content}; expected value, values, or min and max")
    if "parameters" in content:
        raise ValueError(f"{key} holds parameters; expected keys with dots instead")
    of = {name: value for name, value in content.items() if name != "distribution"}
    name = content.get("distribution") or _default(of)
    if not isinstance(name, str) or name not in _DRAW:
        raise ValueError(f"{key} has the distribution {name}; expected one of {', '.join(_DRAW)}")
    expected = _DRAW[name][0]
    if name in ("normal", "log_normal"):
        of = {"mu": 0.0, "sigma": 1.0, **of}
    if name.startswith("q_"):
        of = {"q": 1, **of}
    if of.keys() != expected:
        raise ValueError(
            f"{key} has {', '.join(of) or 'nothing'}; {name} expects {', '.join(sorted(expected))}"
        )
    of = {part: _number(key, part, v) if part in _NUMBERS else v for part, v in of.items()}
    _check_values(key, of)
    _check_range(key, name, of)
    return Distribution(name, of)


def _number(key: str, part: str, found: object) -> float | int:
    """A finite number; YAML reads 1e-4 as a text."""
    number = found
    if isinstance(found, str):
        with suppress(ValueError):
            number = float(found)
    if not is_finite_number(number):
        raise ValueError(f"{key} has {part} {found}; expected a number")
    return cast("float | int", number)


def is_finite_number(found: object) -> bool:
    """Whether something from a YAML file is a number, and neither infinite nor undefined.

    Args:
        found: Of any type.
    """
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _check_values(key: str, of: Description) -> None:
    if "values" not in of:
        return
    values, chances = of["values"], of.get("probabilities")
    if not isinstance(values, list) or not values:
        raise ValueError(f"{key} has values {values}; expected a list of at least one")
    if "probabilities" in of and (
        not isinstance(chances, list)
        or len(chances) != len(values)
        or not all(is_finite_number(chance) and chance >= 0 for chance in chances)
        or not math.isclose(sum(chances), 1, abs_tol=1e-6)
    ):
        raise ValueError(
            f"{key} has probabilities {chances}; expected one of each of the {len(values)} values, "
            "1 together"
        )


def _check_range(key: str, name: str, of: Description) -> None:
    for part in ("q", "sigma"):
        if part in of and of[part] <= 0:
            raise ValueError(f"{key} has {part} {of[part]}; expected more than 0")
    if "min" not in of:
        return
    found = f"{key} has min {of['min']}, max {of['max']}"
    if name == "int_uniform" and not all(isinstance(of[end], int) for end in ("min", "max")):
        raise ValueError(f"{found}; {name} expects whole numbers")
    if not of["min"] <= of["max"] or ("log" in name and of["min"] <= 0):
        raise ValueError(f"{found}; expected {'0 < min <= max' if 'log' in name else 'min <= max'}")


def _default(of: Description) -> str:
    if "values" in of:
        return "categorical_w_probabilities" if "probabilities" in of else "categorical"
    if "value" in of:
        return "constant"
    return "int_uniform" if all(isinstance(of.get(k), int) for k in ("min", "max")) else "uniform"


def _rounded(value: float, q: float) -> float | int:
    """The nearest multiple of q; whole where q is."""
    rounded = np.round(value / q) * q
    return int(rounded) if isinstance(q, int) else float(rounded)
