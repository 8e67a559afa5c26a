"""`headgate sim`: a simulated upstream with deterministic answers, faults on demand and a bill of its own."""

from headgate.sim.bill import Bill, BillLine, Outcome
from headgate.sim.faults import TABLE, Fault, FaultInfo
from headgate.sim.record import SimRequest
from headgate.sim.server import SimServer, run
from headgate.sim.thread import SimThread

__all__ = [
    "TABLE",
    "Bill",
    "BillLine",
    "Fault",
    "FaultInfo",
    "Outcome",
    "SimRequest",
    "SimServer",
    "SimThread",
    "run",
]
