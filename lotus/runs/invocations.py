"""The commands that worked in a run folder, and how they ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

Status = Literal["running", "finished", "interrupted", "failed"]


class Origin(TypedDict):
    """Where in a training its best checkpoint comes from.

    Attributes:
        epoch: From 0.
        phase: Of the training, from 1.
        phases: How many there were to be; an earlier one than the last is not what was asked for.
    """

    epoch: int
    phase: int
    phases: int


class Invocation(TypedDict):
    """One command.

    Attributes:
        stage: ``fit`` or ``test``.
        command: As it would be typed.
        started: Date and time, ISO 8601 with the time zone.
        status: ``running``, ``finished``, ``interrupted`` or ``failed``.
        duration_s: Seconds; None while it runs, or if it was killed.
        best: Of a training that was validated: where its best checkpoint comes from.
    """

    stage: str
    command: str
    started: str
    status: Status
    duration_s: float | None
    best: NotRequired[Origin]


def read_invocations(environment: Path) -> list[Invocation]:
    """The commands that worked in a run folder, in order.

    Args:
        environment: The file that holds them; one that is absent or damaged has none.
    """
    try:
        return list(json.loads(environment.read_text(encoding="utf-8"))["invocations"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def status_of_last_fit(environment: Path) -> Status | None:
    """How the last training in a run folder ended; None where there was none.

    Args:
        environment: As for :func:`read_invocations`.
    """
    fits = [entry for entry in read_invocations(environment) if entry["stage"] == "fit"]
    return fits[-1]["status"] if fits else None
