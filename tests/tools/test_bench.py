"""The bench: what it answers, what it reads back, and how it counts."""

import json
import os
import sys
from collections import Counter

import pytest
from bench import answers, budget, load, machine


def chunked(*chunks: bytes) -> bytes:
    body = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def test_a_stream_has_as_many_frames_as_asked_and_ends_with_usage_and_the_terminal_frame() -> None:
    frames = answers.frames("burst", answers.BURST_FRAMES)
    assert len(frames) == answers.BURST_FRAMES
    assert json.loads(frames[-2].removeprefix(b"data: "))["usage"] == answers.USAGE
    assert frames[-1] == answers.TERMINAL
    assert len(set(frames)) == len(frames)


def test_a_body_comes_back_whole_however_it_was_chunked() -> None:
    body = b"".join(answers.frames("paced", 9))
    assert load.body_of(chunked(body)) == body
    assert load.body_of(chunked(*answers.frames("paced", 9))) == body
    assert load.body_of(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") == b"ok"


def test_an_answer_is_complete_only_at_its_end() -> None:
    for whole in (chunked(b"one", b"two"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
        assert load.complete(whole)
        assert not any(load.complete(whole[:end]) for end in range(len(whole)))


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        ("run (uvloop/__init__.py:92);route (headgate/policy/select.py:8)", "plan"),
        ("route (headgate/policy/select.py:8);run (sqlalchemy/engine/base.py:3)", "plan"),
        ("MainThread;drive (headgate/runtime/call.py:10)", budget.REST),
        (
            "MainThread;drive (headgate/runtime/call.py:10);send (headgate/upstream/client.py:1)",
            budget.SERVER,
        ),
        ("_run (threading.py:12);commit (/venv/src/headgate/ledger/writer.py:90)", budget.ROWS),
        ("run (uvloop/__init__.py:92);write (<string>)", budget.SERVER),
        ("wait (selectors.py:4)", budget.REST),
        ("thread (12381)", budget.SERVER),
        ("Call.serve (headgate/runtime/call.py:1);Gate.identify (headgate/runtime/gate.py:120)", "key"),
        ("Call._record (headgate/runtime/call.py:340);cost (headgate/policy/pricing.py:9)", budget.ROWS),
    ],
)
def test_a_sample_belongs_to_the_innermost_claimed_frame(stack: str, part: str) -> None:
    assert budget.part_of(stack) == part


def test_samples_are_counted_by_thread_and_part() -> None:
    lines = [
        "thread (7): MainThread;a (headgate/policy/select.py:1) 3",
        "thread (7): MainThread;b (headgate/policy/health.py:2) 4",
        "thread (7): MainThread;c (x.py:1) 5",
        "thread (8) 6",
    ]
    assert budget.count("\n".join(lines)) == {7: {"plan": 7, budget.REST: 5}, 8: {budget.SERVER: 6}}


def test_the_cpu_of_a_thread_is_shared_by_its_own_samples_and_none_is_lost() -> None:
    samples = {7: Counter({"plan": 3, "key": 1}), 8: Counter({budget.ROWS: 1000})}
    parts = budget.share(samples, {7: 4.0, 8: 1.0, 9: 0.5})
    assert parts == dict.fromkeys(budget.PARTS, 0.0) | {
        "plan": 3.0,
        "key": 1.0,
        budget.ROWS: 1.0,
        budget.SERVER: 0.5,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_has_memory_cpu_and_is_in_its_own_tree() -> None:
    pid = os.getpid()
    assert machine.tree(pid)[0] == pid
    assert machine.rss(pid) > 0
    assert machine.cpu_s(pid) >= sum(machine.threads_cpu_s(pid).values()) * 0.5 > 0
