import os
import signal

import pytest

from lotus.process_pool import map_in_processes


def process_and_square(number):
    return os.getpid(), number * number


def killed(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_few_items_stay_in_this_process():
    found = list(
        map_in_processes(process_and_square, range(120), processes=4, items_per_process=100)
    )
    assert found == [(os.getpid(), number * number) for number in range(120)]


def test_no_process():
    with pytest.raises(ValueError, match="found 0 processes; expected at least 1"):
        list(map_in_processes(process_and_square, range(3), processes=0))


@pytest.mark.slow
def test_many_items_go_to_others_and_keep_their_order():
    found = list(map_in_processes(process_and_square, range(20), processes=2, chunk=4))
    assert [square for _, square in found] == [number * number for number in range(20)]
    assert os.getpid() not in {process for process, _ in found}


@pytest.mark.slow
def test_a_killed_process_is_said():
    with pytest.raises(ChildProcessError, match="a process was killed, likely for lack of memory"):
        list(map_in_processes(killed, range(20), processes=2, chunk=4))
