"""Whether jobs can send their curves to W&B: asked once, before the first of them starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from http.client import HTTPException
from threading import Thread
from urllib.error import HTTPError
from urllib.request import build_opener

LIMIT_S = 5.0
_NOT_ONLINE = ("disabled", "offline", "dryrun")


def go_offline_without_server(notify: Callable[[str], None] = print) -> None:
    """Keep the W&B runs of all further jobs offline if its server cannot be reached.

    Each of them would find out by itself, and wait for that. Sets ``WANDB_MODE``, so that nothing
    is asked or said again.

    Args:
        notify: Gets a line if there is no server.
    """
    if not os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") in _NOT_ONLINE:
        return
    url = os.environ.get("WANDB_BASE_URL") or _default_address()
    if answers(url, LIMIT_S):
        return
    os.environ["WANDB_MODE"] = "offline"
    notify(f"no W&B at {url}: runs are kept offline, and `wandb sync` sends them later")


def answers(url: str, limit_s: float) -> bool:
    """Whether anything answers at an address, be it with a refusal.

    Args:
        url: The address; a proxy of the environment is used.
        limit_s: How long to wait, the look-up of the name included.
    """
    found: list[bool] = []

    def ask() -> None:
        try:
            # `urlopen` would keep the proxies of whoever called it first.
            build_opener().open(url, timeout=limit_s).close()
        except HTTPError:
            found.append(True)
        except (OSError, ValueError, HTTPException):
            found.append(False)
        else:
            found.append(True)

    # The look-up of a name has no limit of its own.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(limit_s)
    return found == [True]


def _default_address() -> str:
    from wandb import Settings

    return str(Settings().base_url)
