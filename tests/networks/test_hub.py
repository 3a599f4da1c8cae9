"""A hub that answers, one that is not there, and weights that are in its cache."""

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from lotus.networks.hub import check_hub
from tests.servers import NOBODY, serving


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Function that sets where the hub is, with an empty cache and a client of its own."""
    close_session()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return lambda endpoint: monkeypatch.setattr(constants, "ENDPOINT", endpoint)


def test_nobody_answers(hub):
    hub(NOBODY)
    with pytest.raises(OSError, match=f"{NOBODY} does not answer: "):
        check_hub("somebody/absent")


def test_a_hub_that_answers_is_there(hub):
    with serving(404) as url:
        hub(url)
        check_hub("somebody/unknown")


def test_what_is_in_the_cache_needs_no_hub(hub, tmp_path):
    hub(NOBODY)
    snapshot = tmp_path / "models--somebody--cached/snapshots/0123"
    snapshot.mkdir(parents=True)
    (snapshot / "pytorch_model.bin").touch()
    references = tmp_path / "models--somebody--cached/refs"
    references.mkdir()
    (references / "main").write_text("0123")
    check_hub("somebody/cached")
