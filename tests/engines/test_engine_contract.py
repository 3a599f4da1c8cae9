"""What every engine keeps, asked of each."""

from typing import ClassVar

import pytest

from lotus.engines import LocalEngine, RayEngine
from tests.contracts.engines import EngineContract
from tests.engines.clusters import one_machine
from tests.engines.in_process import InProcessEngine


class LocalEngineContract(EngineContract):
    implementation = LocalEngine
    processes: ClassVar[int]

    @pytest.fixture
    def engine(self):
        return LocalEngine(self.processes)

    def test_an_objection_to_a_job_that_ended_stops_the_others(self, engine, tmp_path):
        super().test_an_objection_to_a_job_that_ended_stops_the_others(engine, tmp_path)
        assert (tmp_path / "second").exists() == (self.processes == 2)


class TestLocalEngine(LocalEngineContract):
    processes = 1


class TestLocalEngineOfTwoProcesses(LocalEngineContract):
    processes = 2


class TestInProcessEngine(EngineContract):
    implementation = InProcessEngine

    @pytest.fixture
    def engine(self):
        return InProcessEngine()


@pytest.fixture(scope="session")
def ray_address():
    """The head of a cluster of one machine with one core."""
    with one_machine() as address:
        yield address


@pytest.mark.slow
class TestRayEngine(EngineContract):
    implementation = RayEngine

    @pytest.fixture
    def engine(self, ray_address):
        return RayEngine(ray_address)
