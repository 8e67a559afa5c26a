"""One simulated upstream and one gateway before it for all tests of a process; its log where a test fails."""

from collections.abc import Generator, Iterator

import pytest
from tests.e2e.echo import echoing
from tests.e2e.gateway import RUNNING, Gateway
from tests.e2e.setting import dead_ends, setting
from tests.e2e.wire import leaks

from headgate.sim import SimThread

SHOWN = 5_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for gateway in RUNNING:
            report.sections.append((f"standard error of {gateway.url}", gateway.stderr[-SHOWN:]))
    return report


@pytest.fixture(scope="session")
def sim() -> Iterator[SimThread]:
    with SimThread(seed=1) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(sim: SimThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The shared one. Sim and ledger are shared too, so tests look for what is theirs by call or model name.

    At its end no provider's secret may stand in what it has written: its log, its ledger, its lock files.
    """
    with dead_ends() as (dead, full), echoing() as echo:
        running = Gateway(tmp_path_factory.mktemp("gateway"), sim, setting(sim, dead, full, echo))
        try:
            running.start()
            yield running
        finally:
            running.stop()
        found = leaks(running.folder)
        assert not found, f"secrets in {found}"
