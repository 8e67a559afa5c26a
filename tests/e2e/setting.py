"""The configuration of the shared gateway: providers for every kind of trouble, and chains with a good route behind."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.e2e.gateway import PRICE, SECRET_MARK, standard
from tests.e2e.wire import CHAT, MESSAGES, RESPONSES

from headgate.sim import SimThread
from headgate.sim.faults import Fault

KINDS = {CHAT: "openai", RESPONSES: "openai_responses", MESSAGES: "anthropic"}
GOOD = {CHAT: "openai/good", RESPONSES: "responses/good", MESSAGES: "anthropic/good"}
"""The route behind a failing one."""
BODY_TIMEOUT = "1s"
CONNECT, ANSWER, FIRST_TOKEN, IDLE = "200ms", "250ms", "251ms", "252ms"
HASTY = f"timeouts: {{connect: {CONNECT}, answer: {ANSWER}, first_token: {FIRST_TOKEN}, idle: {IDLE}}}"
STOPS = "cut_stops_billing: true"
PLACES = ("hasty", "plain", "stops", "dead", "full")
"""Providers are called `hasty-openai` and so on. hasty: impatient; plain: patient; stops: a cut ends its bill; dead:
nobody listens; full: connections are never taken."""
FAULTS = {
    "hasty": ("hang", "hang-first", "hang-headers"),
    "plain": tuple(fault for fault in map(str, Fault) if not fault.startswith(("hang", "hold"))),
    "stops": ("cut", "cut-rst", "cut-mid", "error-mid", "malformed"),
    "dead": ("none",),
    "full": ("none",),
}


def bad(place: str, endpoint: str, fault: str, *, stream: bool) -> str:
    """Return the route that fails. Health goes by route, so streams and others do not share theirs."""
    return f"{place}-{KINDS[endpoint]}/{upstream_name(endpoint, fault, stream=stream)}"


def upstream_name(endpoint: str, fault: str, *, stream: bool) -> str:
    """Return the name by which the sim is asked for a fault; `none` is none."""
    return f"{'stream' if stream else 'unary'}-{KINDS[endpoint]}-sim-{fault}"


def chain(place: str, endpoint: str, fault: str, *, stream: bool) -> str:
    """Return the virtual model with the failing route before the good one."""
    return f"chain-{place}-{upstream_name(endpoint, fault, stream=stream)}"


def setting(sim: SimThread, dead: str, full: str, echo: str) -> str:
    """Return the YAML. `dead`, `full` and `echo` are base URLs."""
    lines = [f"server: {{port: 0, admin_port: 0, body_timeout: {BODY_TIMEOUT}}}", standard(sim).strip("\n")]
    for kind in KINDS.values():
        for place in PLACES:
            url = {"dead": dead, "full": full}.get(place, sim.url)
            extra = STOPS if place == "stops" else "" if place == "plain" else HASTY
            lines.append(provider(f"{place}-{kind}", kind, url, extra))
        lines.append(provider(f"echo-{kind}", kind, echo))
    lines += [provider("drains", "openai", sim.url, "on_disconnect: drain"), "models:"]
    for endpoint in KINDS:
        for place, faults in FAULTS.items():
            for fault in faults:
                for stream in (True, False):
                    routes = f"[{bad(place, endpoint, fault, stream=stream)}, {GOOD[endpoint]}]"
                    lines.append(f"  {chain(place, endpoint, fault, stream=stream)}: {{routes: {routes}}}")
    return "\n".join(lines) + "\n"


def provider(name: str, kind: str, url: str, extra: str = "") -> str:
    """Return a line of `providers`. Each has a secret of its own."""
    return f'  {name}: {{kind: {kind}, base_url: "{url}", api_key: {secret(name)}, price: {PRICE}, {extra}}}'


def secret(name: str) -> str:
    return f"sk-upstream-{name}-{SECRET_MARK}"


@contextmanager
def dead_ends() -> Iterator[tuple[str, str]]:
    """Return a URL where nobody listens, and one where connections are never taken."""
    with ExitStack() as stack:
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.1", 0))
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # The queue of a listener that never accepts holds one; what comes after it gets no answer at all.
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield url_of(dead), url_of(full)


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()
    return f"http://{host}:{port}"
