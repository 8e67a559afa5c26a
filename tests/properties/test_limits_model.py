"""Any order of calls, failures, deaths and changes: caps hold after every step, and at rest the sums are the rows'.

The ledger of each engine is compared with the model of `limits_model.py` after every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from tests.properties.limits_machine import LimitsMachine
from tests.properties.limits_restored import RestoredMachine
from tests.properties.limits_world import World

from headgate.ledger.engine import Ledger

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
SHORT = settings(
    max_examples=30, stateful_step_count=25, deadline=None, report_multiple_bugs=False, suppress_health_check=SLOW
)
LONG = settings(SHORT, max_examples=1_500, stateful_step_count=40)


@pytest.fixture
def world(ledger: Ledger, tmp_path: Path) -> Iterator[World]:
    made = World(ledger, tmp_path)
    yield made
    made.close()


def run(machine: type[LimitsMachine], world: World, how: settings) -> None:
    run_state_machine_as_test(cast("type[RuleBasedStateMachine]", lambda: machine(world)), settings=how)


def test_caps_hold_and_sums_agree(world: World) -> None:
    run(LimitsMachine, world, SHORT)


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_store_that_goes_back_in_time_gets_again_what_it_has_lost(world: World) -> None:
    run(RestoredMachine, world, SHORT)


@pytest.mark.soak
def test_caps_hold_and_sums_agree_for_long(world: World) -> None:
    run(LimitsMachine, world, LONG)


@pytest.mark.soak
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_store_that_goes_back_in_time_gets_again_what_it_has_lost_for_long(world: World) -> None:
    run(RestoredMachine, world, LONG)
