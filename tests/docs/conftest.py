"""A simulated upstream as `headgate sim` starts it, and the guides' blocks."""

from collections.abc import Iterator

import pytest

from headgate.sim import SimThread


@pytest.fixture(scope="session")
def sim() -> Iterator[SimThread]:
    with SimThread(seed=1) as running:
        yield running
