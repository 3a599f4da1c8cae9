import logging

import pytest


@pytest.fixture
def one_line(capfd, caplog):
    """Return a function that checks that an error is one line which names the file."""

    def check(call, path, *words):
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            call(path)
        message = str(caught.value)
        assert "\n" not in message
        assert path.name in message
        for word in words:
            assert word in message
        assert capfd.readouterr() == ("", "")
        assert not caplog.records

    caplog.set_level(logging.WARNING)
    return check
