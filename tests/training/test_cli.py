"""What `lotus fit` takes for what is not said."""

import re

from lotus.training.cli import default_run_name


def test_runs_of_an_agent_that_start_together_have_folders_of_their_own(monkeypatch):
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    monkeypatch.delenv("LOTUS_RUN", raising=False)
    assert re.fullmatch(r"\d{8}-\d{6}", default_run_name())
    for name in ("4kd9x2ab", "7pq1m0zz"):
        monkeypatch.setenv("WANDB_RUN_ID", name)
        assert default_run_name() == name
