import pytest

from lotus.inference.read_ahead import read_ahead


def test_reading_ahead_keeps_order_and_passes_errors_on():
    def items():
        yield from range(5)
        raise OSError("the disk is gone")

    ahead = read_ahead(items())
    assert [next(ahead) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
