"""A server that answers, one that refuses, one that keeps silent, and none."""

import os
import socket

import pytest

from lotus.engines.wandb_server import answers, go_offline_without_server
from tests.servers import NOBODY, serving


@pytest.fixture
def variables(monkeypatch):
    """Function that sets what W&B is told."""

    def to(mode, url, key="0" * 40):
        monkeypatch.setenv("WANDB_MODE", mode)
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("WANDB_API_KEY", key)

    return to


@pytest.mark.parametrize("status", [200, 401, 404])
def test_whoever_answers_is_there(status, variables):
    said = []
    with serving(status) as url:
        variables("online", url)
        go_offline_without_server(said.append)
    assert os.environ["WANDB_MODE"] == "online"
    assert said == []


def test_a_proxy_of_before_is_not_kept(monkeypatch):
    with serving(200) as url:
        monkeypatch.setenv("http_proxy", NOBODY)
        monkeypatch.setenv("no_proxy", "")
        assert not answers(url, 5.0)
        monkeypatch.delenv("http_proxy")
        assert answers(url, 5.0)


def test_where_nobody_answers_all_jobs_are_offline_and_it_is_said_once(variables):
    said = []
    variables("", NOBODY)
    go_offline_without_server(said.append)
    go_offline_without_server(said.append)
    assert os.environ["WANDB_MODE"] == "offline"
    assert said == [f"no W&B at {NOBODY}: runs are kept offline, and `wandb sync` sends them later"]


def test_who_keeps_silent_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not answers(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.05)


@pytest.mark.parametrize("url", ["no address", "http://[", "https://127.0.0.1:9"])
def test_what_is_no_address_answers_nothing(url):
    assert not answers(url, 5.0)


@pytest.mark.parametrize(("mode", "key"), [("disabled", "k"), ("online", "")])
def test_who_is_not_online_anyway_is_not_asked(mode, key, variables, capsys):
    variables(mode, NOBODY, key)
    go_offline_without_server()
    assert os.environ["WANDB_MODE"] == mode
    assert capsys.readouterr().out == ""
