"""Whether a hub of weights answers, before minutes are waited for it."""

from functools import cache
from pathlib import Path

from huggingface_hub import constants, get_hf_file_metadata, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError

PATIENCE_S = 5.0
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def check_hub(repository: str) -> None:
    """Make sure that weights are in the cache of the Hugging Face hub, or that the hub answers.

    Its own client asks a hub that is not there for three quarters of a minute, file by file.

    Args:
        repository: For example ``timm/vgg16.tv_in1k``.

    Raises:
        OSError: Neither.
    """
    if any(isinstance(try_to_load_from_cache(repository, name), str | Path) for name in WEIGHTS):
        return
    silence = _silence(repository)
    if silence is not None:
        raise OSError(f"{constants.ENDPOINT} does not answer: {silence}")


@cache
def _silence(repository: str) -> str | None:
    """Why the hub does not answer; None where it does. It is asked once in a process."""
    try:
        url = f"{constants.ENDPOINT}/{repository}/resolve/main/config.json"
        get_hf_file_metadata(url, timeout=PATIENCE_S)
    except HfHubHTTPError:
        return None
    except Exception as error:  # the errors of whichever client of HTTP the package has
        return str(error) or type(error).__name__
    return None
