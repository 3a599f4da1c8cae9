"""Reading a sweep file: the schema of W&B (docs.wandb.ai, "Sweep configuration options")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from lotus.sweeps.distributions import Distribution, distribution_of, is_finite_number

Method = Literal["grid", "random", "bayes"]
Goal = Literal["minimize", "maximize"]
# For the agent of W&B alone.
_OF_THE_AGENT = {"program", "command", "name", "description", "project", "entity"}
_KEYS = {"method", "metric", "parameters", "early_terminate", "run_cap"}


@dataclass(frozen=True)
class EarlyTerminate:
    """Successive halving: of the trials that come to a rung, the best 1/eta go on.

    As in W&B, an iteration is one value of the metric, which is one validation, however many
    epochs lie between two.

    Attributes:
        min_iter: Validations before the first rung; further ones are at min_iter·eta^k.
        eta: The reduction factor.
    """

    min_iter: int
    eta: float


@dataclass(frozen=True)
class Sweep:
    """What is searched, how, and by which score.

    Attributes:
        method: ``grid``, ``random`` or ``bayes``.
        metric: Name of a validation score.
        maximize: Whether more of it is better.
        parameters: Keys of `lotus fit`, dotted, and where their values come from.
        early_terminate: Which trials end early; None if none does.
        run_cap: Number of trials, if the file limits it.
    """

    method: Method
    metric: str
    maximize: bool
    parameters: dict[str, Distribution]
    early_terminate: EarlyTerminate | None
    run_cap: int | None


def read_sweep(path: Path) -> Sweep:
    """Read and check a sweep file.

    Args:
        path: YAML in W&B's schema; what only W&B's agent needs is not looked at.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Something in it is not of the schema, or not known here.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no sweep at {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _sweep(content)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error


def _sweep(content: Any) -> Sweep:
    if not isinstance(content, dict) or not {"method", "metric", "parameters"} <= content.keys():
        raise ValueError("expected method, metric and parameters")
    for key in sorted(content.keys() - _KEYS - _OF_THE_AGENT, key=str):
        raise ValueError(f"unknown key {key}; expected some of {', '.join(sorted(_KEYS))}")
    if content["method"] not in get_args(Method):
        raise ValueError(f"method is {content['method']}; expected {', '.join(get_args(Method))}")
    metric = content["metric"]
    if not isinstance(metric, dict) or not str(metric.get("name", "")).startswith("val_"):
        raise ValueError(
            f"metric is {metric}; expected a name that begins with val_, because sweeps select on "
            "validation images only"
        )
    goal = metric.get("goal", "minimize")
    if goal not in get_args(Goal):
        raise ValueError(f"goal is {goal}; expected {' or '.join(get_args(Goal))}")
    if not isinstance(content["parameters"], dict) or not content["parameters"]:
        raise ValueError("parameters is empty; expected keys of `lotus fit`")
    run_cap = content.get("run_cap")
    if run_cap is not None:
        run_cap = _count("run_cap", run_cap)
    return Sweep(
        method=content["method"],
        metric=metric["name"],
        maximize=goal == "maximize",
        parameters={
            key: distribution_of(str(key), value) for key, value in content["parameters"].items()
        },
        early_terminate=_early_terminate(content.get("early_terminate")),
        run_cap=run_cap,
    )


def _early_terminate(content: Any) -> EarlyTerminate | None:
    if content is None:
        return None
    keys = content.keys() if isinstance(content, dict) else set()
    if (
        not keys <= {"type", "min_iter", "max_iter", "s", "eta", "strict"}
        or content.get("type") != "hyperband"
        or not ("min_iter" in keys or {"max_iter", "s"} <= keys)
    ):
        raise ValueError(
            f"early_terminate is {content}; expected type: hyperband with min_iter, or with "
            "max_iter and s, and eta"
        )
    eta = content.get("eta", 3)
    if not is_finite_number(eta) or eta <= 1:
        raise ValueError(f"early_terminate has eta {eta}; expected a number above 1")
    if "min_iter" in keys:
        return EarlyTerminate(_count("min_iter", content["min_iter"]), eta)
    max_iter, brackets = (_count(name, content[name]) for name in ("max_iter", "s"))
    return EarlyTerminate(max(int(max_iter / eta**brackets), 1), eta)


def _count(name: str, found: Any) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError(f"{name} is {found}; expected a whole number of at least 1")
    return found
